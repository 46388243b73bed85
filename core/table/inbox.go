package table

import (
	"sync"
	"sync/atomic"
	"time"

	"github.com/octostore/octostore/core/lock"
)

// request is a command with a channel for its replies. It belongs to the caller until it
// is put into the inbox, then to the loop; only state and replies are shared.
type request struct {
	lock.Command

	state   atomic.Int32
	replies chan *lock.Turn // a call; or nil: the answer is there, in reply
	reply   lock.Reply      // of the loop, until nil has come from replies
	timer   *time.Timer     // the caller's own; nil while it is parked
	recheck Recheck         // the caller's own: what to do when it is called; nil: it is never called
	crossed bool            // the caller's own: something may still be on its way to the loop

	// The caller's own, while a recheck runs: where its result comes from, and what ends it.
	result chan *recheckResult
	cancel func()

	parked   atomic.Pointer[parked] // see Asked.Park
	place    *parked                // the caller's own: it was parked, or was about to be
	answered bool                   // the caller's own: reply is there
	waited   bool                   // the caller's own: it has waited, and goes on to wait
	trace    Trace                  // nil: it is not traced
}

// The states of a request. Either the loop moves it from asked to answered, or a caller
// that has waited too long for the disk moves it to givenUp; the first one wins.
const (
	asked int32 = iota
	answered
	givenUp
)

// newRequest returns a request for a command. There may be two replies: a call, and the
// answer.
func newRequest(do lock.Verb, name lock.Name, origin lock.Origin) *request {
	r := &request{Command: lock.Command{Verb: do, Name: name, Origin: origin}, replies: make(chan *lock.Turn, 2)}
	r.Caller = r
	return r
}

// requests is a pool of requests with their channel and timer. Each table has its own,
// because timers and channels of a synctest bubble must stay in it.
type requests struct {
	pool   sync.Pool
	timers sync.Pool // of requests that are parked
}

func (rs *requests) get(do lock.Verb, name lock.Name, origin lock.Origin) *request {
	r, _ := rs.pool.Get().(*request)
	if r == nil {
		r = newRequest(do, name, origin)
		rs.takeTimer(r)
		return r
	}
	r.Verb, r.Name, r.Origin, r.Caller = do, name, origin, r
	return r
}

// takeTimer makes sure that a request has a timer.
func (rs *requests) takeTimer(r *request) {
	if r.timer != nil {
		return
	}
	if r.timer, _ = rs.timers.Get().(*time.Timer); r.timer == nil {
		r.timer = time.NewTimer(time.Hour)
	}
}

// leaveTimer gives the timer of a request to others.
func (rs *requests) leaveTimer(r *request) {
	r.timer.Stop() // nothing comes from its channel any more
	rs.timers.Put(r.timer)
	r.timer = nil
}

// put returns a request to the pool after its answer was received. A request that was
// given up, or has a departure or a claim under way, is not reused: the loop may still
// read it.
func (rs *requests) put(r *request) {
	r.timer.Stop()
	if r.crossed || r.state.Load() != answered {
		return
	}
	*r = request{replies: r.replies, timer: r.timer}
	rs.pool.Put(r)
}

// inbox holds commands until the loop takes them. Their instants are read under its lock,
// so that they are in the order of their instants.
type inbox struct {
	mu       sync.Mutex // held for moments only
	commands []*lock.Command
	leaving  []lock.Departure
	closed   error         // not nil: why it takes no more
	awaited  int           // put rings only if there are so many commands
	wake     chan struct{} // holds one token if there may be something new
}

func newInbox() *inbox { return &inbox{wake: make(chan struct{}, 1)} }

// put adds a command, or returns why the inbox is closed.
func (b *inbox) put(c *lock.Command) error {
	b.mu.Lock()
	if err := b.closed; err != nil {
		b.mu.Unlock()
		return err
	}
	c.At = time.Now()
	b.commands = append(b.commands, c)
	enough := len(b.commands) >= b.awaited
	b.mu.Unlock()
	if enough {
		b.ring()
	}
	return nil
}

// await reports whether to wait for a ring, because fewer commands are there than wanted.
// Until the next take only these ring: the command that makes up the number, a departure,
// and the end.
func (b *inbox) await(wanted int) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	if len(b.commands) >= wanted || len(b.leaving) > 0 || b.closed != nil {
		return false
	}
	select {
	case <-b.wake: // for what the next take sees anyway
	default:
	}
	b.awaited = wanted
	return true
}

func (b *inbox) leave(l lock.Departure) {
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

// take moves everything to the given slices and returns the present instant: no later
// command has an earlier one.
func (b *inbox) take(commands []*lock.Command, left []lock.Departure) ([]*lock.Command, []lock.Departure, time.Time, bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	commands = append(commands, b.commands...)
	left = append(left, b.leaving...)
	b.commands, b.leaving, b.awaited = reused(b.commands), reused(b.leaving), 0
	return commands, left, time.Now(), b.closed != nil
}

// close has put return the reason from now on. A later reason replaces an earlier one.
func (b *inbox) close(reason error) {
	b.mu.Lock()
	b.closed = reason
	b.mu.Unlock()
	b.ring()
}

// mostReused is the largest capacity of a buffer that is used again. Only the batches of a
// start or a drain need more.
const mostReused = 4 * lock.BatchSteps

// reused returns a buffer to be used again without what was in it, or nil if it has
// grown too large to be kept.
func reused[T any](buffer []T) []T {
	if cap(buffer) > mostReused {
		return nil
	}
	clear(buffer)
	return buffer[:0]
}
