package bench

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/octostore/octostore/cmd/octostore/internal/bench/internal/wire"
)

const (
	parkingTime = 5 * time.Minute // a whole round of mode waiters has to fit in
	parkingPoll = 10 * time.Millisecond
)

// parkedWaiters is the load of mode waiters: it parks many requests that wait for a few
// locks, reads the server's memory use, and then releases the locks. Each waiter gets its
// lock, releases it at once, and leaves. One operation is one waiter; it lasts from the
// first release until the waiter has read its answer.
type parkedWaiters struct {
	locks, waiters int
}

func (l *parkedWaiters) run(ctx context.Context, t *target) (*sample, error) {
	conns, err := wire.Dial(ctx, t.addr, 1, parkingTime)
	if err != nil {
		return nil, err
	}
	defer wire.Close(conns)
	lot := &waitRound{target: t, control: conns[0], sample: &sample{}, took: newTimings(), opened: make(chan struct{})}
	if err := lot.occupy(l.locks); err != nil {
		return nil, err
	}
	if err := lot.measure(ctx, l.waiters); err != nil {
		return nil, err
	}
	s := lot.sample
	s.latency = lot.took.histogram
	s.operations = s.latency.TotalCount()
	s.elapsed = time.Duration(s.latency.Max())
	return s, nil
}

// waitRound is one round of [parkedWaiters].
type waitRound struct {
	target  *target
	control *wire.Conn
	holders []*lockClient // one for each lock, on the control connection
	names   []string
	ledgers []*ledger
	sample  *sample
	took    *timings

	opened chan struct{} // closed just before the locks are released
	since  time.Time     // time of that
}

// query is the same for the holders, which find the locks free.
func (l *waitRound) query() string {
	return fmt.Sprintf("ttl=%s&wait=%[1]s", parkingTime)
}

func (l *waitRound) occupy(locks int) error {
	for i := range locks {
		name, known := l.target.name(fmt.Sprintf("wait/%04d", i)), &ledger{}
		p := newLockClient(l.target, l.control, name, l.query(), known)
		if err := p.acquire(); err != nil {
			return err
		}
		l.holders, l.names, l.ledgers = append(l.holders, p), append(l.names, name), append(l.ledgers, known)
	}
	return nil
}

func (l *waitRound) measure(ctx context.Context, waiters int) (err error) {
	if l.sample.empty, err = l.target.usage(ctx); err != nil {
		return err
	}
	l.sample.before = l.sample.empty
	conns, err := wire.Dial(ctx, l.target.addr, waiters, parkingTime)
	if err != nil {
		return err
	}
	var wg sync.WaitGroup
	defer wg.Wait()
	defer wire.Close(conns) // before wg.Wait: after an error no waiter may wait on
	for i, c := range conns {
		lock := i % len(l.names)
		p := newLockClient(l.target, c, l.names[lock], l.query(), l.ledgers[lock])
		wg.Go(func() { l.park(p) })
	}
	if err := l.await(ctx, int64(waiters)); err != nil {
		return err
	}
	if l.sample.full, err = l.target.usage(ctx); err != nil {
		return err
	}
	l.sample.kept = int64(waiters)
	l.open()
	wg.Wait()
	l.sample.after, err = l.target.usage(ctx)
	return err
}

// park waits for a lock and releases it.
func (l *waitRound) park(p *lockClient) {
	err := p.acquire()
	read := time.Now()
	if err != nil {
		l.sample.count(err)
	}
	if !p.holds() {
		return
	}
	select {
	case <-l.opened:
		l.took.add(read.Sub(l.since))
	default:
		l.sample.count(broken("a waiter got a lock that another client holds"))
	}
	if err := p.release(); err != nil {
		l.sample.count(err)
	}
}

// await returns when the server reports that all wait.
func (l *waitRound) await(ctx context.Context, waiters int64) error {
	timer := time.NewTimer(parkingTime / 2)
	defer timer.Stop()
	for {
		failed, _ := l.sample.failures()
		waiting, err := l.waiting()
		if err != nil || waiting >= waiters-failed {
			return err
		}
		select {
		case <-time.After(parkingPoll):
		case <-timer.C:
			return fmt.Errorf("of %d waiters the server counts %d", waiters, waiting)
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
}

// waiting returns the number of waiters according to the server.
func (l *waitRound) waiting() (int64, error) {
	var total int64
	for _, name := range l.names {
		body, err := l.control.Exchange(l.target.request("GET", name, "\r\n"))
		if err != nil {
			return 0, fmt.Errorf("status: %w", err)
		}
		if wire.Field(body, wire.FieldWaiters) == nil {
			return 0, errors.New("status: the answer does not say how many wait")
		}
		total += int64(wire.Number(body, wire.FieldWaiters))
	}
	return total, nil
}

// open releases the locks.
func (l *waitRound) open() {
	l.since = time.Now()
	close(l.opened)
	for _, p := range l.holders {
		if err := p.release(); err != nil {
			l.sample.count(err)
		}
	}
}
