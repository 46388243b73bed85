package core

import (
	"context"
	"fmt"
	"time"

	"github.com/octostore/octostore/core/lock"
)

// Hook is a kind of request a policy can have a say in.
type Hook string

// Hooks.
const (
	HookAcquire Hook = "acquire"
)

// Phase says when a policy is asked.
type Phase string

// Phases.
const (
	PhaseRequest Phase = "request" // the request came in
	PhaseGrant   Phase = "grant"   // it waited, and it is its turn
)

// Question is what a guard is asked.
type Question struct {
	Hook   Hook
	Phase  Phase
	Asked  lock.Acquisition // not to be changed
	Waited time.Duration    // phase grant
	View   lock.View        // the lock as last committed
}

// Verdict is a guard's leave to go on.
type Verdict struct {
	TTL   time.Duration // cap on the ttl; 0: none. Phase request only
	Wait  time.Duration // cap on the wait, where CapWait is set. Phase request only
	Notes []lock.Note   // kept with the grant

	CapWait bool
}

// Guard is what the service asks before a lock is given. Implementations are safe
// for use by many goroutines.
type Guard interface {
	// Covers reports, quickly, whether Judge would have anything to say about a name.
	// Names that are not covered pay for nothing more, and their lock changes hands in
	// the commit that freed it.
	Covers(Hook, lock.Name) bool
	// Judge returns nil for yes, a [*DeniedError] for no, a [*PolicyError] where the
	// policies could not answer.
	Judge(ctx context.Context, q Question) (Verdict, error)
}

// DeniedError is a policy's no.
type DeniedError struct {
	Policy     string
	Reason     string
	RetryAfter time.Duration // 0: the policy did not say
}

func (e *DeniedError) Error() string { return fmt.Sprintf("policy %s: %s", e.Policy, e.Reason) }

// PolicyError means a policy that has to agree could not answer.
type PolicyError struct {
	Policy string
	Err    error
}

func (e *PolicyError) Error() string {
	return fmt.Sprintf("policy %s could not answer: %v", e.Policy, e.Err)
}
func (e *PolicyError) Unwrap() error { return e.Err }

// open is the guard of a server without policies.
type open struct{}

func (open) Covers(Hook, lock.Name) bool                      { return false }
func (open) Judge(context.Context, Question) (Verdict, error) { return Verdict{}, nil }

// acquireJudged asks the guard about a new request, applies what it says, and
// arranges that it is asked again when the request has waited and its turn comes.
// An attempt that has its lease already is not judged again: it only did not hear of
// it.
func (s *Service) acquireJudged(ctx context.Context, a lock.Acquisition) (lock.Grant, error) {
	if g, ok, err := s.table.Repeat(a); ok || err != nil {
		return g, err
	}
	asked := a // every policy sees the request as it came, whatever another made of it
	ask := func(ctx context.Context, phase Phase, waited time.Duration) (Verdict, error) {
		return s.cfg.Guard.Judge(ctx, Question{
			Hook: HookAcquire, Phase: phase, Asked: asked, Waited: waited, View: s.table.Get(a.Name),
		})
	}
	v, err := ask(ctx, PhaseRequest, 0)
	if err != nil {
		return lock.Grant{}, s.recordRefusal(ctx, a, err)
	}
	if v.TTL > 0 {
		a.TTL = min(a.TTL, max(v.TTL, lock.MinTTL))
	}
	if v.CapWait {
		a.Wait = min(a.Wait, max(v.Wait, 0))
	}
	a.Notes = v.Notes
	a.Confirm = func(ctx context.Context, at lock.Turn) ([]lock.Note, error) {
		v, err := ask(ctx, PhaseGrant, at.Waited)
		if err != nil {
			return nil, s.recordRefusal(ctx, a, err)
		}
		return v.Notes, nil
	}
	return s.table.Acquire(ctx, a)
}

// recordRefusal writes the refusal into the journal and returns what the client is
// to be told: the refusal, or that it could not be recorded. Either way the lock is
// not given.
func (s *Service) recordRefusal(ctx context.Context, a lock.Acquisition, refusal error) error {
	e := lock.Event{
		Kind:      lock.PolicyError,
		Actor:     a.Actor,
		RequestID: a.RequestID,
		TraceID:   a.TraceID,
		Cause:     refusal.Error(),
		Lease: &lock.Lease{
			Name: a.Name, Account: a.Actor.Account, Holder: a.Holder, Reason: a.Reason, Metadata: a.Metadata, TTL: a.TTL,
		},
	}
	if _, denied := refusal.(*DeniedError); denied {
		e.Kind = lock.Denied
	}
	if _, err := s.table.Append(ctx, e); err != nil {
		return err
	}
	return refusal
}
