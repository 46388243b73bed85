package table

import (
	"context"
	"errors"
	"time"

	"github.com/octostore/octostore/core/lock"
)

// How long a caller waits for an answer that is overdue, because a commit hangs,
// before it is told that the outcome is unknown. While draining no caller waits longer
// than for the drain itself.
const (
	patience         = 2 * time.Second
	drainingPatience = time.Second
)

// Acquire takes the lock, waiting in its queue for up to a.Wait. A nil error means
// the lease is granted and durable; the caller looks at the clock once more before
// passing it on, and calls [Table.Undo] if it could not be passed on.
//
// Errors: [*lock.HeldError], [lock.ErrSuperseded], [lock.ErrAttemptOver], [lock.ErrKeyMismatch],
// [lock.ErrQueueFull], [lock.ErrQuota], [lock.ErrWaitsEnough], [lock.ErrDraining], [lock.ErrFull], [lock.ErrOutcomeUnknown],
// [lock.ErrDeposed], [lock.ErrClosed], [lock.ErrGone] when ctx ended first.
func (t *Table) Acquire(ctx context.Context, a lock.Acquisition) (Grant, error) {
	return t.AcquireWith(ctx, a, nil)
}

// AcquireWith is [Table.Acquire] for a request that is looked at once more when its turn
// comes, unless Config.Rechecks says that there is no need: until recheck agrees it is not
// granted the lock. It returns the error of recheck, too.
func (t *Table) AcquireWith(ctx context.Context, a lock.Acquisition, recheck Recheck) (Grant, error) {
	onlyRepeat, err := t.admit(&a)
	if err != nil {
		return Grant{}, err
	}
	c := t.requests.get(lock.DoAcquire, a.Name, a.Origin)
	c.Acquire, c.OnlyRepeat, c.Rechecks = &a, onlyRepeat, recheck != nil
	if err := t.inbox.put(&c.Command); err != nil {
		return Grant{}, err
	}
	r := t.await(ctx, c, recheck)
	defer t.requests.put(c)
	if r.Err != nil {
		var held *lock.HeldError
		if errors.As(r.Err, &held) {
			held.Waited = time.Since(c.At)
		}
		return Grant{}, r.Err
	}
	return t.grant(r), nil
}

func (t *Table) grant(r lock.Reply) Grant {
	return Grant{
		Lease:    r.Lease,
		LeaseID:  t.ids.id(r.Lease.Name, r.Lease.Token),
		Waited:   r.Waited,
		Repeat:   r.Repeat,
		undoable: r.Undoable,
	}
}

// Repeat returns the lease that the attempt of a has been given already, if it is
// live; ok is false if there is none, or no key. Errors: [lock.ErrKeyMismatch],
// [lock.ErrOutcomeUnknown], [lock.ErrDeposed], [lock.ErrClosed].
func (t *Table) Repeat(a lock.Acquisition) (g Grant, ok bool, err error) {
	if a.Attempt.IsZero() {
		return Grant{}, false, nil
	}
	c := t.requests.get(lock.DoRepeat, a.Name, a.Origin)
	c.Acquire = &a
	r, err := t.ask(c)
	if err != nil || r.Lease == nil {
		return Grant{}, false, err
	}
	return t.grant(r), true, nil
}

// Full reports whether acquires are refused because there is no space to record
// them.
func (t *Table) Full() bool {
	if t.cfg.Full != nil {
		return t.cfg.Full()
	}
	return t.full.Load()
}

// admit refuses acquires that need not reach the loop. When the disk is full, one is
// let in now and then to find out whether it still is, unless the store itself
// knows; and an attempt may still ask for the lease it has.
func (t *Table) admit(a *lock.Acquisition) (onlyRepeat bool, err error) {
	switch {
	case t.Draining():
		return false, lock.ErrDraining
	case !t.Full() || t.cfg.Full == nil && t.probes():
		return false, nil
	case !a.Attempt.IsZero():
		return true, nil
	}
	return false, lock.ErrFull
}

// probes reports whether it is time to let one acquire try.
func (t *Table) probes() bool {
	now, probe := time.Now(), t.nextProbe.Load()
	return now.UnixNano() >= probe && t.nextProbe.CompareAndSwap(probe, now.Add(time.Second).UnixNano())
}

// await waits for the answer to an acquire, and tells the loop when it no longer
// listens. It returns soon after the wait is over even if the loop hangs.
func (t *Table) await(ctx context.Context, c *request, recheck Recheck) lock.Reply {
	w := waitForAnswer{t: t, c: c, recheck: recheck, gone: ctx.Done()}
	if w.leaving = c.Acquire.Wait <= 0; w.leaving {
		c.timer.Reset(patience)
	} else {
		c.timer.Reset(c.Acquire.Wait)
	}
	defer w.stopAsking()
	for {
		if r, ok := w.next(ctx); ok {
			return r
		}
	}
}

// waitForAnswer is the state of one call of await.
type waitForAnswer struct {
	t       *Table
	c       *request
	recheck Recheck
	leaving bool            // the wait is over, only the answer is awaited
	gone    <-chan struct{} // nil once noticed
	verdict chan verdict    // of the policies, while they are being asked
	cancel  func()          // ends the asking; nil if they were not asked
}

// verdict is what came of asking the policies.
type verdict struct {
	said     lock.Opinion
	err      error
	panicked any
}

// next waits for one thing to happen and returns the reply if it was the answer.
func (w *waitForAnswer) next(ctx context.Context) (lock.Reply, bool) {
	select {
	case r := <-w.c.replies:
		if r.Turn == nil {
			return r, true
		}
		w.confirm(ctx, *r.Turn)
	case v := <-w.verdict:
		w.verdict = nil
		w.decided(v)
	case <-w.gone:
		w.gone = nil
		w.depart(lock.Departure{Command: &w.c.Command, Why: lock.HungUp})
	case <-w.t.stuck:
		return w.t.giveUp(w.c), true
	case <-w.c.timer.C: // the end of the wait; when leaving, of our patience
		if !w.leaving {
			w.depart(lock.Departure{Command: &w.c.Command, Why: lock.WaitOver})
			return lock.Reply{}, false
		}
		return w.t.giveUp(w.c), true
	}
	return lock.Reply{}, false
}

func (w *waitForAnswer) depart(l lock.Departure) {
	w.leaving = true
	w.c.crossed = true
	w.c.timer.Reset(patience)
	w.t.inbox.leave(l)
}

// confirm asks the policies, because it is this request's turn. They are asked on
// the side, so that the end of the wait, a hang-up and a drain are noticed meanwhile.
func (w *waitForAnswer) confirm(ctx context.Context, at lock.Turn) {
	w.c.crossed = true
	w.stopAsking()
	ctx, w.cancel = context.WithCancel(ctx)
	ask, told := w.recheck, make(chan verdict, 1)
	w.verdict = told
	go func() {
		var v verdict
		defer func() {
			v.panicked = recover()
			told <- v
		}()
		v.said, v.err = ask(ctx, at)
	}()
}

func (w *waitForAnswer) stopAsking() {
	if w.cancel != nil {
		w.cancel()
	}
}

// decided claims the lock, or leaves. A panic of the policies is that of the
// request, which leaves first: no other waiter may be stuck behind it.
func (w *waitForAnswer) decided(v verdict) {
	switch {
	case v.panicked != nil:
		w.depart(lock.Departure{Command: &w.c.Command, Why: lock.HungUp})
		panic(v.panicked)
	case errors.Is(v.err, lock.ErrGone):
		w.depart(lock.Departure{Command: &w.c.Command, Why: lock.HungUp})
	case v.err != nil:
		w.depart(lock.Departure{Command: &w.c.Command, Why: lock.Declined, Cause: v.err})
	default:
		claim := &lock.Command{Verb: lock.DoClaim, Name: w.c.Name, Called: &w.c.Command, Opinion: v.said}
		_ = w.t.inbox.put(claim) // closed: the answer is on its way
	}
}

// giveUp ends the wait for an answer that does not come. What the loop answers
// later is dropped, and undone if it is a grant.
func (t *Table) giveUp(c *request) lock.Reply {
	if c.state.CompareAndSwap(asked, givenUp) {
		return lock.Reply{Err: lock.ErrOutcomeUnknown}
	}
	for {
		if r := <-c.replies; r.Turn == nil {
			return r
		}
	}
}

// Undo says that a grant of [Table.Acquire], [Table.Repeat] or [Table.Take] could not be
// delivered. The lease is undone when that is so for every answer with it, unless its
// holder showed its lease id meanwhile. It does not wait. It must be called at most once
// for each answer, and not after that was delivered.
func (t *Table) Undo(g Grant) {
	t.undo(lock.Reply{Lease: g.Lease, Undoable: g.undoable})
}

// Received says that the holder of a lease showed its lease id, where nothing else is
// asked of the table, since policies refused the renewal: the lease is not undone any
// more. It does not wait.
func (t *Table) Received(r lock.RenewRequest) {
	token, err := t.ids.token(r.Name, r.LeaseID)
	if err != nil {
		return
	}
	c := &lock.Command{Verb: lock.DoReceived, Name: r.Name, Origin: r.Origin, Token: token}
	_ = t.inbox.put(c) // closed: the lease then runs to its end
}

// Renew moves the end of a lease away. The first renewal of an unconfirmed lease
// confirms it and gives it at least the ttl it was granted with, whatever r.TTL is.
// Errors: [lock.ErrNotHeld], [lock.ErrFull],
// [lock.ErrOutcomeUnknown], [lock.ErrDeposed], [lock.ErrClosed].
func (t *Table) Renew(ctx context.Context, r lock.RenewRequest) (Grant, error) {
	token, err := t.ids.token(r.Name, r.LeaseID)
	if err != nil {
		return Grant{}, err
	}
	c := t.requests.get(lock.DoRenew, r.Name, r.Origin)
	c.Token, c.TTL, c.OnlyConfirm, c.Opinion = token, r.TTL, r.OnlyConfirm, r.Opinion
	got, err := t.ask(c)
	if err != nil {
		return Grant{}, err
	}
	return t.grant(got), nil
}

// Proves reports whether an account that shows a lease id has this lease, whether it is still
// live or not.
func (t *Table) Proves(l *lock.Lease, account, leaseID string) bool {
	token, err := t.ids.token(l.Name, leaseID)
	return err == nil && token == l.Token && account == l.Account
}

// Release gives a lock back. A repeated release is answered as the first was, for
// ten minutes or the last 262,144 ends of leases, whichever is shorter, and until
// the server restarts. Errors: as of [Table.Renew].
func (t *Table) Release(ctx context.Context, r lock.ReleaseRequest) (lock.EndedLease, error) {
	token, err := t.ids.token(r.Name, r.LeaseID)
	if err != nil {
		return lock.EndedLease{}, err
	}
	c := t.requests.get(lock.DoRelease, r.Name, r.Origin)
	c.Token = token
	got, err := t.ask(c)
	return got.Ended, err
}

// Break ends a lease without proof of the hold. Errors: [lock.ErrFree], [lock.ErrTokenChanged],
// [lock.ErrFull], [lock.ErrOutcomeUnknown], [lock.ErrDeposed], [lock.ErrClosed].
func (t *Table) Break(ctx context.Context, b lock.BreakRequest) (lock.EndedLease, error) {
	c := t.requests.get(lock.DoBreak, b.Name, b.Origin)
	c.Token, c.Cause, c.Opinion = b.Token, b.Cause, b.Opinion
	got, err := t.ask(c)
	return got.Ended, err
}

// Take breaks a lease as [Table.Break] does, and in the same commit gives the lock to a,
// ahead of all who wait. It does not wait, and a.Attempt is left out. The grant is
// passed on or undone like any other; the lease that was broken is over in any case.
// Errors: those of Break, [lock.ErrQuota], [lock.ErrDraining], [lock.ErrTooLate].
func (t *Table) Take(ctx context.Context, b lock.BreakRequest, a lock.Acquisition) (Grant, error) {
	switch {
	case t.Draining():
		return Grant{}, lock.ErrDraining
	case t.Full():
		return Grant{}, lock.ErrFull
	}
	a.Attempt = lock.Attempt{}
	c := t.requests.get(lock.DoBreak, b.Name, b.Origin)
	c.Token, c.Cause, c.Opinion, c.Acquire = b.Token, b.Cause, b.Opinion, &a
	got, err := t.ask(c)
	if err != nil {
		return Grant{}, err
	}
	return t.grant(got), nil
}

// Append records an event that changes no lease, and returns its sequence number,
// or 0 if the audit level leaves its kind out. Seq and Time are filled in. Errors:
// [lock.ErrFull], [lock.ErrOutcomeUnknown], [lock.ErrDeposed], [lock.ErrClosed].
func (t *Table) Append(ctx context.Context, e lock.Event) (lock.Seq, error) {
	c := t.requests.get(lock.DoAppend, "", lock.Origin{})
	c.Event = e
	got, err := t.ask(c)
	return got.Seq, err
}

// Queue returns up to limit places of the queue of a name after the first skip ones,
// and how many there are in all. Unlike [Table.Get] it asks the loop. Errors:
// [lock.ErrOutcomeUnknown], [lock.ErrClosed].
func (t *Table) Queue(ctx context.Context, name lock.Name, skip, limit int) ([]lock.Waiting, int, error) {
	c := t.requests.get(lock.DoQueue, name, lock.Origin{})
	c.Skip, c.Limit = max(skip, 0), max(limit, 0)
	got, err := t.ask(c)
	return got.Queue, got.Total, err
}

// ask sends a command and waits for its answer, but not for ever: the disk may hang.
func (t *Table) ask(c *request) (lock.Reply, error) {
	if err := t.inbox.put(&c.Command); err != nil {
		return lock.Reply{}, err
	}
	c.timer.Reset(patience)
	var r lock.Reply
	select {
	case r = <-c.replies:
	case <-c.timer.C:
		r = t.giveUp(c)
	}
	t.requests.put(c)
	return r, r.Err
}
