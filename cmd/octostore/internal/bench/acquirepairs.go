package bench

import (
	"context"
	"fmt"
	"time"

	"github.com/octostore/octostore/cmd/octostore/internal/bench/internal/wire"
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
	conns, err := wire.Dial(ctx, t.addr, l.connections, l.patience())
	if err != nil {
		return nil, err
	}
	defer wire.Close(conns)
	return measure(ctx, t, l.timing, pairWorkers(t, conns), nil)
}

func pairWorkers(t *target, conns []*wire.Conn) []worker {
	var workers []worker
	for i, c := range conns {
		w := &pairWorker{}
		for n := range namesEach {
			name := t.name(fmt.Sprintf("c%04d/%02d", i, n))
			w.parties = append(w.parties, newLockClient(t, c, name, "ttl=60s", &ledger{}))
		}
		workers = append(workers, w)
	}
	return workers
}

// pairWorker acquires the first lock, releases it, acquires the second, and so on.
type pairWorker struct {
	parties []*lockClient
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
