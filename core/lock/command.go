package lock

import "time"

// verb is what a command wants of the machine.
type verb uint8

const (
	doAcquire verb = iota
	doRepeat       // an acquire, but only if the attempt has a lease
	doClaim        // a called waiter's yes
	doRenew
	doRelease
	doBreak
	doUndo
	doReceived // the holder showed its lease id
	doAppend
	doQueue
	doDrain
)

// command is one request to the machine: plain values, decided before it is handed over.
type command struct {
	Verb verb
	at   time.Time // of arrival
	name Name

	Acquire *Acquisition // doAcquire, doRepeat; doBreak: the lock is to be taken, too
	origin  Origin       // the others
	token   Token        // proven by the lease id, or asked for by a break
	ttl     time.Duration
	cause   string
	Opinion Opinion
	event   Event    // doAppend
	Called  *command // doClaim: the acquire that was called
	// rechecks: doAcquire, the request can be called when its turn comes. Without it the
	// lock is given at once.
	rechecks bool
	// onlyConfirm: doRenew, see [Renewal].
	onlyConfirm bool
	// onlyRepeat: there is no space for a new lease, but the attempt may have one.
	onlyRepeat bool

	skip, limit int // doQueue

	// caller is what the sender keeps with the command. The machine does not look at it.
	caller any

	// The machine's own.
	place    *waiter // where it waits; nil: not yet, or answered
	departed LeaveReason
}

// reply is a call or an answer.
type reply struct {
	Turn *Turn // it is your turn: ask the policies, then claim

	err      error
	lease    *Lease
	waited   time.Duration
	repeat   bool
	undoable bool // one more answer with the lease, see held
	ended    Ended
	seq      Seq
	queue    []Waiting
	total    int
}

// leaving is a departure on its way to the loop.
type Departure struct {
	Command *command
	Why     LeaveReason
	Cause   error
}
