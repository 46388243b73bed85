package table

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"time"

	"github.com/octostore/octostore/core/lock"
)

// Config says how a table is to behave. The zero value is useful.
type Config struct {
	lock.Rules
	// Full, if not nil, reports whether the store needs its last space for the ends of
	// leases; acquires are then refused before they reach the store. After a commit failed
	// with [lock.ErrFull] it must stay true until a retry makes sense. If it is nil, the
	// table itself probes once a second. It must be quick and safe for many goroutines.
	Full func() bool
	// Rechecks, if not nil, reports whether a waiter of [Table.AcquireWith] for a name must
	// be called before it gets the lock; nil means always. The loop calls it just before a
	// step that may give the lock: it must be quick, must not block and must not call the
	// table.
	Rechecks func(lock.Name) bool
	// Owns, if not nil, reports whether this process still owns what the store keeps, which
	// several processes share; nil means always. Once it is false it must stay false. It must
	// be quick and safe for many goroutines.
	Owns func() bool
	// Published, if not nil, runs in the loop after each commit, when the views show it and
	// before its answers leave. It must be quick.
	Published func()
	// Tracer, if not nil, follows requests and commits.
	Tracer Tracer
}

// Table is a set of locks with one timeline. Make one with [Open]; its methods are
// safe for use by many goroutines.
type Table struct {
	cfg   Config
	store Store
	ids   *leaseIDs
	views views
	inbox *inbox
	crowd crowd // of the loop

	requests requests
	parking  parking

	m       *lock.Machine    // the loop's own
	pending []*lock.Command  // the loop's own: taken, not stepped yet
	left    []lock.Departure // the loop's own
	rows    []lock.Row       // the loop's own, used again
	shown   []lock.Change    // the same
	traced  []Trace          // the same

	refusing   atomic.Bool // acquires are refused
	moving     atomic.Bool // another process is to own the table: that is the cause of all refusals
	deposed    atomic.Bool // nothing is decided any more
	refuseOnce sync.Once
	drainOnce  sync.Once
	deposeOnce sync.Once
	stuckOnce  sync.Once
	draining   context.Context // ended by drain
	drain      context.CancelFunc
	stuck      chan struct{} // closed when a drain is not answered in time: the disk hangs
	done       chan struct{} // closed when the loop has ended
	failed     atomic.Pointer[error]
	begin      context.Context // of commits; it ends with a drain or a Close that takes too long
	stopBegin  context.CancelFunc

	// While the disk is full, and Config.Full is nil, acquires are refused except for one a
	// second, which probes for space.
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
	margins       *histogram
	events        eventCounts
	handovers     *histogram
	freed         map[lock.Name]time.Time // the loop's own: since when locks with waiters are free
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
		margins: newHistogram(shareBounds),
		events:  newEventCounts(),

		handovers: newHistogram(handoverBounds),
		freed:     map[lock.Name]time.Time{},
	}
	t.begin, t.stopBegin = context.WithCancel(context.Background())
	t.draining, t.drain = context.WithCancel(context.Background())
	t.m = lock.NewMachine(cfg.Rules, s, t.opened)
	t.publish()
	t.m.Finish()
	go t.loop()
	return t, nil
}

// Close refuses new requests, answers the pending ones, and waits for the loop to end. It
// gives up a commit that cannot begin within a second. Leases stay. It returns the error
// that stopped the table, if there was one.
func (t *Table) Close() error {
	t.inbox.close(t.cause(lock.ErrClosed))
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
		t.dismissWaiters(t.stopBegin)
	})
}

// RefuseAcquires is [Table.Drain] of a server that goes on: acquires are refused and waiters
// answered, but the context of [Table.UntilDrain] does not end, and a disk that hangs for a
// while is waited for. It cannot be taken back.
func (t *Table) RefuseAcquires() { t.refuseOnce.Do(func() { t.dismissWaiters(func() {}) }) }

// dismissWaiters refuses acquires and has the loop answer all waiters. If it does not do so
// in time, the waiters answer themselves, and late is called.
func (t *Table) dismissWaiters(late func()) {
	t.refusing.Store(true)
	c := newRequest(lock.DoDrain, "", lock.Origin{})
	if t.inbox.put(&c.Command) != nil {
		return // closed: there is no waiter left
	}
	time.AfterFunc(drainingPatience, func() {
		if c.state.CompareAndSwap(asked, givenUp) {
			t.giveUpWaiters()
			late()
		}
	})
}

// giveUpWaiters has all waiters answer themselves, because the loop does not.
func (t *Table) giveUpWaiters() {
	t.stuckOnce.Do(func() { close(t.stuck) })
	t.parking.end()
}

// Draining reports whether acquires are refused because [Table.Drain], [Table.RefuseAcquires]
// or [Table.Move] has been called.
func (t *Table) Draining() bool { return t.refusing.Load() }

// UntilDrain returns a context that ends when [Table.Drain], [Table.Move] or [Table.Depose] is
// called, or the loop finds that the table is deposed.
func (t *Table) UntilDrain() context.Context { return t.draining }

// Done is closed when the table has stopped: after [Table.Close] or [Table.Depose], or after a
// commit of unknown outcome. [Table.Err] tells which.
func (t *Table) Done() <-chan struct{} { return t.done }

// Err returns nil while the table serves and after an orderly Close, else what stopped it:
// [lock.ErrDeposed] if another process may own the table.
func (t *Table) Err() error {
	if err := t.failed.Load(); err != nil {
		return *err
	}
	return nil
}

// Full reports whether acquires are refused because there is no space to record
// them.
func (t *Table) Full() bool {
	if t.cfg.Full != nil {
		return t.cfg.Full()
	}
	return t.full.Load()
}

// Get returns the committed state of a name.
func (t *Table) Get(name lock.Name) lock.View { return t.views.get(name) }

// HeldBy counts the locks with a prefix that an account holds. Each name counts as last
// committed. The cost grows with the count, except for an empty prefix, where it is
// constant. The first call looks at all locks. It blocks the loop for a few hundred names
// at most.
func (t *Table) HeldBy(account, prefix string) int { return t.views.heldBy(account, prefix) }

// HeldUnder counts the held locks with a prefix, of all accounts. Each name counts as last
// committed. It looks at up to most names with a lease or a waiter and returns their number
// in looked: if that is most, there may be more. The cost grows with looked. It blocks the
// loop for a few hundred names at most.
func (t *Table) HeldUnder(prefix string, most int) (held, looked int) {
	return t.views.heldUnder(prefix, most)
}

// LongestTTL returns the longest ttl of all committed leases, or 0 without leases. It reads
// them in pages, which does not block the loop, and may miss a lease that is granted
// meanwhile.
func (t *Table) LongestTTL() time.Duration { return t.views.longestTTL() }

// Query selects names for a listing.
type Query struct {
	Prefix  string    // bytes, see [lock.CheckPrefix]
	Account string    // only locks held by this account; empty: all
	After   lock.Name // only names greater than this one
	Limit   int       // at least 1
	Order   Order     // if not [ByName], After has no meaning
	// Visible, if not nil, is asked for every name; false leaves it out. It must be
	// quick and must not call the table.
	Visible func(lock.Name) bool
}

// List returns names with a lease or a waiter in order, and the last name returned
// if there may be more, to be passed as After. Each page is consistent per name, not
// as a whole. In another order than [ByName] there is one page only.
func (t *Table) List(q Query) (found []lock.View, next lock.Name) {
	if q.Order != ByName {
		return t.views.listWaited(q), ""
	}
	return t.views.list(q)
}

// Version returns a number that rises after views have changed. A caller that reads it before
// Get or List, and calls them again whenever it has risen, misses no change.
func (t *Table) Version() uint64 { return t.views.version.Load() }

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
		Margins:     t.margins.snapshot(),
		Events:      t.events.snapshot(),
		Handovers:   t.handovers.snapshot(),
		FullCommits: t.fullCommits.Load(),
	}
}
