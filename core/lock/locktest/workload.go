package locktest

import (
	"context"
	"fmt"
	"math/rand/v2"
	"sync"
	"time"
)

// Service is the lock service under test, as one client sees it. An outcome a client
// cannot be sure of is [Unknown].
type Service interface {
	Acquire(ctx context.Context, ask Ask) Outcome
	Renew(ctx context.Context, lock, leaseID string, ttl time.Duration) Outcome // ttl 0: as before
	Release(ctx context.Context, lock, leaseID string) Outcome
	Break(ctx context.Context, lock string, token uint64) Outcome
	Look(ctx context.Context, lock string) Outcome
}

// Ask holds the parameters of an acquire.
type Ask struct {
	Lock    string
	Attempt string // to be sent as the holder, so that others see whose lease it is
	Key     string // empty: none
	TTL     time.Duration
	Confirm time.Duration // 0: the lease needs no confirmation
	Wait    time.Duration // 0: a try
}

// Workload describes random clients of a service. All choices are drawn from the seed, but
// they also depend on the answers.
type Workload struct {
	Seed       uint64
	Clients    int
	Locks      int
	Operations int           // to be recorded at least
	Pause      time.Duration // at most, between the requests of a client
	MinTTL     time.Duration
	MaxTTL     time.Duration
	MaxWait    time.Duration
	Over       <-chan struct{} // if it is closed earlier, it ends the work, too
}

// Run has all clients work until there are enough operations in h, or the work is over.
func (w Workload) Run(h *History, s Service) {
	var clients sync.WaitGroup
	for id := range w.Clients {
		c := &client{w: w, id: id, history: h, service: s, rng: rand.New(rand.NewPCG(w.Seed, uint64(id)))}
		clients.Go(func() {
			for h.Len() < w.Operations && !w.isOver() {
				time.Sleep(c.upTo(w.Pause))
				c.act()
			}
			c.twins.Wait()
		})
	}
	clients.Wait()
}

func (w Workload) isOver() bool {
	select {
	case <-w.Over:
		return true
	default:
		return false
	}
}

// client misuses its leases: it stops for a while, renews them at the last moment or too
// late, and uses them long after their end.
type client struct {
	w       Workload
	id      int
	history *History
	service Service
	rng     *rand.Rand
	count   int
	last    Ask // newest acquire with a key
	twins   sync.WaitGroup

	mu   sync.Mutex // a twin may be granted a lease too
	have []lease    // newest last
	past []lease    // given back, or found to be over
}

type lease struct {
	lock, id string
	token    uint64
}

// remembered is how many leases of each kind a client remembers.
const remembered = 6

// act does the next thing.
func (c *client) act() {
	switch n := c.rng.IntN(100); {
	case n < 40:
		c.acquire()
	case n < 58:
		c.renew()
	case n < 82:
		c.release()
	case n < 84:
		c.breakLease()
	default:
		c.look(c.lock())
	}
}

func (c *client) upTo(d time.Duration) time.Duration { return time.Duration(c.rng.Int64N(int64(d))) }

// lock returns a name, every other one with all kinds of characters a name may have.
func (c *client) lock() string {
	n := c.rng.IntN(c.w.Locks)
	return fmt.Sprintf([]string{"lock%d", "@Refs/acquire/a~b+c:%d"}[n%2], n)
}

// acquire asks for a lock: mostly a new one, sometimes again with the key it had.
func (c *client) acquire() {
	ask := c.last
	if ask.Key == "" || c.rng.IntN(4) > 0 {
		ask = c.fresh()
	}
	if ask.Wait = 0; c.rng.IntN(2) == 0 {
		ask.Wait = 1 + c.upTo(c.w.MaxWait)
	}
	if ask.Key != "" {
		c.last = ask
		if c.rng.IntN(5) == 0 {
			again, later, leaves := ask, c.upTo(c.w.Pause), c.leaves(ask)
			c.twins.Go(func() {
				time.Sleep(later)
				c.ask(again, c.id+c.w.Clients, leaves)
			})
		}
	}
	for c.ask(ask, c.id, c.leaves(ask)).Result == Unknown && ask.Key != "" && c.rng.IntN(3) > 0 {
		time.Sleep(c.upTo(c.w.Pause))
	}
}

func (c *client) fresh() Ask {
	c.count++
	ask := Ask{
		Lock:    c.lock(),
		Attempt: fmt.Sprintf("%d-%d", c.id, c.count),
		TTL:     c.ttl(),
	}
	if c.rng.IntN(3) == 0 {
		ask.Confirm = min(ask.TTL, c.ttl())
	}
	if c.rng.IntN(2) == 0 {
		ask.Key = fmt.Sprintf("%016x-%s", c.w.Seed, ask.Attempt)
	}
	return ask
}

// ttl is mostly short.
func (c *client) ttl() time.Duration {
	span := c.w.MaxTTL - c.w.MinTTL
	if c.rng.IntN(4) > 0 {
		span /= 8
	}
	return (c.w.MinTTL + c.upTo(span)).Truncate(time.Millisecond)
}

// leaves returns the time until the client hangs up; 0: it stays.
func (c *client) leaves(ask Ask) time.Duration {
	if c.rng.IntN(4) > 0 {
		return 0
	}
	return 1 + c.upTo(max(ask.Wait, c.w.Pause/8))
}

func (c *client) ask(ask Ask, client int, leaves time.Duration) Outcome {
	ctx := context.Background()
	if leaves > 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, leaves)
		defer cancel()
	}
	op := Operation{Client: client, Lock: ask.Lock, Do: Acquire, Attempt: ask.Attempt, Keyed: ask.Key != "", Waits: ask.Wait > 0}
	o := c.history.Record(op, func() Outcome { return c.service.Acquire(ctx, ask) })
	if o.Result != Done {
		return o
	}
	l := lease{lock: ask.Lock, id: o.LeaseID, token: o.Token}
	c.keep(&c.have, l)
	if client == c.id {
		c.doze(l, time.Until(o.Earliest), o.Unconfirmed)
	}
	return o
}

// doze sometimes sleeps until about the end of a new lease, more often if the lease is
// unconfirmed, and then renews it.
func (c *client) doze(l lease, left time.Duration, unconfirmed bool) {
	odds := 6
	if unconfirmed {
		odds = 3
	}
	if left <= 0 || c.rng.IntN(odds) > 0 {
		return
	}
	around := c.upTo(c.w.Pause/2) - c.w.Pause/8
	if c.rng.IntN(3) == 0 {
		left, around = c.upTo(left), 0
	}
	time.Sleep(left + around)
	c.renewThis(l)
}

func (c *client) keep(in *[]lease, l lease) {
	c.mu.Lock()
	defer c.mu.Unlock()
	*in = append(*in, l)
	if len(*in) > remembered {
		*in = (*in)[1:]
	}
}

// pick returns a lease: mostly the newest it has, sometimes an older one or one that
// is over.
func (c *client) pick() (l lease, ok bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	from := c.have
	if c.rng.IntN(5) == 0 {
		from = c.past
	}
	switch {
	case len(from) == 0:
		return lease{}, false
	case c.rng.IntN(3) > 0:
		return from[len(from)-1], true
	}
	return from[c.rng.IntN(len(from))], true
}

// drop moves a lease to the past.
func (c *client) drop(l lease) {
	c.mu.Lock()
	kept := c.have[:0:0]
	for _, h := range c.have {
		if h.token != l.token {
			kept = append(kept, h)
		}
	}
	c.have = kept
	c.mu.Unlock()
	c.keep(&c.past, l)
}

func (c *client) renew() {
	l, ok := c.pick()
	if !ok {
		c.acquire()
		return
	}
	c.renewThis(l)
}

func (c *client) renewThis(l lease) {
	ttl := c.ttl()
	if c.rng.IntN(2) == 0 {
		ttl = 0
	}
	o := c.history.Record(Operation{Client: c.id, Lock: l.lock, Do: Renew, Token: l.token}, func() Outcome {
		return c.service.Renew(context.Background(), l.lock, l.id, ttl)
	})
	if o.Result == NotHeld {
		c.drop(l)
	}
}

func (c *client) release() {
	l, ok := c.pick()
	if !ok {
		c.acquire()
		return
	}
	c.history.Record(Operation{Client: c.id, Lock: l.lock, Do: Release, Token: l.token}, func() Outcome {
		return c.service.Release(context.Background(), l.lock, l.id)
	})
	c.drop(l)
}

// breakLease looks who has a lock and ends that lease.
func (c *client) breakLease() {
	name := c.lock()
	o := c.look(name)
	if o.Result != Held {
		return
	}
	time.Sleep(c.upTo(c.w.Pause))
	c.history.Record(Operation{Client: c.id, Lock: name, Do: Break, Token: o.Token}, func() Outcome {
		return c.service.Break(context.Background(), name, o.Token)
	})
}

func (c *client) look(name string) Outcome {
	return c.history.Record(Operation{Client: c.id, Lock: name, Do: Look}, func() Outcome {
		return c.service.Look(context.Background(), name)
	})
}
