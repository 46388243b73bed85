package core

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/octostore/octostore/core/lock"
	"github.com/octostore/octostore/core/table"
)

// Hook is a kind of request that policies judge.
type Hook string

// Hooks.
const (
	HookAcquire Hook = "acquire"
	HookRenew   Hook = "renew"
	HookBreak   Hook = "break"
)

// Phase says when policies judge a request.
type Phase string

// Phases.
const (
	PhaseRequest Phase = "request" // the request arrived
	PhaseGrant   Phase = "grant"   // it waited, and has reached the front of the queue
)

// Question is a request for a guard to judge.
type Question struct {
	Hook  Hook
	Phase Phase
	// Asked is the request; do not change it. For a renewal or a break, Holder and
	// Metadata are those of the lease. Reason is that of the lease, or of the break.
	Asked  lock.Acquisition
	Waited time.Duration // phase grant
	View   lock.View     // the lock as last committed
	// Held counts the locks that the account holds under a prefix, as last committed. Its
	// cost grows with the count.
	Held func(prefix string) int
	// Locks shows other locks to the guard; nil: none.
	Locks Locks
}

// Locks shows locks as last committed. The answers are advisory: they may be out of date
// when they are used. It is safe for use by many goroutines.
type Locks interface {
	// Get returns the state of a lock. A text that is not a valid name is free.
	Get(name lock.Name) lock.View
	// HeldUnder counts the locks that any account holds under a prefix. It looks at most at
	// most names, and returns at how many: if that is most, there may be more.
	HeldUnder(prefix string, most int) (held, looked int)
}

var _ Locks = (*table.Table)(nil)

// ErrChangedHands is the answer to a break if the lock had another holder each time the
// policies had judged it. Nothing was broken.
var ErrChangedHands = errors.New(
	"the lock changed hands while policies judged the break, so nothing was broken; ask again, or name a fencing_token",
)

// Decision is how a guard allows a request, or, together with an error, what is recorded of
// the refusal.
type Decision struct {
	TTL  time.Duration // cap on the ttl; 0: none. Acquire in phase request only
	Wait time.Duration // cap on the wait, if CapWait is set. Acquire in phase request only

	CapWait bool

	// Priority is the class of the waiter, if SetPriority is set: the last of those that
	// policies asked for. Acquire in phase request only.
	Priority    lock.Priority
	SetPriority bool

	lock.Opinion // recorded with the event
}

// Guard judges acquires, renewals and breaks: the policies. Implementations are safe for use
// by many goroutines.
type Guard interface {
	// Covers reports, quickly, whether Judge must be asked about a name. A lock whose name is
	// not covered goes to the next waiter in the commit that freed it. The loop of the
	// table calls Covers too, so it must not block and must not call the service.
	Covers(Hook, lock.Name) bool
	// Judge returns nil to allow the request, a [*DeniedError] to deny it, a [*PolicyError]
	// if the policies could not answer, or another error if ctx ended first. In the first
	// three cases the Opinion is recorded.
	Judge(ctx context.Context, q Question) (Decision, error)
}

// DeniedError means that a policy denied the request.
type DeniedError struct {
	Policy     string
	Reason     string
	RetryAfter time.Duration // 0: the policy did not say
}

func (e *DeniedError) Error() string { return fmt.Sprintf("policy %s: %s", e.Policy, e.Reason) }

// PolicyError means that a policy whose consent is required could not answer.
type PolicyError struct {
	Policy string
	Err    error
}

func (e *PolicyError) Error() string {
	return fmt.Sprintf("policy %s could not answer: %v", e.Policy, e.Err)
}
func (e *PolicyError) Unwrap() error { return e.Err }

// Rechecks returns the function that table.Config needs: whether a waiter for a name must be
// judged again when it reaches the front of the queue. g may be nil.
func Rechecks(g Guard) func(lock.Name) bool {
	if g == nil {
		return nil
	}
	return func(name lock.Name) bool { return g.Covers(HookAcquire, name) }
}

// allowAll is the guard of a server without policies.
type allowAll struct{}

func (allowAll) Covers(Hook, lock.Name) bool                       { return false }
func (allowAll) Judge(context.Context, Question) (Decision, error) { return Decision{}, nil }

// question returns the question about a request.
func (s *Service) question(hook Hook, phase Phase, a lock.Acquisition, view lock.View) Question {
	return Question{
		Hook: hook, Phase: phase, Asked: a, View: view,
		Held:  func(prefix string) int { return s.table.HeldBy(a.Actor.Account, prefix) },
		Locks: s.table,
	}
}

// askJudged has the guard judge a new request, applies the decision, and has the guard
// asked again when the request has waited and reached the front. A repeated attempt that
// has its lease already is not judged again: only the answer was lost.
func (s *Service) askJudged(ctx context.Context, a *lock.Acquisition) (Asked, error) {
	if !a.Attempt.IsZero() {
		if g, ok, err := s.table.Repeat(*a); ok || err != nil {
			return Asked{grant: &g}, err
		}
	}
	asked := *a // every policy sees the original request, without the caps of other policies
	if err := s.judgeAcquire(ctx, a); err != nil {
		return Asked{}, err
	}
	return s.askAtTurn(ctx, a, &asked)
}

// judgeAcquire has the guard judge a new request, and applies the decision.
func (s *Service) judgeAcquire(ctx context.Context, a *lock.Acquisition) error {
	v, err := s.judge(ctx, s.question(HookAcquire, PhaseRequest, *a, s.table.Get(a.Name)))
	if err != nil {
		return s.recordRefusal(ctx, *a, v.Opinion, err)
	}
	if v.TTL > 0 {
		a.TTL = min(a.TTL, max(v.TTL, lock.MinTTL))
	}
	if v.CapWait {
		a.Wait = min(a.Wait, max(v.Wait, 0))
	}
	if v.SetPriority {
		a.Priority = v.Priority
	}
	a.Opinion = v.Opinion
	return clientGone(ctx)
}

// clientGone returns [lock.ErrGone] if the client left while the policies judged. A grant
// would have to be undone, and a break would have no client.
func clientGone(ctx context.Context) error {
	if ctx.Err() != nil {
		return lock.ErrGone
	}
	return nil
}

// askAtTurn asks for the lock. If the request has to wait, the guard is asked again when it
// reaches the front.
func (s *Service) askAtTurn(ctx context.Context, a, asked *lock.Acquisition) (Asked, error) {
	if a.Wait <= 0 {
		q, err := s.table.Ask(ctx, a, nil)
		return Asked{service: s, table: q, name: a.Name}, err
	}
	q, err := s.table.Ask(ctx, a, s.judgeAtTurn(asked, &a.Opinion))
	return Asked{service: s, table: q, name: a.Name, judged: asked}, err
}

// recorded returns the refusal of a request, after it was recorded if the guard refused it at
// its turn.
func (a *Asked) recorded(ctx context.Context, err error) error {
	if refused, is := errors.AsType[*refusedAtTurn](err); is {
		a.service.refusals.gather()
		return a.service.recordRefusal(ctx, *a.judged, refused.said, refused.error)
	}
	return err
}

// refusedAtTurn is a refusal that is not recorded yet. The next waiter is called as soon as
// the refused one has left the queue, without a commit. The refusal is recorded before its
// client gets the answer.
type refusedAtTurn struct {
	error
	said lock.Opinion
}

// gathering has refusals that follow each other closely recorded in one commit, as when the
// policies refuse a whole queue, one waiter after the other.
type gathering struct {
	mu   sync.Mutex // held briefly
	over chan struct{}
}

const gatherFor = 2 * time.Millisecond

// gather waits until the refusals of the present interval continue together.
func (g *gathering) gather() {
	g.mu.Lock()
	if g.over == nil {
		g.over = make(chan struct{})
		time.AfterFunc(gatherFor, g.end)
	}
	over := g.over
	g.mu.Unlock()
	<-over
}

func (g *gathering) end() {
	g.mu.Lock()
	defer g.mu.Unlock()
	close(g.over)
	g.over = nil
}

// judgeAtTurn returns the recheck of a waiter that has reached the front, if policies cover
// the name then (see [Rechecks]): the policies may have changed while it waited. The
// verdicts from the arrival of the request stay in the record.
func (s *Service) judgeAtTurn(asked *lock.Acquisition, before *lock.Opinion) table.Recheck {
	return func(ctx context.Context, at lock.Turn) (lock.Opinion, error) {
		q := s.question(HookAcquire, PhaseGrant, *asked, s.table.Get(asked.Name))
		q.Waited = at.Waited
		atTurn, err := s.judge(ctx, q)
		if errors.Is(err, lock.ErrGone) {
			return lock.Opinion{}, err
		}
		said := *before // the policy sets may differ: policies can be reloaded meanwhile
		said.SetAtGrant, said.Notes = atTurn.PolicySet, atTurn.Notes
		said.Verdicts = append(before.Verdicts[:len(before.Verdicts):len(before.Verdicts)], atTurn.Verdicts...)
		if err != nil {
			return lock.Opinion{}, &refusedAtTurn{err, said}
		}
		return said, nil
	}
}

// judgeRenew has the guard judge a renewal. After a veto the lease runs until its present
// end. A policy that cannot answer does not prevent a renewal. If the client leaves before
// the policies have answered, nothing is renewed: otherwise leaving early would evade them.
func (s *Service) judgeRenew(ctx context.Context, r *lock.RenewRequest) error {
	view := s.table.Get(r.Name)
	if view.Lease == nil || !s.table.Proves(view.Lease, r.Actor.Account, r.LeaseID) {
		return nil // the table refuses it; policies judge only the holder, about its own lease
	}
	if view.Lease.ConfirmWithin > 0 && r.TTL <= view.Lease.TTL {
		r.OnlyConfirm = true // if another renewal comes first, this one changes nothing: it was not judged
		return nil
	}
	a := ofLease(r.Origin, view.Lease)
	if r.TTL != 0 {
		a.TTL = r.TTL
	}
	v, err := s.judge(ctx, s.question(HookRenew, PhaseRequest, a, view))
	if _, denied := errors.AsType[*DeniedError](err); denied || errors.Is(err, lock.ErrGone) {
		s.table.Received(*r) // the lease must not be undone before its present end
		return s.recordRefusal(ctx, a, v.Opinion, err)
	}
	r.Opinion = v.Opinion
	return nil
}

// judgedTimes limits how often a break is judged again because the lock got another holder
// meanwhile.
const judgedTimes = 4

// unjudged is a fencing token that no lease has, since sequence numbers stay below 2^53. The
// break of a lock that looked free carries it: the table then breaks nothing, and says
// whether the lock is free.
const unjudged lock.Token = 1 << 53

// judgedBreak has the guard judge the break of the present lease, and has end break exactly
// that lease. If the lock has another lease meanwhile, that one is judged too, unless the
// request names a fencing token.
func (s *Service) judgedBreak(ctx context.Context, b lock.BreakRequest, end func(lock.BreakRequest) error) error {
	for range judgedTimes {
		judged, err := s.judgeBreak(ctx, b)
		if err != nil {
			return err
		}
		if err := end(judged); b.Token != 0 || !errors.Is(err, lock.ErrTokenChanged) {
			return err
		}
	}
	return ErrChangedHands
}

// judgeBreak has the guard judge the break of the present lease, and returns the break with
// the fencing token of that lease.
func (s *Service) judgeBreak(ctx context.Context, b lock.BreakRequest) (lock.BreakRequest, error) {
	view := s.table.Get(b.Name)
	if view.Lease == nil || b.Token != 0 && b.Token != view.Lease.Token {
		b.Token = unjudged // the table answers why there is nothing to break
		return b, nil
	}
	a := ofLease(b.Origin, view.Lease)
	a.Reason = b.Cause
	v, err := s.judge(ctx, s.question(HookBreak, PhaseRequest, a, view))
	if err != nil {
		return b, s.recordRefusal(ctx, a, v.Opinion, err)
	}
	b.Token, b.Opinion = view.Lease.Token, v.Opinion
	return b, clientGone(ctx)
}

// judge asks the guard. If the client leaves meanwhile, which is not a fault of a policy, the
// error is [lock.ErrGone].
func (s *Service) judge(ctx context.Context, q Question) (Decision, error) {
	v, err := s.cfg.Guard.Judge(ctx, q)
	if err == nil || ctx.Err() == nil {
		return v, err
	}
	_, denied := errors.AsType[*DeniedError](err)
	_, failed := errors.AsType[*PolicyError](err)
	if denied || failed {
		return v, err // a policy has decided, or failed by itself
	}
	return Decision{}, lock.ErrGone
}

// ofLease returns a request about an existing lease.
func ofLease(by lock.Origin, l *lock.Lease) lock.Acquisition {
	return lock.Acquisition{Origin: by, Name: l.Name, Holder: l.Holder, Reason: l.Reason, Metadata: l.Metadata, TTL: l.TTL}
}

// recordRefusal records the refusal, and returns the error for the client: the refusal, or
// that it could not be recorded. [lock.ErrGone] is not a refusal and is not recorded.
func (s *Service) recordRefusal(ctx context.Context, a lock.Acquisition, said lock.Opinion, refusal error) error {
	if errors.Is(refusal, lock.ErrGone) {
		return refusal
	}
	e := lock.Event{
		Kind:       lock.PolicyError,
		Actor:      a.Actor,
		RequestID:  a.RequestID,
		TraceID:    a.TraceID,
		Cause:      refusal.Error(),
		Notes:      said.Notes,
		Verdicts:   said.Verdicts,
		PolicySet:  said.PolicySet,
		SetAtGrant: said.SetAtGrant,
		Lease: &lock.Lease{
			Name: a.Name, Account: a.Actor.Account, Holder: a.Holder, Reason: a.Reason, Metadata: a.Metadata, TTL: a.TTL,
		},
	}
	if _, denied := errors.AsType[*DeniedError](refusal); denied {
		e.Kind = lock.Denied
	}
	if _, err := s.table.Append(ctx, e); err != nil {
		return err
	}
	return refusal
}
