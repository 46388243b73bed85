package lock

import (
	"errors"
	"fmt"
	"time"
)

// What a request may be answered instead of what it asked for. transport/problem
// has the table from these to HTTP.
var (
	ErrNotHeld        = errors.New("you do not hold this lock (any more): the lease has ended, or the lease id is not yours")
	ErrTokenChanged   = errors.New("the lock is not held under that fencing token (any more)")
	ErrFree           = errors.New("nobody holds this lock")
	ErrSuperseded     = errors.New("a newer request with the same Idempotency-Key took this one's place")
	ErrAttemptOver    = errors.New("the attempt with this Idempotency-Key had its lease, and that lease has ended; use a fresh key for a new attempt")
	ErrKeyMismatch    = errors.New("this Idempotency-Key belongs to an attempt with another ttl, confirm, holder or metadata")
	ErrQueueFull      = errors.New("too many are waiting")
	ErrQuota          = errors.New("this account holds and waits for as many locks as it may")
	ErrWaitsEnough    = errors.New("as many requests of this account wait as may")
	ErrDraining       = errors.New("the server is stopping; ask again in a moment")
	ErrTooLate        = errors.New("the lease ended before it could be handed over; ask again")
	ErrOutcomeUnknown = errors.New("the server cannot say whether this was done; look, or ask again with the same Idempotency-Key")
	ErrFull           = errors.New("there is no space left to record the change, so it was not made")
	ErrDeposed        = errors.New("this server no longer owns the lock table")
	ErrClosed         = errors.New("the lock table is closed")
	// ErrGone is the answer to a waiter whose own context ended: nobody is left to
	// read it.
	ErrGone = errors.New("the client left while it waited")
)

// HeldError is the answer to an acquire that did not get the lock: somebody else
// holds it, or is before it in the queue.
type HeldError struct {
	Lease    *Lease // who holds it; nil if it is free but promised to a waiter
	Position int    // the place this request had in the queue from 1; 0: it did not wait
	Waiters  int    // how many are waiting now
	Waited   time.Duration
	Hidden   bool // Lease is nil because the account may not read this lock
}

func (e *HeldError) Error() string {
	if e.Hidden {
		return "the lock is held, or promised to somebody who waited for it"
	}
	if e.Lease == nil {
		return "the lock is promised to somebody who waited for it"
	}
	if e.Lease.Holder == "" {
		return fmt.Sprintf("the lock is held by account %q", e.Lease.Account)
	}
	return fmt.Sprintf("the lock is held by %q (account %q)", e.Lease.Holder, e.Lease.Account)
}
