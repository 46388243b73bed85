package lock

import (
	"errors"
	"fmt"
	"time"
)

// Origin is what every request says about who sent it. The Account in Actor is
// whose request it is.
type Origin struct {
	Actor     Actor
	RequestID string
	TraceID   string // W3C trace id, 32 hexadecimal digits, or empty
}

// Acquisition asks for a lock. All fields are taken to be checked already.
type Acquisition struct {
	Origin
	Name     Name
	Holder   string
	Reason   string
	Metadata map[string]string // not to be changed after the call
	TTL      time.Duration
	// ConfirmWithin, if not zero, asks for an unconfirmed lease: see [Lease]. A value
	// above TTL counts as TTL.
	ConfirmWithin time.Duration
	Attempt       Attempt // zero: no idempotency key
	Opinion               // of the policies when the request came in

	// Wait is how long to stand in the queue; zero or less is a try.
	Wait time.Duration
	// Priority is the class it stands in while it waits. A later request of the same
	// attempt keeps the place, and the class, that the first one was given.
	Priority Priority
}

// Turn is what is known when a waiter is called.
type Turn struct {
	Waited time.Duration
	Queue  int // waiters, this one included
}

// RenewRequest asks for more time. TTL zero means the lease's own.
type RenewRequest struct {
	Origin
	Name    Name
	LeaseID string
	TTL     time.Duration
	// OnlyConfirm has the renewal leave a lease as it is that is confirmed already. The
	// answer is then the lease with what is left of it, and nothing is recorded.
	OnlyConfirm bool
	Opinion
}

// ReleaseRequest gives a lock back.
type ReleaseRequest struct {
	Origin
	Name    Name
	LeaseID string
}

// BreakRequest ends a lease without proof of the hold. Whether the caller may do that is
// decided before. Token, if not zero, must be that of the lease, so that not the
// next holder is hit.
type BreakRequest struct {
	Origin
	Name  Name
	Token Token
	Cause string
	Opinion
}

// EndedLease is a lease that is over.
type EndedLease struct {
	Lease *Lease        // of a repeated release only Name, Token and Account
	Held  time.Duration // from grant to end
}

// Waiting is one place in a queue as others may see it.
type Waiting struct {
	Position int // from 1, counted in the order in which the lock would be given
	Priority Priority
	Account  string
	Holder   string
	Reason   string
	Metadata map[string]string // not to be changed
	Since    time.Time
	// KeptUntil is when the place ends if the attempt does not come back: its client is
	// away. The zero time: it is there.
	KeptUntil time.Time
}

// View is the committed state of one name.
type View struct {
	Name    Name
	Lease   *Lease    // nil: free
	Waiters int       // all of them
	Queue   []Waiting // the first 16; not to be changed
}

// What a request may be answered instead of what it asked for. transport/problem
// has the table from these to HTTP.
var (
	ErrNotHeld        = errors.New("you do not hold this lock (any more): the lease has ended, or the lease id is not yours")
	ErrTokenChanged   = errors.New("the lock is not held under that fencing token (any more)")
	ErrFree           = errors.New("this lock is free")
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
	// ErrGone is the answer to a waiter whose own context ended: its client is gone.
	ErrGone = errors.New("the client left while it waited")
)

// HeldError is the answer to an acquire that did not get the lock: another
// account or process holds it, or a waiter is before it in the queue.
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
