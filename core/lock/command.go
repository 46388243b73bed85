package lock

import (
	"sync"
	"sync/atomic"
	"time"
)

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

// command is one request on its way through the loop. Up to its arrival it belongs
// to the caller, then to the loop; only state and replies are shared.
type command struct {
	do   verb
	at   time.Time // of arrival
	name Name

	acquire *Acquisition // doAcquire, doRepeat; doBreak: the lock is to be taken, too
	origin  Origin       // the others
	token   Token        // proven by the lease id, or asked for by a break
	ttl     time.Duration
	cause   string
	said    Opinion
	event   Event    // doAppend
	by      *command // doClaim: the acquire that was called
	// onlyConfirm: doRenew, see [Renewal].
	onlyConfirm bool
	// onlyRepeat: there is no space for a new lease, but the attempt may have one.
	onlyRepeat bool

	skip, limit int // doQueue

	// The loop's own.
	place    *waiter // where it waits; nil: not yet, or answered
	departed departure

	state   atomic.Int32
	replies chan reply
	timer   *time.Timer // the caller's own
	crossed bool        // the caller's own: something may still be on its way to the loop
}

// The states of a command. Whoever moves it out of asked decides: the loop to
// answered, or a caller who has waited too long for the disk to given up.
const (
	asked int32 = iota
	answered
	givenUp
)

// newCommand returns a command that can be answered. There may be two replies: a
// call, and the answer.
func newCommand(do verb, name Name, origin Origin) *command {
	return &command{do: do, name: name, origin: origin, replies: make(chan reply, 2)}
}

// commands are used again, with their channel and their timer. Each table has its
// own, because timers and channels of a synctest bubble stay in it.
type commands struct{ pool sync.Pool }

func (cs *commands) get(do verb, name Name, origin Origin) *command {
	c, _ := cs.pool.Get().(*command)
	if c == nil {
		c = newCommand(do, name, origin)
		c.timer = time.NewTimer(time.Hour)
		return c
	}
	c.do, c.name, c.origin = do, name, origin
	return c
}

// put takes a command back after its answer has been received. One that was given
// up, or has a departure or a claim under way, is left to the garbage collector: the
// loop may still look at it.
func (cs *commands) put(c *command) {
	c.timer.Stop()
	if c.crossed || c.state.Load() != answered {
		return
	}
	*c = command{replies: c.replies, timer: c.timer}
	cs.pool.Put(c)
}

// reply is a call or an answer.
type reply struct {
	call *Turn // it is your turn: ask the policies, then claim

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
type leaving struct {
	c     *command
	why   departure
	cause error
}

// inbox is where commands arrive. Their instants are read under its lock, so that
// the order in which they lie here is the order of their instants.
type inbox struct {
	mu       sync.Mutex // held for moments only
	commands []*command
	leaving  []leaving
	closed   bool
	wake     chan struct{} // holds one token if there may be something new
}

func newInbox() *inbox { return &inbox{wake: make(chan struct{}, 1)} }

// put adds a command, or returns [ErrClosed].
func (b *inbox) put(c *command) error {
	b.mu.Lock()
	if b.closed {
		b.mu.Unlock()
		return ErrClosed
	}
	c.at = time.Now()
	b.commands = append(b.commands, c)
	b.mu.Unlock()
	b.ring()
	return nil
}

func (b *inbox) leave(l leaving) {
	b.mu.Lock()
	b.leaving = append(b.leaving, l)
	b.mu.Unlock()
	b.ring()
}

func (b *inbox) ring() {
	select {
	case b.wake <- struct{}{}:
	default:
	}
}

// take moves everything to the given slices and returns the instant: whatever comes
// later has arrived later.
func (b *inbox) take(commands []*command, left []leaving) ([]*command, []leaving, time.Time, bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	commands = append(commands, b.commands...)
	left = append(left, b.leaving...)
	b.commands, b.leaving = emptied(b.commands), emptied(b.leaving)
	return commands, left, time.Now(), b.closed
}

func (b *inbox) close() {
	b.mu.Lock()
	b.closed = true
	b.mu.Unlock()
	b.ring()
}
