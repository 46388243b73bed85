package lock

import "time"

// Verb is what a command wants of the machine.
type Verb uint8

// Verbs.
const (
	DoAcquire  Verb = iota // give the lock, or a place in its queue
	DoRepeat               // an acquire, but only if the attempt has a lease
	DoClaim                // the yes of a called waiter
	DoRenew                // move the end of a lease away
	DoRelease              // end a lease, asked by its holder
	DoBreak                // end a lease, asked by somebody with the right to
	DoUndo                 // an answer with a lease did not reach its client
	DoReceived             // the holder showed its lease id
	DoAppend               // record an event that changes no lease
	DoQueue                // show a page of a queue
	DoDrain                // send all waiters away, and refuse those to come
)

// Command is one request to the machine: plain values, decided before it is handed over.
type Command struct {
	Verb Verb
	At   time.Time // of arrival
	Name Name

	Acquire *Acquisition // DoAcquire, DoRepeat; DoBreak: the lock is to be taken, too
	Origin  Origin       // the others
	Token   Token        // proven by the lease id, or asked for by a break
	TTL     time.Duration
	Cause   string
	Opinion Opinion
	Event   Event    // DoAppend
	Called  *Command // DoClaim: the acquire that was called
	// Rechecks: DoAcquire, the request can be called when its turn comes. Without it the
	// lock is given at once.
	Rechecks bool
	// OnlyConfirm: DoRenew, see [Renewal].
	OnlyConfirm bool
	// OnlyRepeat: there is no space for a new lease, but the attempt may have one.
	OnlyRepeat bool

	Skip, Limit int // DoQueue

	// Caller is what the sender keeps with the command. The machine does not look at it.
	Caller any

	// The machine's own.
	place    *waiter // where it waits; nil: not yet, or answered
	departed LeaveReason
}

// Reply is a call or an answer.
type Reply struct {
	Turn *Turn // it is your turn: ask the policies, then claim

	Err      error
	Lease    *Lease
	Waited   time.Duration
	Repeat   bool
	Undoable bool // one more answer with the lease, see held
	Ended    Ended
	Seq      Seq
	Queue    []Waiting
	Total    int
}

// Departure is the word of a request that it does not listen any more.
type Departure struct {
	Command *Command
	Why     LeaveReason
	Cause   error
}
