package lock

import (
	"errors"
	"fmt"
	"time"
)

// Origin describes the sender of a request. The request counts for the Account in Actor.
type Origin struct {
	Actor     Actor
	RequestID string
	TraceID   string // W3C trace id, 32 hexadecimal digits, or empty
}

// Acquisition asks for a lock. The caller has checked all fields.
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

	// Wait is the longest time in the queue; zero or less is a try.
	Wait time.Duration
	// Priority is its class in the queue. A later request of the same attempt keeps the
	// place and the class of the first.
	Priority Priority
}

// Turn describes the queue at the moment a waiter is called.
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
	// OnlyConfirm makes the renewal a no-op for a lease that is confirmed already: the
	// answer is the lease with its remaining time, and nothing is recorded.
	OnlyConfirm bool
	Opinion
}

// ReleaseRequest gives a lock back.
type ReleaseRequest struct {
	Origin
	Name    Name
	LeaseID string
	// Key, if not empty, proves the hold in place of LeaseID: it is the idempotency key that
	// the account acquired the lock with. It is for protocols whose clients keep no lease id.
	Key string
}

// BreakRequest ends a lease without proof of the hold. The caller has checked the
// permission. Token, if not zero, must match the lease, so that the break cannot hit the
// next holder.
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

// Waiting is one waiter of a queue, in the form that readers see.
type Waiting struct {
	Position int // from 1, counted in the order in which the lock would be given
	Priority Priority
	Account  string
	Holder   string
	Reason   string
	Metadata map[string]string // not to be changed
	Since    time.Time
	// KeptUntil is the end of the place of an absent attempt, unless it comes back. The
	// zero time: its client is present.
	KeptUntil time.Time
}

// equals reports whether two places are shown alike. Those with metadata never are: they need not be
// compared.
func (w *Waiting) equals(other *Waiting) bool {
	return w.Position == other.Position && w.Priority == other.Priority && w.Account == other.Account &&
		w.Holder == other.Holder && w.Reason == other.Reason && w.Metadata == nil && other.Metadata == nil &&
		w.Since.Equal(other.Since) && w.KeptUntil.Equal(other.KeptUntil)
}

// View is the committed state of one name.
type View struct {
	Name    Name
	Lease   *Lease    // nil: free
	Waiters int       // all of them
	Queue   []Waiting // the first 16; not to be changed
	// WaitingSince is when the longest wait in the queue began; zero: there are no waiters.
	WaitingSince time.Time
}

// Errors of requests. transport/problem maps them to HTTP.
var (
	ErrNotHeld      = errors.New("you do not hold this lock (any more): the lease has ended, or the lease id is not yours")
	ErrTokenChanged = errors.New("the lock is not held under that fencing token (any more)")
	ErrFree         = errors.New("this lock is free")
	ErrSuperseded   = errors.New("a newer request with the same Idempotency-Key took this one's place")
	ErrAttemptOver  = errors.New(
		"the attempt with this Idempotency-Key had its lease, and that lease has ended; use a fresh key for a new attempt",
	)
	ErrKeyMismatch    = errors.New("this Idempotency-Key belongs to an attempt with another ttl, confirm, holder or metadata")
	ErrQueueFull      = errors.New("too many are waiting")
	ErrQuota          = errors.New("this account holds and waits for as many locks as it may")
	ErrWaitsEnough    = errors.New("as many requests of this account wait as may")
	ErrDraining       = errors.New("the server is stopping or drained; ask again in a moment")
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
	Lease    *Lease // the present lease; nil if the lock is free but promised to a waiter
	Position int    // of this request in the queue, from 1; 0: it did not wait
	Waiters  int    // number of waiters now
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

// SupersededError is the answer to a waiting request whose place a newer one of its attempt took:
// it is [ErrSuperseded]. It says who has the lock, as the client still waits.
type SupersededError struct{ Held HeldError }

func (e *SupersededError) Error() string { return ErrSuperseded.Error() }

// Is reports whether target is [ErrSuperseded].
func (e *SupersededError) Is(target error) bool { return target == ErrSuperseded }
