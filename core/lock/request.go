package lock

import "time"

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

// Renewal asks for more time. TTL zero means the lease's own.
type Renewal struct {
	Origin
	Name    Name
	LeaseID string
	TTL     time.Duration
	// OnlyConfirm has the renewal leave a lease as it is that is confirmed already. The
	// answer is then the lease with what is left of it, and nothing is recorded.
	OnlyConfirm bool
	Opinion
}

// Release gives a lock back.
type Release struct {
	Origin
	Name    Name
	LeaseID string
}

// Breaking ends somebody's lease without proof of the hold. Whether the caller may
// is decided before. Token, if not zero, must be that of the lease, so that not the
// next holder is hit.
type Breaking struct {
	Origin
	Name  Name
	Token Token
	Cause string
	Opinion
}

// Ended is a lease that is over.
type Ended struct {
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
