package bench

import (
	"context"
	"sync"
	"sync/atomic"
	"time"

	"github.com/octostore/octostore/core/sleep"
)

// timing says how long a load runs.
type timing struct {
	warmup, duration time.Duration
}

func (c Config) timing() timing {
	return timing{warmup: max(0, c.Warmup), duration: c.Duration}
}

// patience is how long a connection may live: the load, and time to wind down.
func (t timing) patience() time.Duration { return t.warmup + t.duration + 15*time.Second }

// worker makes operations on one connection, one after the other.
type worker interface {
	// operate makes one operation and returns how long it took. A negative duration
	// means it was none to be counted.
	operate() (time.Duration, error)
	// idle reports whether it may stop here: it has nothing to give back.
	idle() bool
}

// phases of a drive.
const (
	warming int32 = iota
	measuring
	stopping
)

// drive keeps workers busy and measures them between warm-up and end.
type drive struct {
	timing
	phase  atomic.Int32
	sample *sample
}

// measure runs the workers for as long as when says, and others beside them, whose
// operations are counted apart and whose durations are not kept.
func measure(ctx context.Context, t *target, when timing, workers, others []worker) (*sample, error) {
	d := &drive{timing: when, sample: &sample{}}
	var wg sync.WaitGroup
	start := func(workers []worker) (*timings, *atomic.Int64) {
		took, count := newTimings(), new(atomic.Int64)
		for _, w := range workers {
			wg.Go(func() { count.Add(d.work(w, took)) })
		}
		return took, count
	}
	took, count := start(workers)
	_, beside := start(others)
	err := d.clock(ctx, t)
	wg.Wait()
	d.sample.latency = took.histogram
	d.sample.operations, d.sample.beside = count.Load(), beside.Load()
	return d.sample, err
}

// clock leads the workers through the phases and looks at the server around the
// one that counts.
func (d *drive) clock(ctx context.Context, t *target) (err error) {
	defer d.phase.Store(stopping)
	if sleep.For(ctx, d.warmup) != nil {
		return context.Cause(ctx)
	}
	if d.sample.before, err = t.usage(ctx); err != nil {
		return err
	}
	start := time.Now()
	d.phase.Store(measuring)
	if sleep.For(ctx, d.duration) != nil {
		return context.Cause(ctx)
	}
	d.phase.Store(stopping)
	d.sample.elapsed = time.Since(start)
	d.sample.after, err = t.usage(ctx)
	return err
}

// work returns how many operations ended in the phase that counts.
func (d *drive) work(w worker, into *timings) int64 {
	watch := stopwatch{into: into}
	defer watch.flush()
	for d.phase.Load() != stopping || !w.idle() {
		took, err := w.operate()
		if err != nil {
			if !d.sample.count(err) {
				return watch.total
			}
			continue
		}
		if took >= 0 && d.phase.Load() == measuring {
			watch.add(took)
		}
	}
	return watch.total
}
