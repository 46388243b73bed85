package bench

import (
	"context"
	"fmt"
	"time"

	"github.com/octostore/octostore/cmd/octostore/internal/bench/internal/wire"
)

// reads is the load of mode status: all connections read one held lock, while others
// acquire and release locks of their own.
type reads struct {
	timing
	connections int
	writers     int
}

func (l *reads) run(ctx context.Context, t *target) (*sample, error) {
	conns, err := t.dial(ctx, 1+l.connections+l.writers, l.patience())
	if err != nil {
		return nil, err
	}
	defer conns.close()
	ttl := (l.patience() + 30*time.Second).Round(time.Second)
	holder := conns.lock(0, t.name("read"), terms{ttl: ttl}, &ledger{})
	if err := holder.acquire(); err != nil {
		return nil, err
	}
	var readers []worker
	for i := range l.connections {
		readers = append(readers, conns.reader(1+i, t.name("read"), holder))
	}
	s, err := measure(ctx, t, l.timing, readers, pairWorkers(t, conns, 1+l.connections, 1+l.connections+l.writers))
	if err != nil {
		return nil, err
	}
	if err := holder.release(); err != nil {
		s.count(err)
	}
	return s, nil
}

// reader reads the state of a lock.
type reader struct {
	conn    *wire.Conn
	request []byte
	token   uint64 // of the lease that holds the lock
	checked bool
}

func (r *reader) idle() bool { return true }

func (r *reader) operate() (time.Duration, error) {
	start := time.Now()
	body, err := r.conn.Exchange(r.request)
	took := time.Since(start)
	if err != nil {
		return 0, fmt.Errorf("status: %w", err)
	}
	state, token := wire.Field(body, wire.FieldState), wire.Number(body, wire.FieldToken)
	if r.checked && (string(state) != "held" || token != r.token) {
		return 0, broken("the lock is held under fencing token %d, and a reader was told: %.300s", r.token, body)
	}
	return took, nil
}
