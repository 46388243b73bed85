package bench

import (
	"context"
	"sync"
	"sync/atomic"
	"time"

	"github.com/octostore/octostore/cmd/octostore/internal/bench/internal/usage"
	"github.com/octostore/octostore/core/sleep"
)

// timing is the duration of a load.
type timing struct {
	warmup, duration time.Duration
}

func (c Config) timing() timing {
	return timing{warmup: max(0, c.Warmup), duration: c.Duration}
}

// patience is the longest life of a connection: the load, and time to wind down.
func (t timing) patience() time.Duration { return t.warmup + t.duration + 15*time.Second }

// worker performs operations on one connection, one after the other.
type worker interface {
	// operate performs one operation and returns how long it took. An operation with a
	// negative duration does not count.
	operate() (time.Duration, error)
	// idle reports whether the worker may stop now: it holds nothing.
	idle() bool
}

// Phases of a measurement.
const (
	warming int32 = iota
	measuring
	stopping
)

// measurement keeps workers busy and counts their operations between warm-up and end.
type measurement struct {
	timing
	phase  atomic.Int32
	sample *sample
}

// measure runs the workers for the given time, and others beside them, whose operations are
// counted separately and without durations.
func measure(ctx context.Context, t *target, when timing, workers, others []worker) (*sample, error) {
	d := &measurement{timing: when, sample: &sample{}}
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

// clock leads the workers through the phases, and reads the usage of the server before and
// after the measured one.
func (d *measurement) clock(ctx context.Context, t *target) (err error) {
	defer d.phase.Store(stopping)
	if sleep.For(ctx, d.warmup) != nil {
		return context.Cause(ctx)
	}
	if d.sample.before, err = t.usage(ctx); err != nil {
		return err
	}
	start, spent := time.Now(), usage.OwnCPU()
	d.phase.Store(measuring)
	if sleep.For(ctx, d.duration) != nil {
		return context.Cause(ctx)
	}
	d.phase.Store(stopping)
	d.sample.elapsed, d.sample.generator = time.Since(start), usage.OwnCPU()-spent
	d.sample.after, err = t.usage(ctx)
	return err
}

// work runs a worker and returns how many of its operations ended in the measured phase.
func (d *measurement) work(w worker, into *timings) int64 {
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
