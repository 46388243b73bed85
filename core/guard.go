package core

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/octostore/octostore/core/auth"
	"github.com/octostore/octostore/core/lock"
	"github.com/octostore/octostore/core/table"
)

// Hook is a kind of request a policy can have a say in.
type Hook string

// Hooks.
const (
	HookAcquire Hook = "acquire"
	HookRenew   Hook = "renew"
	HookBreak   Hook = "break"
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
	Hook  Hook
	Phase Phase
	// Asked is the request, not to be changed. Of a renew and a break, Holder and
	// Metadata are those of the lease; Reason is the lease's, or why it is broken.
	Asked  lock.Acquisition
	Waited time.Duration // phase grant
	View   lock.View     // the lock as last committed
	// Held counts the locks the account holds whose names begin with a prefix, as last
	// committed. It costs by what it counts.
	Held func(prefix string) int
	// Locks is where a guard looks at other locks; nil: nothing is known of them.
	Locks Locks
}

// Locks shows locks as last committed. What it says is advisory: it may have changed by
// the time the answer is used. It is safe for use by many goroutines.
type Locks interface {
	// Get returns the state of a name, which may be any text: what is not a name is free.
	Get(name lock.Name) lock.View
	// HeldUnder counts the locks held by any account whose names begin with a prefix. It
	// looks at no more than most names, and returns at how many: if that is most, there may
	// be more.
	HeldUnder(prefix string, most int) (held, looked int)
}

var _ Locks = (*table.Table)(nil)

// ErrChangedHands is the answer to a break that policies judge, if the lock has had
// another lease every time they had finished. Nothing was broken.
var ErrChangedHands = errors.New("the lock changed hands while policies judged the break, so nothing was broken; ask again, or name a fencing_token")

// Decision is a guard's leave to go on, or, beside an error, what is to be recorded
// of its refusal.
type Decision struct {
	TTL  time.Duration // cap on the ttl; 0: none. Acquire in phase request only
	Wait time.Duration // cap on the wait, where CapWait is set. Acquire in phase request only

	CapWait bool

	// Priority is the class the request waits in, where SetPriority is set: the rearmost
	// that a policy asked for. Acquire in phase request only.
	Priority    lock.Priority
	SetPriority bool

	lock.Opinion // kept with the event
}

// Guard is what the service asks before a lock is given, renewed or broken.
// Implementations are safe for use by many goroutines.
type Guard interface {
	// Covers reports, quickly, whether Judge would have anything to say about a name.
	// Names that are not covered pay for nothing more, and their lock changes hands in
	// the commit that freed it. It is also called by the table's loop: it must not block
	// and must not call the service.
	Covers(Hook, lock.Name) bool
	// Judge returns nil for yes, a [*DeniedError] for no, a [*PolicyError] where the
	// policies could not answer, or another error if ctx ended before they had. What it
	// says in the Opinion is recorded beside the first three.
	Judge(ctx context.Context, q Question) (Decision, error)
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

// Rechecks returns what table.Config wants to know of a guard that may be nil: whether a
// waiter for a name has to be judged again at its turn, now that the turn has come.
func Rechecks(g Guard) func(lock.Name) bool {
	if g == nil {
		return nil
	}
	return func(name lock.Name) bool { return g.Covers(HookAcquire, name) }
}

// open is the guard of a server without policies.
type allowAll struct{}

func (allowAll) Covers(Hook, lock.Name) bool                       { return false }
func (allowAll) Judge(context.Context, Question) (Decision, error) { return Decision{}, nil }

// question completes a question about a request.
func (s *Service) question(hook Hook, phase Phase, a lock.Acquisition, view lock.View) Question {
	return Question{
		Hook: hook, Phase: phase, Asked: a, View: view,
		Held:  func(prefix string) int { return s.table.HeldBy(a.Actor.Account, prefix) },
		Locks: s.table,
	}
}

// Suppose returns what the guard would be asked if an account made this request now;
// empty is the principal's own. Nothing is done and nothing is recorded. Policies are told
// who holds the lock and how many locks the account holds, and may tell: so it takes the
// right to read the lock, and for another account the right to read all locks. What a
// policy's reason tells of other locks, which its manifest lets it look at, is for everyone
// who asks for a lock under it, and needs no more than asking does. Errors:
// [*input.Error], [*ForbiddenError].
func (s *Service) AcquireQuestion(p auth.Principal, account string, r AcquireRequest) (Question, error) {
	account = cmp.Or(account, p.Account)
	if err := may(p, "read", auth.Read, r.Name); err != nil {
		return Question{}, err
	}
	if err := mayAskFor(p, account); err != nil {
		return Question{}, err
	}
	a, err := s.acquisition(supposed(p, account), r)
	if err != nil {
		return Question{}, err
	}
	return s.question(HookAcquire, PhaseRequest, a, s.table.Get(a.Name)), nil
}

// acquireJudged asks the guard about a new request, applies what it says, and
// arranges that it is asked again when the request has waited and its turn comes.
// An attempt that has its lease already is not judged again: it only did not hear of
// it.
func (s *Service) acquireJudged(ctx context.Context, a lock.Acquisition) (table.Grant, error) {
	if !a.Attempt.IsZero() {
		if g, ok, err := s.table.Repeat(a); ok || err != nil {
			return g, err
		}
	}
	asked := a // every policy sees the request as it came, whatever another made of it
	if err := s.judgeAcquire(ctx, &a); err != nil {
		return table.Grant{}, err
	}
	return s.acquireAtTurn(ctx, a, asked)
}

// judgeAcquire asks the guard about a new request, and applies what it says.
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

// left returns [lock.ErrGone] if the client left while the policies agreed: a grant would
// only have to be undone, and a lease be broken for nobody.
func clientGone(ctx context.Context) error {
	if ctx.Err() != nil {
		return lock.ErrGone
	}
	return nil
}

// acquireAtTurn takes the lock, and has the guard asked again if the request has waited.
func (s *Service) acquireAtTurn(ctx context.Context, a, asked lock.Acquisition) (table.Grant, error) {
	if a.Wait <= 0 {
		return s.table.Acquire(ctx, a)
	}
	g, err := s.table.AcquireWith(ctx, a, s.judgeAtTurn(asked, a.Opinion))
	if refused, is := err.(*refusedAtTurn); is {
		s.refusals.gather()
		return table.Grant{}, s.recordRefusal(ctx, asked, refused.said, refused.error)
	}
	return g, err
}

// refusedAtTurn is a refusal that is not on record yet. The next in line is called as
// soon as the refused has left the queue, which does not wait for a commit; before it is
// answered the refusal is on record.
type refusedAtTurn struct {
	error
	said lock.Opinion
}

// gathering has refusals recorded together that come close after each other, as when a
// whole queue is refused, one waiter after the other: each would have a commit of its own.
type gathering struct {
	mu   sync.Mutex // held for moments only
	over chan struct{}
}

const gatherFor = 2 * time.Millisecond

// gather waits until those that came meanwhile may go on together.
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

// judgeAtTurn returns what has the guard asked again when the request has waited and its
// turn comes, if policies cover the name then (see [Rechecks]): they may have changed
// while it waited, either way. What was said when it came in stays on record.
func (s *Service) judgeAtTurn(asked lock.Acquisition, before lock.Opinion) table.Recheck {
	return func(ctx context.Context, at lock.Turn) (lock.Opinion, error) {
		q := s.question(HookAcquire, PhaseGrant, asked, s.table.Get(asked.Name))
		q.Waited = at.Waited
		atTurn, err := s.judge(ctx, q)
		if errors.Is(err, lock.ErrGone) {
			return lock.Opinion{}, err
		}
		said := before // the sets of the two times may differ: policies are loaded again meanwhile
		said.SetAtGrant, said.Notes = atTurn.PolicySet, atTurn.Notes
		said.Verdicts = append(before.Verdicts[:len(before.Verdicts):len(before.Verdicts)], atTurn.Verdicts...)
		if err != nil {
			return lock.Opinion{}, &refusedAtTurn{err, said}
		}
		return said, nil
	}
}

// judgeRenew asks the guard about a renewal. A veto leaves the lease to its present
// end. A policy that cannot answer does not take a lease away. A client that leaves
// before the policies have answered does not renew: else leaving early would pass them by.
func (s *Service) judgeRenew(ctx context.Context, r *lock.RenewRequest) error {
	view := s.table.Get(r.Name)
	if view.Lease == nil || !s.table.Proves(view.Lease, r.Actor.Account, r.LeaseID) {
		return nil // the table says so; policies speak to those who have the lock, of what they have
	}
	if view.Lease.ConfirmWithin > 0 && r.TTL <= view.Lease.TTL {
		r.OnlyConfirm = true // a renewal that meanwhile came before this one is not followed by a second one unasked
		return nil
	}
	a := ofLease(r.Origin, view.Lease)
	if r.TTL != 0 {
		a.TTL = r.TTL
	}
	v, err := s.judge(ctx, s.question(HookRenew, PhaseRequest, a, view))
	if _, denied := err.(*DeniedError); denied || errors.Is(err, lock.ErrGone) {
		s.table.Received(*r) // the lease is not to be undone before its present end
		return s.recordRefusal(ctx, a, v.Opinion, err)
	}
	r.Opinion = v.Opinion
	return nil
}

// judgedTimes bounds how often a break is judged because the lock changed hands while
// the policies looked at it.
const judgedTimes = 4

// unjudged is the fencing token of no lease, since sequence numbers stay below 2^53. A
// break of a lock that looked free carries it: the table then breaks nothing, and says
// whether the lock is free.
const unjudged lock.Token = 1 << 53

// judgedBreak asks the guard whether the present lease may be broken, and has end break
// that one and no other. If another lease has begun meanwhile, it is judged in its turn,
// unless the request names the fencing token it is about.
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

// judgeBreak asks the guard about the lease that is to be broken, and returns the break
// with that lease's fencing token.
func (s *Service) judgeBreak(ctx context.Context, b lock.BreakRequest) (lock.BreakRequest, error) {
	view := s.table.Get(b.Name)
	if view.Lease == nil || b.Token != 0 && b.Token != view.Lease.Token {
		b.Token = unjudged // the table says why there is nothing to break
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

// judge asks the guard. A client that leaves meanwhile is no fault of a policy: the error
// is then [lock.ErrGone] instead of what the guard made of the end of ctx.
func (s *Service) judge(ctx context.Context, q Question) (Decision, error) {
	v, err := s.cfg.Guard.Judge(ctx, q)
	if err == nil || ctx.Err() == nil {
		return v, err
	}
	switch err.(type) {
	case *DeniedError, *PolicyError:
		return v, err // a policy has spoken, or failed by itself
	}
	return Decision{}, lock.ErrGone
}

// ofLease describes a request about a lease that exists.
func ofLease(by lock.Origin, l *lock.Lease) lock.Acquisition {
	return lock.Acquisition{Origin: by, Name: l.Name, Holder: l.Holder, Reason: l.Reason, Metadata: l.Metadata, TTL: l.TTL}
}

// recordRefusal writes the refusal into the journal and returns what the client is
// to be told: the refusal, or that it could not be recorded. Either way nothing is
// done. The departure of the client is no refusal and is not recorded.
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
	if _, denied := refusal.(*DeniedError); denied {
		e.Kind = lock.Denied
	}
	if _, err := s.table.Append(ctx, e); err != nil {
		return err
	}
	return refusal
}
