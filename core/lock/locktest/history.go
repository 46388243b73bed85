package locktest

import (
	"sync"
	"time"
)

// Verb is the kind of a request.
type Verb string

// Verbs.
const (
	Acquire Verb = "acquire"
	Renew   Verb = "renew"
	Release Verb = "release"
	Break   Verb = "break"
	Look    Verb = "look"
)

// Result is the kind of an answer.
type Result string

// Results.
const (
	Done        Result = "done"         // granted, renewed, released, broken
	Held        Result = "held"         // acquire: refused; look: it is held. Token and Attempt are the holder's
	Free        Result = "free"         // look: it is free
	NotHeld     Result = "not held"     // renew, release, break: not under that token
	AttemptOver Result = "attempt over" // acquire: the lease of this key has ended
	Refused     Result = "refused"      // surely nothing was done
	Unknown     Result = "unknown"      // done now, later, or never
)

// Outcome is a result with its details.
type Outcome struct {
	Result  Result
	Token   uint64 // of the lease: granted, renewed, or seen
	Attempt string // held: whose lease was seen
	LeaseID string // granted
	// Earliest and Latest are bounds of the lease's deadline, when granted or renewed.
	Earliest, Latest time.Time
	Unconfirmed      bool   // granted: the lease ends then unless it is renewed
	HungUp           bool   // the client left before it had an answer
	Detail           string // for people
}

// Operation is one request in a history.
type Operation struct {
	Client  int
	Lock    string
	Do      Verb
	Attempt string // acquire: which attempt; a repeat with the same key is the same attempt
	Keyed   bool   // acquire: the attempt may be repeated
	Waits   bool   // acquire: in the queue
	Token   uint64 // renew, release, break: of the lease it is about
	Outcome Outcome

	call, end       int64         // when it began and ended, by the counter
	began, ended    time.Duration // and by the clock, since the history began
	earliest, until time.Duration // bounds of the deadline it was told
}

// History records the requests of clients with their answers. Make one with [NewHistory];
// it is safe for use by many goroutines until it is checked.
type History struct {
	start time.Time

	mu       sync.Mutex
	count    int64
	ops      []*Operation
	restarts []time.Duration
	outages  []outage
}

// outage is a time in which leases may be given their whole ttl again, more than once.
type outage struct{ from, to time.Duration }

// unrecorded is how long before an outage a lease may have ended without a record of that, on a busy
// machine: the next owner of the table finds it there.
const unrecorded = time.Second

// NewHistory returns an empty history that begins now.
func NewHistory() *History { return &History{start: time.Now()} }

// Record calls ask and records the operation with its outcome.
func (h *History) Record(op Operation, ask func() Outcome) Outcome {
	h.mu.Lock()
	h.count++
	op.call, op.began = h.count, time.Since(h.start)
	h.mu.Unlock()

	op.Outcome = ask()

	h.mu.Lock()
	defer h.mu.Unlock()
	h.count++
	op.end, op.ended = h.count, time.Since(h.start)
	op.earliest, op.until = op.Outcome.Earliest.Sub(h.start), op.Outcome.Latest.Sub(h.start)
	h.ops = append(h.ops, &op)
	return op.Outcome
}

// Restarted notes that the service has been stopped and is about to start again.
func (h *History) Restarted() {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.restarts = append(h.restarts, time.Since(h.start))
}

// Outage notes that the service is about to be disturbed for a while, and returns a function
// that notes the end. A lease that is there meanwhile, or has ended just before, may end late, as over a
// restart, and the service may forget which attempts have ended.
func (h *History) Outage() (over func()) {
	h.mu.Lock()
	defer h.mu.Unlock()
	n := len(h.outages)
	h.outages = append(h.outages, outage{from: time.Since(h.start), to: never})
	return func() {
		h.mu.Lock()
		defer h.mu.Unlock()
		h.outages[n].to = time.Since(h.start)
	}
}

// Len returns how many operations have ended.
func (h *History) Len() int {
	h.mu.Lock()
	defer h.mu.Unlock()
	return len(h.ops)
}
