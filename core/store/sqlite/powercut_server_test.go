package sqlite

import (
	"context"
	"crypto/ed25519"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/octostore/octostore/core/journal"
	"github.com/octostore/octostore/core/lock"
	"github.com/octostore/octostore/core/table"
)

// chain is a server without its transport, on a simulated disk: a table on a journal on a
// store, and what its clients were told.
type chain struct {
	t   *testing.T
	d   *disk
	cfg Config
	// careless makes commits that do not wait for the disk.
	careless bool
	// byClock lets the sequence begin where the clock is.
	byClock bool

	s   *Store
	tab *table.Table

	mu       sync.Mutex
	commits  []commit
	said     []said
	refused  map[string]bool // requests that were told they changed nothing
	requests int
}

// commit is a batch as the store received it.
type commit struct {
	segment lock.Segment
	err     error
	ops     int // of the disk when the store answered
}

// said is an event a client could rely on.
type said struct {
	ops     int
	kind    lock.Kind
	token   lock.Token
	request string // whose it is; empty: that is not known
}

// farAhead is a sequence number of the year 2100. A journal that begins there makes
// sure that only its head, and not the clock, keeps tokens growing.
const farAhead = lock.Seq(4_102_444_800) << 20

func newChain(t *testing.T, d *disk) *chain {
	c := &chain{t: t, d: d, refused: make(map[string]bool)}
	c.cfg = Config{Path: newPath(t), walSize: 64 << 10, Reserve: -1}
	if err := create(c.cfg.Path); err != nil {
		t.Fatal(err)
	}
	return c
}

// Load and the other methods of journal.Store are those of the store, but commits are
// recorded.
func (c *chain) Load(ctx context.Context) (lock.Snapshot, error) { return c.s.Load(ctx) }

func (c *chain) Segments(ctx context.Context, after lock.Seq, events int) ([]lock.Segment, error) {
	return c.s.Segments(ctx, after, events)
}

func (c *chain) Key(ctx context.Context) (ed25519.PrivateKey, error) { return c.s.Key(ctx) }
func (c *chain) Cut(ctx context.Context) (lock.Head, error)          { return c.s.Cut(ctx) }
func (c *chain) Prune(ctx context.Context, cut lock.Head) error      { return c.s.Prune(ctx, cut) }

func (c *chain) Commit(ctx context.Context, b *lock.Batch) error {
	c.mu.Lock()
	c.commits = append(c.commits, commit{segment: b.Segment, err: errors.New("never answered")})
	at := len(c.commits) - 1
	c.mu.Unlock()
	err := c.s.Commit(ctx, b)
	c.mu.Lock()
	defer c.mu.Unlock()
	c.commits[at].err, c.commits[at].ops = err, c.d.done()
	return err
}

// start starts the server.
func (c *chain) start() (err error) {
	if c.s, err = Open(c.t.Context(), c.cfg); err != nil {
		return err
	}
	if c.careless {
		err = c.s.w.Exec("PRAGMA synchronous = NORMAL")
	}
	if err == nil {
		c.tab, err = c.openTable()
	}
	if err != nil {
		c.s.Close()
	}
	return err
}

func (c *chain) openTable() (*table.Table, error) {
	ctx := c.t.Context()
	j := journal.New(c)
	snap, err := j.Load(ctx)
	if err != nil {
		return nil, err
	}
	if snap.Head.Seq == 0 && !c.byClock {
		first := lock.Event{Seq: farAhead, Time: time.Now(), Kind: lock.Started}
		if err := j.Commit(ctx, &lock.Batch{Events: []lock.Event{first}}); err != nil {
			return nil, err
		}
	}
	return table.Open(ctx, j, table.Config{Published: j.Publish})
}

// stop stops the server, and returns what stopped the table before.
func (c *chain) stop() (table, store error) {
	c.appendEvent(lock.Stopped)
	c.tab.Drain()
	return c.tab.Close(), c.s.Close()
}

func (c *chain) note(kind lock.Kind, token lock.Token, request string) {
	ops := c.d.done()
	c.mu.Lock()
	defer c.mu.Unlock()
	c.said = append(c.said, said{ops, kind, token, request})
}

// origin makes a request.
func (c *chain) origin() lock.Origin {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.requests++
	return lock.Origin{Actor: lock.Actor{Account: "ci"}, RequestID: fmt.Sprintf("request-%d", c.requests)}
}

// failed records what an error says about the journal.
func (c *chain) failed(request string, err error) {
	var held *lock.HeldError
	if errors.As(err, &held) && held.Lease != nil {
		c.note(lock.Granted, held.Lease.Token, "")
	}
	if errors.Is(err, lock.ErrOutcomeUnknown) || errors.Is(err, lock.ErrTooLate) {
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.refused[request] = true
}

func (c *chain) acquire(name lock.Name, ttl, wait time.Duration) (table.Grant, error) {
	a := lock.Acquisition{Origin: c.origin(), Name: name, Holder: "job", TTL: ttl, Wait: wait}
	if wait == 0 { // a grant with a key is not undone at once
		a.Metadata = map[string]string{"ticket": a.RequestID}
		copy(a.Attempt.Key[:], a.RequestID)
	}
	g, err := c.tab.Acquire(c.t.Context(), a)
	if err != nil {
		c.failed(a.RequestID, err)
		return g, err
	}
	c.note(lock.Granted, g.Lease.Token, a.RequestID)
	return g, nil
}

func (c *chain) renew(g table.Grant, ttl time.Duration) error {
	r := lock.RenewRequest{Origin: c.origin(), Name: g.Lease.Name, LeaseID: g.LeaseID, TTL: ttl}
	got, err := c.tab.Renew(c.t.Context(), r)
	if err != nil {
		c.failed(r.RequestID, err)
		return err
	}
	c.note(lock.Renewed, got.Lease.Token, r.RequestID)
	return nil
}

func (c *chain) release(g table.Grant) error {
	r := lock.ReleaseRequest{Origin: c.origin(), Name: g.Lease.Name, LeaseID: g.LeaseID}
	ended, err := c.tab.Release(c.t.Context(), r)
	if err != nil {
		c.failed(r.RequestID, err)
		return err
	}
	c.note(lock.Released, ended.Lease.Token, r.RequestID)
	return nil
}

func (c *chain) appendEvent(kind lock.Kind) {
	o := c.origin()
	_, err := c.tab.Append(c.t.Context(), lock.Event{Kind: kind, RequestID: o.RequestID})
	if err != nil {
		c.failed(o.RequestID, err)
		return
	}
	c.note(kind, 0, o.RequestID)
}

// until waits for something that the table does by itself, or for its end.
func (c *chain) until(what string, done func() bool) bool {
	for limit := time.Now().Add(30 * time.Second); !done(); time.Sleep(50 * time.Microsecond) {
		if c.tab.Err() != nil {
			return false
		}
		if time.Now().After(limit) {
			c.t.Errorf("never: %s", what)
			return false
		}
	}
	return true
}

// expire lets a lease expire.
func (c *chain) expire(name lock.Name) {
	g, err := c.acquire(name, 2*time.Millisecond, 0)
	if err != nil {
		return
	}
	if c.until("the lease expires", func() bool { return c.tab.Get(name).Lease == nil }) {
		c.note(lock.Expired, g.Lease.Token, "")
	}
}

// handOver passes a lock from its holder to the next two waiters; the first of them has
// left when it gets the lock.
func (c *chain) handOver(name lock.Name) {
	g, err := c.acquire(name, time.Minute, 0)
	if err != nil {
		return
	}
	var waiters sync.WaitGroup
	var answered atomic.Bool // refused at the door of a full disk, or after its second
	for i := range 2 {
		waiters.Go(func() {
			g, err := c.acquire(name, time.Minute, time.Second)
			answered.Store(true)
			if err != nil {
				return
			}
			if i == 0 {
				c.tab.Undo(g)
				return
			}
			c.release(g)
		})
		c.until("it waits or is answered", func() bool { return answered.Load() || c.tab.Get(name).Waiters > i })
	}
	if c.release(g) != nil {
		c.release(g) // a full disk refused it, and has space again
	}
	waiters.Wait()
}

// burst acquires locks at once, some of them twice, and releases half of them.
func (c *chain) burst(round int) {
	var clients sync.WaitGroup
	for i := range 12 {
		clients.Go(func() {
			g, err := c.acquire(lock.Name(fmt.Sprintf("burst/%d/%d", round, i%8)), time.Minute, 0)
			if err == nil && i%2 == 0 {
				c.release(g)
			}
		})
	}
	clients.Wait()
}

// moveWAL runs the checkpoint that the upkeep runs when the log is long.
func (c *chain) moveWAL() {
	mover, err := openCheckpointer(c.s.path)
	if err != nil {
		return
	}
	c.s.checkpoint(mover)
	mover.Close()
}

// live is the life of a server from start to stop: everything that a table does, with
// checkpoints and a log that starts over in between.
func (c *chain) live(life, rounds int) error {
	if err := c.start(); err != nil {
		return err
	}
	c.appendEvent(lock.Started)
	for i := range rounds {
		name := func(s string) lock.Name { return lock.Name(fmt.Sprintf("%s/%d/%d", s, life, i%5)) }
		if g, err := c.acquire(name("kept"), time.Minute, 0); err == nil {
			c.renew(g, 2*time.Minute)
		}
		if g, err := c.acquire(name("brief"), time.Minute, 0); err == nil {
			c.renew(g, 0)
			c.release(g)
		}
		c.expire(name("short"))
		c.handOver(name("queue"))
		c.burst(life*rounds + i)
		if i%3 == 2 {
			c.moveWAL()
		}
	}
	c.until("a lock can be had", func() bool {
		_, err := c.acquire("last", time.Minute, 0)
		var held *lock.HeldError
		return err == nil || errors.As(err, &held)
	})
	return errors.Join(c.stop())
}
