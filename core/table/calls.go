package table

import (
	"context"
	"crypto/sha256"
	"time"

	"github.com/octostore/octostore/core/lock"
)

// Grant is a lease with its secret, for its holder.
type Grant struct {
	Lease   *lock.Lease
	LeaseID string        // proves the hold to renew and release; a secret of the holder
	Waited  time.Duration // in the queue
	Repeat  bool          // an earlier request with the same key had been given this lease

	undoable bool // this answer may be the only one with the lease
}

func (t *Table) grant(r *lock.Reply) Grant {
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
	return t.grant(&r), true, nil
}

// Undo reports that a grant of [Table.Acquire], [Table.Repeat] or [Table.Take] could not be
// delivered. The lease ends when every answer with it is lost, unless its holder has shown
// its lease id. Undo does not wait. Call it at most once per answer, and never after the
// answer was delivered.
func (t *Table) Undo(g Grant) {
	t.undo(lock.Reply{Lease: g.Lease, Undoable: g.undoable})
}

// Received reports that the holder of a lease has shown its lease id in a renewal that
// policies refused: the lease can no longer be undone. It does not wait.
func (t *Table) Received(r lock.RenewRequest) {
	token, err := t.ids.token(r.Name, r.LeaseID)
	if err != nil {
		return
	}
	c := &lock.Command{Verb: lock.DoReceived, Name: r.Name, Origin: r.Origin, Token: token}
	_ = t.inbox.put(c) // closed: the lease then runs to its end
}

// Renew extends a lease. The first renewal of an unconfirmed lease confirms it and gives it
// at least the ttl it was granted with, whatever r.TTL is.
// Errors: [lock.ErrNotHeld], [lock.ErrFull],
// [lock.ErrOutcomeUnknown], [lock.ErrDeposed], [lock.ErrClosed].
func (t *Table) Renew(ctx context.Context, r lock.RenewRequest) (Grant, error) {
	token, err := t.ids.token(r.Name, r.LeaseID)
	if err != nil {
		return Grant{}, err
	}
	c := t.requests.get(lock.DoRenew, r.Name, r.Origin)
	c.Token, c.TTL, c.OnlyConfirm, c.Opinion, c.trace = token, r.TTL, r.OnlyConfirm, r.Opinion, t.traceOf(ctx)
	got, err := t.ask(c)
	if err != nil {
		return Grant{}, err
	}
	return t.grant(&got), nil
}

// Proves reports whether the lease id is the one of this lease and the account its own. The
// lease may be over.
func (t *Table) Proves(l *lock.Lease, account, leaseID string) bool {
	token, err := t.ids.token(l.Name, leaseID)
	return err == nil && token == l.Token && account == l.Account
}

// Release gives a lock back. A repeated release gets the same answer for ten minutes or the
// last 262,144 ends of leases, whichever is shorter, and until the server restarts.
// Errors: as of [Table.Renew].
func (t *Table) Release(ctx context.Context, r lock.ReleaseRequest) (lock.EndedLease, error) {
	if r.Key != "" {
		return t.releaseByKey(ctx, r)
	}
	token, err := t.ids.token(r.Name, r.LeaseID)
	if err != nil {
		return lock.EndedLease{}, err
	}
	c := t.requests.get(lock.DoRelease, r.Name, r.Origin)
	c.Token, c.trace = token, t.traceOf(ctx)
	got, err := t.ask(c)
	return got.Ended, err
}

func (t *Table) releaseByKey(ctx context.Context, r lock.ReleaseRequest) (lock.EndedLease, error) {
	c := t.requests.get(lock.DoRelease, r.Name, r.Origin)
	c.Acquire = &lock.Acquisition{Origin: r.Origin, Attempt: lock.Attempt{Key: sha256.Sum256([]byte(r.Key))}}
	c.trace = t.traceOf(ctx)
	got, err := t.ask(c)
	return got.Ended, err
}

// Break ends a lease without proof of the hold. Errors: [lock.ErrFree], [lock.ErrTokenChanged],
// [lock.ErrFull], [lock.ErrOutcomeUnknown], [lock.ErrDeposed], [lock.ErrClosed].
func (t *Table) Break(ctx context.Context, b lock.BreakRequest) (lock.EndedLease, error) {
	c := t.requests.get(lock.DoBreak, b.Name, b.Origin)
	c.Token, c.Cause, c.Opinion, c.trace = b.Token, b.Cause, b.Opinion, t.traceOf(ctx)
	got, err := t.ask(c)
	return got.Ended, err
}

// Take breaks a lease like [Table.Break], and in the same commit grants the lock to a, ahead
// of all waiters. It does not wait, and ignores a.Attempt. The caller delivers the grant or
// undoes it like any other; the broken lease is over in any case.
// Errors: those of Break, [lock.ErrQuota], [lock.ErrDraining], [lock.ErrTooLate].
func (t *Table) Take(ctx context.Context, b lock.BreakRequest, a lock.Acquisition) (Grant, error) {
	switch {
	case t.Draining():
		return Grant{}, t.cause(lock.ErrDraining)
	case t.Full() && t.Owns():
		return Grant{}, lock.ErrFull
	}
	a.Attempt = lock.Attempt{}
	c := t.requests.get(lock.DoBreak, b.Name, b.Origin)
	c.Token, c.Cause, c.Opinion, c.Acquire, c.trace = b.Token, b.Cause, b.Opinion, &a, t.traceOf(ctx)
	got, err := t.ask(c)
	if err != nil {
		return Grant{}, err
	}
	return t.grant(&got), nil
}

// Append records an event that changes no lease, and returns its sequence number,
// or 0 if the audit level leaves its kind out. Seq and Time are filled in. Errors:
// [lock.ErrFull], [lock.ErrOutcomeUnknown], [lock.ErrDeposed], [lock.ErrClosed].
func (t *Table) Append(ctx context.Context, e lock.Event) (lock.Seq, error) {
	c := t.requests.get(lock.DoAppend, "", lock.Origin{})
	c.Event, c.trace = &e, t.traceOf(ctx)
	got, err := t.ask(c)
	return got.Seq, err
}

// Queue returns up to limit waiters of a name after the first skip ones, and their total
// number. Unlike [Table.Get] it asks the loop. Errors: [lock.ErrOutcomeUnknown],
// [lock.ErrClosed].
func (t *Table) Queue(ctx context.Context, name lock.Name, skip, limit int) ([]lock.Waiting, int, error) {
	c := t.requests.get(lock.DoQueue, name, lock.Origin{})
	c.Skip, c.Limit = max(skip, 0), max(limit, 0)
	got, err := t.ask(c)
	return got.Queue, got.Total, err
}

// ask sends a command and waits for its answer. The wait is bounded, because the disk may
// hang.
func (t *Table) ask(c *request) (lock.Reply, error) {
	if err := t.inbox.put(&c.Command); err != nil {
		return lock.Reply{}, err
	}
	c.timer.Reset(patience)
	select {
	case <-c.replies:
	case <-c.timer.C:
		t.giveUp(c)
	}
	r := c.reply
	t.requests.put(c)
	return r, r.Err
}

// giveUp ends the wait for an overdue answer, and puts what the caller is told into c.reply. The
// loop drops a later answer, and undoes it if it is a grant.
func (t *Table) giveUp(c *request) {
	if c.state.CompareAndSwap(asked, givenUp) {
		c.reply = lock.Reply{Err: lock.ErrOutcomeUnknown}
		return
	}
	for <-c.replies != nil { // a call, which comes too late
	}
}
