package server

import (
	"context"
	"errors"
	"time"

	"github.com/octostore/octostore/core"
	"github.com/octostore/octostore/core/input"
	"github.com/octostore/octostore/core/journal/record"
	"github.com/octostore/octostore/core/lock"
	"github.com/octostore/octostore/hooks"
	"github.com/octostore/octostore/transport/api"
)

// administered shows policies to the API.
type administered struct{ *policies }

// List implements [transport.Policies].
func (a administered) List() api.PolicyList {
	loaded := time.Unix(0, a.loaded.Load()).UTC().Truncate(time.Millisecond)
	all := api.PolicyList{
		Engine: string(a.Engine()), LoadedAt: &loaded, FailedReloads: a.failed.Load(), LastFailure: a.failure.Load(),
		Policies: []api.Policy{},
	}
	for _, s := range a.Policies() {
		p := api.Policy{
			Name: s.Name, Module: s.Module, Digest: s.Digest, Match: s.Match, Mode: string(s.Mode), OnError: string(s.OnError),
			Fuel: s.Fuel, Calls: s.Calls, Denials: s.Denials, Errors: s.Errors, FuelP50: s.FuelP50, FuelP99: s.FuelP99, FuelUsed: s.FuelUsed,
			PolicyHealth: healthOf(s.Health),
		}
		for _, h := range s.Hooks {
			p.Hooks = append(p.Hooks, string(h))
		}
		if o := s.Observer; o != nil {
			p.Observer = &api.Observer{After: record.FormatCursor(o.After), LagMS: o.Lag.Milliseconds(), Parked: o.Parked, Gaps: o.Gaps}
		}
		all.Policies = append(all.Policies, p)
	}
	return all
}

func healthOf(h hooks.Health) api.PolicyHealth {
	all := api.PolicyHealth{
		BreakerOpen: h.BreakerOpen, BreakerOpened: h.BreakerOpened, Instances: h.Instances, MemoryBytes: h.Memory, Starts: h.Starts,
		Waits: h.Waits, WaitedNS: h.Waited.Nanoseconds(), LinesDropped: h.LinesDropped,
		Latency: api.PolicyLatency{Calls: h.Latency.Calls, TotalNS: h.Latency.Total.Nanoseconds(), Buckets: []api.LatencyBucket{}},
	}
	for _, b := range h.Latency.Buckets {
		all.Latency.Buckets = append(all.Latency.Buckets, api.LatencyBucket{AtMostNS: b.AtMost.Nanoseconds(), Calls: b.Calls})
	}
	return all
}

// Reload implements [transport.Policies].
func (a administered) Reload(ctx context.Context, by lock.Origin, reason string) (string, error) {
	changes, err := a.reload(ctx, by, reason)
	if bad, is := errors.AsType[*loadError](err); is {
		return "", &input.Error{
			Field:   "policies",
			Problem: "stay as they are: " + bad.Error(),
			Want:    "a manifest without mistakes whose modules all load",
		}
	}
	return changes, err
}

// Explain implements [transport.Policies].
func (a administered) Explain(ctx context.Context, q core.Question, at time.Time) (api.Explanation, error) {
	found, err := a.Host.Explain(ctx, q, at)
	if err != nil {
		return api.Explanation{}, err
	}
	all := api.Explanation{
		Name:     string(q.Asked.Name),
		Account:  q.Asked.Actor.Account,
		Verdict:  "allow",
		Priority: found.Priority,
		Policies: []api.Explained{},
	}
	if denied, is := errors.AsType[*core.DeniedError](found.Refusal); is {
		all.Verdict, all.By, all.Reason = "deny", denied.Policy, denied.Reason
	} else if failed, is := errors.AsType[*core.PolicyError](found.Refusal); is {
		all.Verdict, all.By = "error", failed.Policy
	}
	for _, p := range found.Policies {
		e := api.Explained{Policy: p.Name, Digest: p.Digest, Mode: string(p.Mode), OnError: string(p.OnError), Asked: p.Asked, Why: p.Why}
		if p.Asked {
			e.Said = saidBy(p.Said)
		}
		all.Policies = append(all.Policies, e)
	}
	return all, nil
}

func saidBy(o hooks.Outcome) *api.Said {
	said := &api.Said{
		Verdict: o.Verdict, Reason: o.Reason, RetryAfter: o.RetryAfter.Milliseconds(),
		TTL: o.TTL.Milliseconds(), Wait: o.Wait.Milliseconds(), Priority: o.Priority, Fuel: o.Fuel,
	}
	if o.Fault != nil {
		said.Reason, said.Error = o.FaultKind, o.Fault.Error()
	}
	for _, n := range o.Notes {
		if said.Notes == nil {
			said.Notes = map[string]string{}
		}
		said.Notes[n.Key] = n.Value
	}
	for _, l := range o.Logs {
		said.Logs = append(said.Logs, l.Text)
	}
	return said
}
