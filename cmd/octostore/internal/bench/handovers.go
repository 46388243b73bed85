package bench

import (
	"context"
	"fmt"
	"sync/atomic"
	"time"
)

// handovers is the load of mode handover: each lock has one connection more than it has
// waiters. The holder releases the lock at once and waits again. One operation is one
// hand-over, which is two requests; it lasts from the moment the release is sent until the
// next holder has read its answer.
type handovers struct {
	timing
	locks, waiters int
}

func (l *handovers) run(ctx context.Context, t *target) (*sample, error) {
	conns, err := t.dial(ctx, l.locks*(l.waiters+1), l.patience())
	if err != nil {
		return nil, err
	}
	defer conns.close()
	var workers []worker
	epoch := time.Now()
	for lock := range l.locks {
		name := t.name(fmt.Sprintf("handover/%03d", lock))
		known, released := &ledger{}, &atomic.Int64{}
		if err := conns.open(name); err != nil {
			return nil, err
		}
		for i := lock * (l.waiters + 1); i < (lock+1)*(l.waiters+1); i++ {
			p := conns.lock(i, name, terms{ttl: time.Minute, wait: time.Minute}, known)
			workers = append(workers, &runner{party: p, released: released, epoch: epoch})
		}
	}
	return measure(ctx, t, l.timing, workers, nil)
}

// runner waits for a lock and releases it for the next runner.
type runner struct {
	party    party
	epoch    time.Time
	released *atomic.Int64 // when the lock was last released, in nanoseconds since epoch
}

func (r *runner) idle() bool { return true }

func (r *runner) operate() (time.Duration, error) {
	asked := r.now()
	err := r.party.acquire()
	read := r.now()
	if !r.party.holds() {
		return 0, err
	}
	// Only the holder writes released, and that is this runner now.
	released := r.released.Load()
	r.released.Store(r.now())
	if endErr := r.party.release(); err == nil {
		err = endErr
	}
	if released == 0 || asked > released {
		return -1, err // the lock was free: no hand-over
	}
	return time.Duration(read - released), err
}

func (r *runner) now() int64 { return int64(time.Since(r.epoch)) }
