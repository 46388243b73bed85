package hooks

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync/atomic"

	"github.com/octostore/octostore/core"
	"github.com/octostore/octostore/core/journal/record"
	"github.com/octostore/octostore/core/lock"
	"github.com/octostore/octostore/hooks/internal/guest"
	"github.com/octostore/octostore/hooks/internal/manifest"
)

// set is the policies of one manifest.
type set struct {
	policies  []*policy      // without those that are off
	described lock.PolicySet // for the audit log; see describe
	off       []offPolicy

	users atomic.Int64 // calls under way, and one while it is in force; at 0 it is closed
}

func (s *set) close() {
	for _, p := range s.policies {
		p.close()
	}
}

func (s *set) covers(hook core.Hook, name lock.Name) bool {
	return slices.ContainsFunc(s.policies, func(p *policy) bool { return p.covers(hook, name) })
}

func (p *policy) covers(hook core.Hook, name lock.Name) bool {
	return slices.Contains(p.Hooks, hook) && p.Matches(name)
}

// judge asks every policy that covers the name about the original request, and combines their
// answers.
func (s *set) judge(ctx context.Context, q *core.Question) (core.Decision, error) {
	var (
		v       core.Decision
		refusal error
	)
	j := judgements.Get().(*judgement)
	j.Question = *q
	defer j.release()
	for _, p := range s.policies {
		if !p.covers(q.Hook, q.Asked.Name) {
			continue
		}
		o := p.askTraced(ctx, j)
		if o.Fault != nil && o.Fault.Kind == busy && ctx.Err() != nil {
			return core.Decision{}, ctx.Err() // the client left: no fault of the policy
		}
		v.PolicySet = s.described.ID
		if verdict, speaks := p.record(q, &o); speaks {
			v.Verdicts = append(v.Verdicts, verdict)
		}
		v.Notes = append(v.Notes, o.Notes...)
		if p.Mode == manifest.Enforce {
			combine(&v, o)
			refusal = stronger(refusal, p.refusal(o))
		}
	}
	return v, refusal
}

// combine takes over the lower of two caps, and the rearmost of two priorities.
func combine(v *core.Decision, o guest.Answer) {
	if o.TTL > 0 && (v.TTL == 0 || o.TTL < v.TTL) {
		v.TTL = o.TTL
	}
	if o.CapsWait && (!v.CapWait || o.Wait < v.Wait) {
		v.Wait, v.CapWait = o.Wait, true
	}
	if o.SetsPriority && (!v.SetPriority || o.Priority < v.Priority) {
		v.Priority, v.SetPriority = o.Priority, true
	}
}

// stronger chooses between two refusals: a veto rather than an error, then the veto with the longer
// Retry-After, then the lower name. So the order of the manifest does not matter.
func stronger(a, b error) error {
	switch {
	case a == nil:
		return b
	case b == nil:
		return a
	}
	x, aDenies := errors.AsType[*core.DeniedError](a)
	y, bDenies := errors.AsType[*core.DeniedError](b)
	switch {
	case aDenies && !bDenies:
		return a
	case bDenies && !aDenies:
		return b
	case aDenies && (x.RetryAfter > y.RetryAfter || x.RetryAfter == y.RetryAfter && x.Policy < y.Policy):
		return a
	case aDenies:
		return b
	}
	p, _ := errors.AsType[*core.PolicyError](a)
	q, _ := errors.AsType[*core.PolicyError](b)
	if p.Policy < q.Policy {
		return a
	}
	return b
}

// refusal is the error that an answer means for the request, nil if it may go on.
func (p *policy) refusal(o guest.Answer) error {
	switch {
	case o.Fault != nil && p.OnError == manifest.AllowOnError:
		return nil
	case o.Fault != nil:
		return &core.PolicyError{Policy: p.Name, Err: o.Fault}
	case o.Denies:
		return &core.DeniedError{Policy: p.Name, Reason: o.Reason, RetryAfter: o.Retry}
	}
	return nil
}

// record is an answer as the audit log has it. speaks is false for a policy that only allows: the id
// of its set tells that it did.
func (p *policy) record(q *core.Question, o *guest.Answer) (v lock.Verdict, speaks bool) {
	v = lock.Verdict{Policy: p.Name, Digest: p.digest[:16], At: string(q.Phase), Mode: string(p.Mode), Verdict: "allow", Fuel: o.Fuel}
	if q.Hook != core.HookAcquire {
		v.At = string(q.Hook)
	}
	if o.SetsPriority {
		v.Priority = o.Priority.String()
	}
	switch {
	case o.Fault != nil:
		v.Verdict, v.Reason = "error", o.Fault.Kind
	case o.Denies:
		v.Verdict, v.Reason = "deny", o.Reason
	}
	if 0 < o.TTL && o.TTL < q.Asked.TTL {
		v.CapTTL = o.TTL
	}
	if o.CapsWait && o.Wait < q.Asked.Wait {
		v.CapWait, v.LowersWait = o.Wait, true
	}
	// The verdict beside a note tells the module and the mode of the policy that left it.
	return v, v.Verdict != "allow" || v.CapTTL > 0 || v.LowersWait || v.Priority != "" || len(o.Notes) > 0
}

// Status is a policy of the manifest with its statistics. A policy in mode off is not loaded, and has
// its entry in the manifest only.
type Status struct {
	Policy
	Digest           string // SHA-256 of the module, in hex; empty: not loaded
	Calls, Denials   uint64
	Errors           uint64 // requests without an answer, those without a call included
	FuelP50, FuelP99 int64  // upper bounds within a factor of two; 0: not called yet
	FuelUsed         uint64 // by all calls
	Health

	Observer *Observation // nil: it does not observe
}

func (s *set) status() []Status {
	all := make([]Status, len(s.policies))
	for i, p := range s.policies {
		all[i] = Status{
			Policy: p.Policy, Digest: p.digest,
			Calls: p.calls.Load(), Denials: p.denials.Load(), Errors: p.errors.Load(),
			FuelP50: p.spent.quantile(0.50), FuelP99: p.spent.quantile(0.99), FuelUsed: p.fuelUsed.Load(),
			Health: p.health(),
		}
	}
	return all
}

// difference describes the changes of a reload.
func difference(old, now *set) string {
	before, after := old.settings(), now.settings()
	var parts []string
	for _, p := range now.policies {
		change := ""
		if was, there := before[p.Name]; old != nil && !there {
			change = "new "
		} else if old != nil && was != after[p.Name] {
			change = "changed "
		}
		parts = append(parts, fmt.Sprintf("%s%s (%s, %s)", change, p.Name, p.Mode, p.digest))
	}
	if old != nil {
		for _, p := range old.policies {
			if now.switchedOff(p.Name) {
				parts = append(parts, "off "+p.Name)
			} else if _, there := after[p.Name]; !there {
				parts = append(parts, "gone "+p.Name)
			}
		}
	}
	if len(parts) == 0 {
		return "no policies"
	}
	return strings.Join(parts, ", ")
}

// settings returns the module and the settings of each policy, by name.
func (s *set) settings() map[string]string {
	all := map[string]string{}
	if s != nil {
		for _, p := range s.policies {
			all[p.Name] = string(p.settings())
		}
	}
	return all
}

// switchedOff reports whether the manifest has that policy in mode off.
func (s *set) switchedOff(name string) bool {
	return slices.ContainsFunc(s.off, func(p offPolicy) bool { return p.Name == name })
}

// observer returns the policy of that name, if it observes.
func (s *set) observer(name string) *policy {
	if s == nil {
		return nil
	}
	for _, p := range s.policies {
		if p.Name == name && slices.Contains(p.Hooks, manifest.HookObserve) {
			return p
		}
	}
	return nil
}

// observes reports whether the policy sees an event. Observers do not see events about observers: one
// that always fails would cause its own next failure.
func (p *policy) observes(l *record.Line) bool {
	switch {
	case l.Kind == lock.ObserverParked || l.Kind == lock.ObserverGap:
		return false
	case len(l.Name) > 0:
		return p.Matches(lock.Name(l.Name))
	}
	// Events without a lock go to observers of all locks.
	for i := len(p.Match) - 1; i >= 0; i-- {
		switch p.Match[i] {
		case "**":
			return true
		case "!**":
			return false
		}
	}
	return false
}

// offPolicy is an entry of a manifest in mode off: its module is not loaded.
type offPolicy struct {
	manifest.Policy
	index int // in the manifest
}

// withOff inserts an element for each policy in mode off, at its index in the manifest.
func withOff[T any](loaded []T, off []offPolicy, say func(manifest.Policy) T) []T {
	for _, p := range off { // in order, so that earlier elements are at their index
		loaded = slices.Insert(loaded, p.index, say(p.Policy))
	}
	return loaded
}
