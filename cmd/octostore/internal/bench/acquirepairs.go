package bench

import (
	"context"
	"fmt"
	"time"
)

// namesEach is the number of locks that each connection uses in turn, so that the same row
// does not change every time.
const namesEach = 16

// acquirePairs is the load of mode acquire: every connection acquires and releases free
// locks of its own. One operation is one request.
type acquirePairs struct {
	timing
	connections int
}

func (l *acquirePairs) run(ctx context.Context, t *target) (*sample, error) {
	conns, err := t.dial(ctx, l.connections, l.patience())
	if err != nil {
		return nil, err
	}
	defer conns.close()
	return measure(ctx, t, l.timing, pairWorkers(t, conns, 0, l.connections), nil)
}

// pairWorkers returns workers for the connections from one number up to another.
func pairWorkers(t *target, conns connections, from, to int) []worker {
	var workers []worker
	for i := from; i < to; i++ {
		w := &pairWorker{}
		for n := range namesEach {
			name := t.name(fmt.Sprintf("c%04d/%02d", i, n))
			w.parties = append(w.parties, conns.lock(i, name, terms{ttl: time.Minute}, &ledger{}))
		}
		workers = append(workers, w)
	}
	return workers
}

// pairWorker acquires the first lock, releases it, acquires the second, and so on.
type pairWorker struct {
	parties []party
	at      int
}

func (w *pairWorker) idle() bool { return !w.parties[w.at].holds() }

func (w *pairWorker) operate() (time.Duration, error) {
	p := w.parties[w.at]
	start := time.Now()
	if !p.holds() {
		err := p.acquire()
		return time.Since(start), err
	}
	err := p.release()
	w.at = (w.at + 1) % len(w.parties)
	return time.Since(start), err
}
