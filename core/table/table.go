package table

import (
	"context"
	"errors"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/octostore/octostore/core/lock"
)

// Config says how a table is to behave. The zero value is useful.
type Config struct {
	lock.Rules
	// Full, if not nil, reports whether the store has to save its last space for the
	// ends of leases. Acquires are then refused before they reach the store. It must be
	// true when a commit was refused with [lock.ErrFull] until it is worth to try again; nil
	// lets the table itself try now and then. It must be quick, and safe to be called by
	// many goroutines.
	Full func() bool
	// Rechecks, if not nil, reports whether a waiter for a name that came by
	// [Table.AcquireWith] has to be called before it gets the lock; nil means that it always
	// has to. The loop calls it, just before a step that may give the lock: it must be
	// quick, must not block and must not call the table.
	Rechecks func(lock.Name) bool
	// Published, if not nil, is called by the loop after each commit, when the views
	// show it and before anybody is answered. It must be quick.
	Published func()
}

// Table is a set of locks with one timeline. Make one with [Open]; its methods are
// safe for use by many goroutines.
type Table struct {
	cfg   Config
	store Store
	ids   *leaseIDs
	views views
	inbox *inbox

	requests requests

	m       *lock.Machine    // the loop's own
	pending []*lock.Command  // the loop's own: taken, not stepped yet
	left    []lock.Departure // the loop's own
	rows    []lock.Row       // the loop's own, used again
	shown   []lock.View      // the same

	drainOnce sync.Once
	draining  context.Context // ended by drain
	drain     context.CancelFunc
	stuck     chan struct{} // closed when a drain is not answered in time: the disk hangs
	done      chan struct{} // closed when the loop has ended
	failed    atomic.Pointer[error]
	begin     context.Context // of commits; it ends with a drain or a Close that takes too long
	stopBegin context.CancelFunc

	// While the disk is full, and the store does not say so itself, acquires are refused
	// at the door but for one in a while, which finds out whether space is back.
	full      atomic.Bool
	nextProbe atomic.Int64 // unix nanoseconds

	held, waiters atomic.Int64
	queues        [lock.PriorityCount]publishedQueue
	opened        time.Time
	fullCommits   atomic.Uint64
	batches       *histogram
	commits       *histogram
	waits         *histogram
	holds         *histogram
}

// Open loads the store and starts the loop. Leases that lapsed while no table served
// the store expire as events. The caller closes the table, then the store.
func Open(ctx context.Context, store Store, cfg Config) (*Table, error) {
	if cfg.Published == nil {
		cfg.Published = func() {}
	}
	s, err := store.Load(ctx)
	if err != nil {
		return nil, err
	}
	if len(s.Secret) < 16 {
		return nil, errors.New("lock: the store has no secret to make lease ids from")
	}
	t := &Table{
		cfg:   cfg,
		store: store,
		ids:   newLeaseIDs(s.Secret),
		inbox: newInbox(),

		opened:  time.Now(),
		stuck:   make(chan struct{}),
		done:    make(chan struct{}),
		batches: newHistogram(batchBounds),
		commits: newHistogram(commitBound),
		waits:   newHistogram(spanBounds),
		holds:   newHistogram(spanBounds),
	}
	t.begin, t.stopBegin = context.WithCancel(context.Background())
	t.draining, t.drain = context.WithCancel(context.Background())
	t.m = lock.NewMachine(cfg.Rules, s, t.opened)
	t.publish()
	t.m.Finish()
	go t.loop()
	return t, nil
}

// Close refuses new requests, answers those under way, and waits for the loop to
// end. A commit that cannot even begin it gives up after a second. Leases stay. It
// returns what stopped the table, if something did.
func (t *Table) Close() error {
	t.inbox.close()
	defer time.AfterFunc(drainingPatience, t.stopBegin).Stop()
	<-t.done
	return t.Err()
}

// Drain refuses acquires from now on and answers every waiter [lock.ErrDraining], or
// [lock.ErrOutcomeUnknown] if the disk hangs. It does not wait for that; renewals and
// releases go on until Close.
func (t *Table) Drain() {
	t.drainOnce.Do(func() {
		t.drain()
		c := newRequest(lock.DoDrain, "", lock.Origin{})
		if t.inbox.put(&c.Command) != nil {
			return // closed: there is no waiter left
		}
		time.AfterFunc(drainingPatience, func() {
			if c.state.CompareAndSwap(asked, givenUp) {
				close(t.stuck)
				t.stopBegin()
			}
		})
	})
}

// Draining reports whether [Table.Drain] has been called.
func (t *Table) Draining() bool { return t.draining.Err() != nil }

// UntilDrain returns a context that ends when [Table.Drain] is called.
func (t *Table) UntilDrain() context.Context { return t.draining }

// Done is closed when the table has stopped: after [Table.Close], or by itself when
// a commit failed in a way that leaves its outcome unknown. [Table.Err] tells which.
func (t *Table) Done() <-chan struct{} { return t.done }

// Err returns nil while the table serves and after an orderly Close, else what
// stopped it.
func (t *Table) Err() error {
	if err := t.failed.Load(); err != nil {
		return *err
	}
	return nil
}

// Get returns the committed state of a name.
func (t *Table) Get(name lock.Name) lock.View { return t.views.get(name) }

// HeldBy counts the locks an account holds whose names begin with prefix, each name as
// last committed when it is counted. It costs by what it counts, but for an empty prefix
// nothing. The first call looks at all locks. It never holds up the loop for longer than
// a few hundred names take.
func (t *Table) HeldBy(account, prefix string) int { return t.views.heldBy(account, prefix) }

// HeldUnder counts the locks held by any account whose names begin with prefix, each name
// as last committed when it is looked at. It looks at no more than most names with a lease
// or a waiter, and returns at how many: if that is most, there may be more. It costs by
// what it looks at, and never holds up the loop for longer than a few hundred names take.
func (t *Table) HeldUnder(prefix string, most int) (held, looked int) {
	return t.views.heldUnder(prefix, most)
}

// List returns names with a lease or a waiter in order, and the last name returned
// if there may be more, to be passed as After. Each page is consistent per name, not
// as a whole.
func (t *Table) List(q Query) (found []lock.View, next lock.Name) { return t.views.list(q) }

// Stats returns counts and timings since Open.
func (t *Table) Stats() Stats {
	return Stats{
		Held:        int(t.held.Load()),
		Waiters:     int(t.waiters.Load()),
		Queues:      t.queueStats(),
		Batches:     t.batches.snapshot(),
		Commits:     t.commits.snapshot(),
		Waits:       t.waits.snapshot(),
		Holds:       t.holds.snapshot(),
		FullCommits: t.fullCommits.Load(),
	}
}

// loop is the one goroutine that feeds the machine.
func (t *Table) loop() {
	defer close(t.done)
	defer t.stopBegin()
	timer := time.NewTimer(time.Hour)
	defer timer.Stop()
	for {
		closed := t.turn()
		if err := t.Err(); errors.Is(err, lock.ErrDeposed) {
			t.shut(lock.ErrDeposed)
			return
		} else if err != nil {
			t.shut(lock.ErrDraining) // the waiters were surely not granted anything
			return
		}
		if closed && len(t.pending) == 0 && len(t.left) == 0 {
			t.shut(lock.ErrDraining)
			return
		}
		t.rest(timer)
	}
}

// rest sleeps until there is something to do: a command, or the next deadline.
func (t *Table) rest(timer *time.Timer) {
	if len(t.pending) > 0 || len(t.left) > 0 {
		return
	}
	next := t.m.NextDeadline()
	if next.IsZero() {
		<-t.inbox.wake
		return
	}
	timer.Reset(time.Until(next))
	select {
	case <-t.inbox.wake:
	case <-timer.C:
	}
}

// turn decides and commits one batch.
func (t *Table) turn() (closed bool) {
	var at time.Time
	t.pending, t.left, at, closed = t.inbox.take(t.pending, t.left)
	t.dropGivenUp()
	t.m.Feed(at, t.left, t.pending)
	for name, more := t.m.Next(); more; name, more = t.m.Next() {
		t.m.Step(t.rechecks(name))
	}
	gone, taken := t.m.Taken()
	t.left = without(t.left, gone)
	t.pending = without(t.pending, taken)
	t.commit()
	return closed
}

// dropGivenUp leaves out acquires whose caller has given up already, among those that
// one batch can take: a grant would only have to be undone. One that is given up later is
// answered, and undone, like any other.
func (t *Table) dropGivenUp() {
	window := min(len(t.pending), lock.BatchSteps)
	n := 0
	for _, c := range t.pending[:window] {
		if c.Verb == lock.DoAcquire && c.Caller.(*request).state.Load() == givenUp {
			continue
		}
		t.pending[n] = c
		n++
	}
	if n < window {
		t.pending = slices.Delete(t.pending, n, window)
	}
}

// rechecks reports whether a waiter for the name is to be called before it gets the lock.
// Without a name there is none that could get it.
func (t *Table) rechecks(name lock.Name) bool {
	return name == "" || t.cfg.Rechecks == nil || t.cfg.Rechecks(name)
}

// without returns what is left of a queue after its first n.
func without[T any](queue []T, n int) []T {
	if n == len(queue) {
		return reused(queue)
	}
	return slices.Delete(queue, 0, n)
}

// commit makes the batch durable, publishes it, and answers: in that order
// (invariant 3).
func (t *Table) commit() {
	err := t.persist()
	switch {
	case err == nil:
		t.m.Accept()
		t.count()
	case errors.Is(err, lock.ErrFull):
		t.m.TakeBack()
		t.fullCommits.Add(1)
		t.nextProbe.Store(time.Now().Add(time.Second).UnixNano())
		t.full.Store(true)
	default:
		t.failed.Store(&err)
	}
	t.publish()
	if err == nil {
		t.cfg.Published()
	}
	t.deliver(err)
	t.m.Finish()
}

func (t *Table) persist() error {
	events := t.m.Events()
	if len(events) == 0 {
		return nil
	}
	start := time.Now()
	// The commit is not to be given up half-way, so it has no deadline. Callers have.
	// Only a drain and a Close do not wait for a commit that cannot even begin.
	t.rows = t.m.Rows(t.rows[:0])
	err := t.store.Commit(t.begin, &lock.Batch{Events: events, Rows: t.rows})
	t.rows = reused(t.rows)
	if err != nil {
		return err
	}
	t.commits.observeSpan(time.Since(start))
	t.batches.observe(float64(len(events)))
	t.full.Store(false)
	return nil
}

// count keeps the statistics of an accepted batch.
func (t *Table) count() {
	events := t.m.Events()
	for i := range events {
		e := &events[i]
		switch {
		case e.Kind == lock.Granted:
			t.waits.observeSpan(e.Waited)
		case e.Kind.Ends():
			t.holds.observeSpan(e.Lease.HeldFor(e.Time))
		}
	}
}

// publish shows what the machine now has. When the table has failed nothing is
// shown: what is true is unknown.
func (t *Table) publish() {
	if t.failed.Load() != nil {
		return
	}
	t.shown = t.m.Views(t.shown, viewedWaiters)
	if len(t.shown) == 0 {
		return
	}
	t.views.publish(t.shown)
	t.shown = reused(t.shown)
	held, waiting := t.m.Counts()
	t.held.Store(int64(held))
	t.waiters.Store(int64(waiting))
	t.publishQueues()
}

// deliver sends the answers of the batch, or err instead of what they said.
func (t *Table) deliver(err error) {
	if err != nil && !errors.Is(err, lock.ErrFull) && !errors.Is(err, lock.ErrDeposed) {
		err = lock.ErrOutcomeUnknown
	}
	for c, r := range t.m.Replies(err) {
		t.send(c, r)
	}
}

// send hands a reply to its caller. A grant whose caller has given up is undone.
func (t *Table) send(c *lock.Command, r lock.Reply) {
	to, _ := c.Caller.(*request)
	switch {
	case to == nil:
	case r.Turn != nil:
		to.replies <- r // never blocks: there is room for one call and one answer
	case to.state.CompareAndSwap(asked, answered):
		to.replies <- r
	default:
		t.undo(r)
	}
}

func (t *Table) undo(r lock.Reply) {
	if !r.Undoable {
		return
	}
	c := &lock.Command{Verb: lock.DoUndo, Name: r.Lease.Name, Token: r.Lease.Token}
	_ = t.inbox.put(c) // closed: the lease then runs to its end
}

// shut answers everybody who is left when the loop ends.
func (t *Table) shut(err error) {
	t.inbox.close()
	t.pending, t.left, _, _ = t.inbox.take(t.pending, t.left)
	t.m.DismissAll(err)
	t.deliver(nil)
	for _, c := range t.pending {
		t.send(c, lock.Reply{Err: lock.ErrClosed})
	}
}
