package bench

import (
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/HdrHistogram/hdrhistogram-go"

	"github.com/octostore/octostore/cmd/octostore/internal/bench/internal/peer"
	"github.com/octostore/octostore/cmd/octostore/internal/bench/internal/usage"
	"github.com/octostore/octostore/cmd/octostore/internal/bench/internal/wire"
)

// sample is the result of one round of one step.
type sample struct {
	tally
	operations int64
	elapsed    time.Duration
	latency    *hdrhistogram.Histogram // nanoseconds
	beside     int64                   // operations of the writers in mode status
	generator  float64                 // seconds of processor time of this process

	before, after usage.Usage // of the server, around the operations
	empty, full   usage.Usage // of the server, without and with the waiters or locks
	kept          int64       // number of waiters or locks
}

func (s *sample) rate() float64 {
	if s.elapsed == 0 {
		return 0
	}
	return float64(s.operations) / s.elapsed.Seconds()
}

// tally counts failures of the server. It is safe for use by many goroutines.
type tally struct {
	mu     sync.Mutex
	errors int64
	broken int64
	first  error
}

// count records err and reports whether its connection can still be used.
func (t *tally) count(err error) (usable bool) {
	var promise *brokenPromise
	var status *wire.StatusError
	var refusal *peer.RefusalError
	isPromise := errors.As(err, &promise)
	t.mu.Lock()
	defer t.mu.Unlock()
	if isPromise {
		t.broken++
	} else {
		t.errors++
	}
	if t.first == nil {
		t.first = err
	}
	return isPromise || errors.As(err, &status) || errors.As(err, &refusal)
}

func (t *tally) failures() (errors, broken int64) {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.errors, t.broken
}

// FailedError is the result of a run in which the server answered something wrong.
type FailedError struct {
	Errors         int64 // requests without a good answer
	BrokenPromises int64 // answers that a lock service must never give
	First          string
}

func (e *FailedError) Error() string {
	return fmt.Sprintf("%d errors, %d broken promises; the first: %s", e.Errors, e.BrokenPromises, e.First)
}

// Range and precision of the histograms.
const (
	shortest = 100 // nanoseconds
	longest  = int64(10 * time.Minute)
	digits   = 3
)

// timings is a histogram that many goroutines write to, each through a [stopwatch].
type timings struct {
	mu        sync.Mutex
	histogram *hdrhistogram.Histogram
}

func newTimings() *timings {
	return &timings{histogram: hdrhistogram.New(shortest, longest, digits)}
}

// add records durations.
func (t *timings) add(spans ...time.Duration) {
	t.mu.Lock()
	defer t.mu.Unlock()
	for _, d := range spans {
		// A value out of range is impossible: no connection lives that long.
		_ = t.histogram.RecordValue(min(int64(d), longest))
	}
}

// stopwatch collects durations for a [timings], so that the mutex is rarely locked and a
// connection does not need a histogram of its own.
type stopwatch struct {
	into  *timings
	spans []time.Duration
	total int64
}

func (s *stopwatch) add(d time.Duration) {
	s.total++
	if s.spans = append(s.spans, d); len(s.spans) == 256 {
		s.flush()
	}
}

func (s *stopwatch) flush() {
	s.into.add(s.spans...)
	s.spans = s.spans[:0]
}
