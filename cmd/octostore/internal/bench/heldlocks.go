package bench

import (
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/octostore/octostore/cmd/octostore/internal/bench/internal/usage"
	"github.com/octostore/octostore/cmd/octostore/internal/bench/internal/wire"
)

const (
	holdingTime = 10 * time.Minute // the ttl; a whole round of mode locks has to fit in
	settleTime  = 20 * time.Second
)

// heldLocks is the load of mode locks: it acquires many locks, reads the server's memory
// use, and releases them. One operation is one acquire.
type heldLocks struct {
	connections, locks int
}

func (l *heldLocks) run(ctx context.Context, t *target) (*sample, error) {
	conns, err := wire.Dial(ctx, t.addr, l.connections, holdingTime)
	if err != nil {
		return nil, err
	}
	defer wire.Close(conns)
	s, took := &sample{kept: int64(l.locks)}, newTimings()
	if s.empty, err = settle(ctx, t, conns); err != nil {
		return nil, err
	}
	if s.before, err = t.usage(ctx); err != nil {
		return nil, err
	}
	start := time.Now()
	hoards := make([]*lockSet, len(conns))
	forEachConn(conns, func(i int, c *wire.Conn) {
		hoards[i] = &lockSet{target: t, conn: c, first: i, step: len(conns), took: took, sample: s}
		hoards[i].take(l.locks)
	})
	s.elapsed = time.Since(start)
	if s.after, err = t.usage(ctx); err != nil {
		return nil, err
	}
	if s.full, err = settle(ctx, t, conns); err != nil {
		return nil, err
	}
	forEachConn(conns, func(i int, _ *wire.Conn) { hoards[i].giveBack() })
	s.latency = took.histogram
	s.operations = s.latency.TotalCount()
	return s, nil
}

// forEachConn runs f for all connections at once, and waits.
func forEachConn(conns []*wire.Conn, f func(i int, c *wire.Conn)) {
	var wg sync.WaitGroup
	for i, c := range conns {
		wg.Go(func() { f(i, c) })
	}
	wg.Wait()
}

// lockSet is the set of locks that one connection holds: every step-th, beginning with
// first.
type lockSet struct {
	target      *target
	conn        *wire.Conn
	first, step int
	leases      []heldLease
	took        *timings
	sample      *sample
}

// heldLease holds the values that a release needs.
type heldLease struct {
	lock  int
	token uint64
	lease string
}

func (h *lockSet) client(lock int) *lockClient {
	name := h.target.name(fmt.Sprintf("hold/%07d", lock))
	return newLockClient(h.target, h.conn, name, "ttl="+holdingTime.String(), &ledger{})
}

// take acquires the locks of this connection, up to the given number of all connections
// together.
func (h *lockSet) take(locks int) {
	watch := stopwatch{into: h.took}
	defer watch.flush()
	for lock := h.first; lock < locks; lock += h.step {
		p := h.client(lock)
		start := time.Now()
		if err := p.acquire(); err != nil {
			if !h.sample.count(err) {
				return
			}
			continue
		}
		watch.add(time.Since(start))
		h.leases = append(h.leases, heldLease{lock: lock, token: p.token, lease: string(p.lease)})
	}
}

func (h *lockSet) giveBack() {
	for _, held := range h.leases {
		p := h.client(held.lock)
		p.token, p.lease = held.token, []byte(held.lease)
		if err := p.release(); err != nil && !h.sample.count(err) {
			return
		}
	}
}

// settle returns the usage of the server with as little garbage in its heap as can be seen
// from outside: it reads locks until the server has collected garbage twice, and keeps the
// smallest heap it saw.
func settle(ctx context.Context, t *target, conns []*wire.Conn) (usage.Usage, error) {
	first, err := t.usage(ctx)
	if err != nil || first.Collections == usage.Unknown {
		return first, err
	}
	smallest := first.Heap
	request := t.request("GET", t.name("settle"), "\r\n")
	if err := readSome(conns, request, 1); err != nil { // a server closes a connection without a request after 5 s
		return usage.Usage{}, err
	}
	for began := time.Now(); ; {
		if err := readSome(conns[:min(len(conns), 4)], request, 100); err != nil {
			return usage.Usage{}, err
		}
		now, err := t.usage(ctx)
		if err != nil {
			return usage.Usage{}, err
		}
		smallest = min(smallest, now.Heap)
		if now.Collections >= first.Collections+2 || time.Since(began) > settleTime {
			now.Heap = smallest
			return now, nil
		}
	}
}

// readSome sends the request some times over each connection.
func readSome(conns []*wire.Conn, request []byte, times int) error {
	errs := make([]error, len(conns))
	forEachConn(conns, func(i int, c *wire.Conn) {
		for n := 0; n < times && errs[i] == nil; n++ {
			_, errs[i] = c.Exchange(request)
		}
	})
	for _, err := range errs {
		if err != nil {
			return fmt.Errorf("status: %w", err)
		}
	}
	return nil
}
