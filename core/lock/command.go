package lock

import "time"

// verb is what a command wants of the machine.
type Verb uint8

const (
	DoAcquire Verb = iota
	DoRepeat       // an acquire, but only if the attempt has a lease
	DoClaim        // a called waiter's yes
	DoRenew
	DoRelease
	DoBreak
	DoUndo
	DoReceived // the holder showed its lease id
	DoAppend
	DoQueue
	DoDrain
)

// command is one request to the machine: plain values, decided before it is handed over.
type Command struct {
	Verb Verb
	At   time.Time // of arrival
	Name Name

	Acquire *Acquisition // doAcquire, doRepeat; doBreak: the lock is to be taken, too
	Origin  Origin       // the others
	Token   Token        // proven by the lease id, or asked for by a break
	TTL     time.Duration
	Cause   string
	Opinion Opinion
	Event   Event    // doAppend
	Called  *Command // doClaim: the acquire that was called
	// rechecks: doAcquire, the request can be called when its turn comes. Without it the
	// lock is given at once.
	Rechecks bool
	// onlyConfirm: doRenew, see [Renewal].
	OnlyConfirm bool
	// onlyRepeat: there is no space for a new lease, but the attempt may have one.
	OnlyRepeat bool

	Skip, Limit int // doQueue

	// caller is what the sender keeps with the command. The machine does not look at it.
	Caller any

	// The machine's own.
	place    *waiter // where it waits; nil: not yet, or answered
	departed LeaveReason
}

// reply is a call or an answer.
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

// leaving is a departure on its way to the loop.
type Departure struct {
	Command *Command
	Why     LeaveReason
	Cause   error
}
