package table

import (
	"context"
	"errors"
	"math"
	"time"

	"github.com/octostore/octostore/core/lock"
)

// A caller whose answer is overdue, because a commit hangs, waits this long before it gets
// an unknown outcome. While draining no caller waits longer than the drain itself.
const (
	patience         = 2 * time.Second
	drainingPatience = time.Second
)

// Recheck is called when a request, having waited, is first in line for a free lock. It
// runs in a goroutine of its own, never in the table's loop; its ctx ends with the
// request, whether it has answered or not, and its panic becomes one of
// [Table.AcquireWith]. A non-nil error takes the request out of the queue and is what
// AcquireWith returns; [lock.ErrGone] says that the client has left, which keeps the place of
// an attempt for a while as any departure does.
type Recheck func(ctx context.Context, at lock.Turn) (lock.Opinion, error)

// Acquire takes the lock, waiting in its queue for up to a.Wait. A nil error means
// the lease is granted and durable; the caller looks at the clock once more before
// passing it on, and calls [Table.Undo] if it could not be passed on.
//
// Errors: [*lock.HeldError], [*lock.SupersededError], [lock.ErrAttemptOver], [lock.ErrKeyMismatch],
// [lock.ErrQueueFull], [lock.ErrQuota], [lock.ErrWaitsEnough], [lock.ErrDraining], [lock.ErrFull], [lock.ErrOutcomeUnknown],
// [lock.ErrDeposed], [lock.ErrClosed], [lock.ErrGone] when ctx ended first.
func (t *Table) Acquire(ctx context.Context, a lock.Acquisition) (Grant, error) {
	return t.AcquireWith(ctx, a, nil)
}

// AcquireWith is [Table.Acquire] for a request that is checked again at its turn: it gets
// the lock only if recheck agrees, or if Config.Rechecks reports that no check is needed.
// It may also return the error of recheck.
func (t *Table) AcquireWith(ctx context.Context, a lock.Acquisition, recheck Recheck) (Grant, error) {
	asked, err := t.Ask(ctx, &a, recheck)
	if err != nil {
		return Grant{}, err
	}
	return asked.Wait(ctx)
}

// Asked is an acquire that was put to a table, and whose answer is still to be waited for.
type Asked struct {
	table   *Table
	request *request
}

// Ask is the first half of [Table.AcquireWith], which does not wait: a request that waits
// keeps only the stack of [Asked.Wait]. The caller calls Wait once, at once, and leaves a as it
// is. recheck may be nil. Errors: [lock.ErrDraining], [lock.ErrFull], [lock.ErrClosed].
func (t *Table) Ask(ctx context.Context, a *lock.Acquisition, recheck Recheck) (Asked, error) {
	onlyRepeat, err := t.admit(a)
	if err != nil {
		return Asked{}, err
	}
	c := t.requests.get(lock.DoAcquire, a.Name, a.Origin)
	c.Acquire, c.OnlyRepeat, c.Rechecks, c.trace, c.recheck = a, onlyRepeat, recheck != nil, t.traceOf(ctx), recheck
	if err := t.inbox.put(&c.Command); err != nil {
		return Asked{}, err
	}
	return Asked{table: t, request: c}, nil
}

// Wait is the second half of [Table.AcquireWith].
func (a Asked) Wait(ctx context.Context) (Grant, error) {
	if !a.request.answered {
		a.table.await(ctx, a.request, maxWait)
	}
	return a.table.answer(a.request)
}

// answer returns the answer to an acquire, and ends its request.
func (t *Table) answer(c *request) (Grant, error) {
	defer t.requests.put(c)
	if c.trace != nil && c.Acquire.Wait > 0 {
		c.traceQueue()
	}
	if err := c.reply.Err; err != nil {
		if held := heldIn(err); held != nil {
			held.Waited = time.Since(c.At)
		}
		return Grant{}, err
	}
	return t.grant(&c.reply), nil
}

// heldIn returns the part of a refusal that names the holder, or nil.
func heldIn(err error) *lock.HeldError {
	if superseded, is := errors.AsType[*lock.SupersededError](err); is {
		return &superseded.Held
	}
	held, _ := errors.AsType[*lock.HeldError](err)
	return held
}

// admit refuses acquires that need not reach the loop. While the disk is full it admits
// one a second as a probe, unless the store itself knows, and attempts that may have their
// lease already.
func (t *Table) admit(a *lock.Acquisition) (onlyRepeat bool, err error) {
	switch {
	case t.Draining():
		return false, t.cause(lock.ErrDraining)
	case !t.Full() || t.cfg.Full == nil && t.probes() || !t.Owns():
		return false, nil
	case !a.Attempt.IsZero():
		return true, nil
	}
	return false, lock.ErrFull
}

// probes reports whether it is time to admit one acquire as a probe of a full disk.
func (t *Table) probes() bool {
	now, probe := time.Now(), t.nextProbe.Load()
	return now.UnixNano() >= probe && t.nextProbe.CompareAndSwap(probe, now.Add(time.Second).UnixNano())
}

// await waits for the answer to an acquire, which is then in c.reply, and sends the loop a
// departure when the client stops waiting. It returns soon after the end of the wait even if
// the loop hangs. It returns false if the wait goes on after the given time.
func (t *Table) await(ctx context.Context, c *request, most time.Duration) (answered bool) {
	w := waitForAnswer{t: t, c: c, gone: ctx.Done()}
	w.begin(most)
	answered = true // also if there is a panic
	defer func() {
		if answered {
			c.stopAsking()
		}
	}()
	for w.next(ctx) {
		if w.paused {
			answered = false
			break
		}
	}
	return answered
}

// begin sets the timer for the end of the wait, or for the end of our patience.
//
//go:noinline
func (w *waitForAnswer) begin(most time.Duration) {
	c, wait := w.c, w.c.Acquire.Wait
	if c.waited {
		wait = time.Until(c.At.Add(wait))
	}
	if w.leaving = c.Acquire.Wait <= 0; w.leaving {
		c.timer.Reset(patience)
		return
	}
	w.brief = most < wait
	c.timer.Reset(min(most, wait))
}

// maxWait is longer than any wait.
const maxWait = math.MaxInt64

// waitForAnswer is the state of one call of await.
type waitForAnswer struct {
	t       *Table
	c       *request
	brief   bool            // the timer is set for the end of the call, not of the wait
	paused  bool            // that end has come
	leaving bool            // the wait is over, only the answer is outstanding
	gone    <-chan struct{} // closed when the client leaves; nil once noticed
}

// recheckResult is the outcome of a [Recheck].
type recheckResult struct {
	said     lock.Opinion
	err      error
	panicked any
}

// next waits for one thing to happen, and reports whether the answer is still to come. A
// request is parked in it, on a small stack: what it does then has functions of its own.
func (w *waitForAnswer) next(ctx context.Context) bool {
	select {
	case turn := <-w.c.replies:
		if turn == nil {
			return false
		}
		w.startRecheck(ctx, turn)
	case v := <-w.c.result:
		w.c.result = nil
		w.decided(v)
	case <-w.gone:
		w.gone = nil
		w.depart(lock.HungUp, nil)
	case <-w.t.stuck:
		w.t.giveUp(w.c)
		return false
	case <-w.c.timer.C: // the end of the wait; when leaving, of our patience
		if !w.leaving {
			w.timeIsUp()
			return true
		}
		w.t.giveUp(w.c)
		return false
	}
	return true
}

func (w *waitForAnswer) timeIsUp() {
	if w.brief {
		w.paused, w.c.waited = true, true
		return
	}
	w.depart(lock.WaitOver, nil)
}

//go:noinline
func (w *waitForAnswer) depart(why lock.LeaveReason, cause error) {
	w.leaving, w.brief = true, false
	w.c.crossed = true
	w.c.timer.Reset(patience)
	w.t.inbox.leave(lock.Departure{Command: &w.c.Command, Why: why, Cause: cause})
}

// startRecheck checks the request again, because its turn has come. The check runs in a
// goroutine of its own, so that await still notices the end of the wait, a hang-up or a
// drain.
func (w *waitForAnswer) startRecheck(ctx context.Context, at *lock.Turn) {
	w.c.crossed = true
	w.c.stopAsking()
	ctx, w.c.cancel = context.WithCancel(ctx)
	ask, told := w.c.recheck, make(chan *recheckResult, 1)
	w.c.result = told
	go func() {
		var v recheckResult
		defer func() {
			v.panicked = recover()
			told <- &v
		}()
		v.said, v.err = ask(ctx, *at)
	}()
}

func (c *request) stopAsking() {
	if c.cancel != nil {
		c.cancel()
	}
}

// decided claims the lock, or leaves the queue. A panic of the recheck goes on in the
// caller's goroutine, after the request has left: no other waiter may be stuck behind it.
func (w *waitForAnswer) decided(v *recheckResult) {
	switch {
	case v.panicked != nil:
		w.depart(lock.HungUp, nil)
		panic(v.panicked)
	case errors.Is(v.err, lock.ErrGone):
		w.depart(lock.HungUp, nil)
	case v.err != nil:
		w.depart(lock.Declined, v.err)
	default:
		claim := &lock.Command{Verb: lock.DoClaim, Name: w.c.Name, Called: &w.c.Command, Opinion: v.said}
		_ = w.t.inbox.put(claim) // closed: the answer is on its way
	}
}
