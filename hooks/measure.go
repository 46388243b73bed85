package hooks

import (
	"context"
	"math/bits"
	"sync/atomic"
	"time"
)

// timedEvery is the sampling interval: one call of a policy in so many is timed, because reading the
// clock costs as much as a small guest on many machines.
const timedEvery = 16

// measures are the statistics of a policy besides its answers. The zero value is ready for use by
// many goroutines.
type measures struct {
	took   durations
	waits  atomic.Uint64 // calls that waited for a guest slot
	waited atomic.Int64  // by these, in ns
	starts atomic.Uint64 // starts of instances, failed ones included
	live   atomic.Int64  // instances
}

// durations is a histogram of durations, in powers of two of a nanosecond.
type durations struct {
	counts [64]atomic.Uint64
	sum    atomic.Int64
}

func (h *durations) add(d time.Duration) {
	h.counts[bits.Len64(uint64(max(d, 1)-1))].Add(1)
	h.sum.Add(int64(d))
}

// Latency is how long calls of a policy took. One call in 16 is timed.
type Latency struct {
	Calls   uint64 // that were timed
	Total   time.Duration
	Buckets []LatencyBucket
}

// LatencyBucket is the number of timed calls up to a duration.
type LatencyBucket struct {
	AtMost time.Duration
	Calls  uint64
}

// Bounds of the buckets: 2^10 ns, which is a microsecond, to 2^32 ns, which is 4.3 s, each
// four times the one before.
const (
	firstBucket = 10
	lastBucket  = 32
	bucketStep  = 2
)

func (h *durations) latency() Latency {
	l := Latency{Total: time.Duration(h.sum.Load())}
	for n := range h.counts {
		l.Calls += h.counts[n].Load()
		if n >= firstBucket && n <= lastBucket && (n-firstBucket)%bucketStep == 0 {
			l.Buckets = append(l.Buckets, LatencyBucket{AtMost: 1 << n, Calls: l.Calls})
		}
	}
	return l
}

// timing returns the time at which a call begins, for one call in timedEvery; zero: do not time it.
func (p *policy) timing() (begun time.Time) {
	if p.calls.Load()%timedEvery == 0 {
		begun = time.Now()
	}
	return begun
}

// timed records the duration of a call; begun comes from timing.
func (p *policy) timed(begun time.Time) {
	if !begun.IsZero() {
		p.measures.took.add(time.Since(begun))
	}
}

// takeSlot takes a guest slot, as guestSlots.take does, and counts the wait. waited tells that other
// requests may have run meanwhile.
func (p *policy) takeSlot(ctx context.Context, observing bool) (waited bool, _ error) {
	if p.engine.slots.try(observing) {
		return false, nil
	}
	return p.measures.waiting(func() (bool, error) { return p.engine.slots.takeInLine(ctx, observing) })
}

// waiting counts the wait for a guest slot.
func (m *measures) waiting(take func() (bool, error)) (waited bool, _ error) {
	begun := time.Now()
	waited, err := take()
	if waited {
		m.waits.Add(1)
		m.waited.Add(int64(time.Since(begun)))
	}
	return waited, err
}

// Health is how a policy runs, since it was loaded.
type Health struct {
	BreakerOpen   bool   // it keeps failing, and gets only a probe now and then
	BreakerOpened uint64 // times

	Latency Latency
	Waits   uint64        // calls that waited for a guest slot
	Waited  time.Duration // by these

	Instances int    // now
	Memory    int64  // bytes that these have
	Starts    uint64 // of instances, failed ones included

	LinesDropped uint64 // log lines beyond the limits of a call and of a second
}

func (p *policy) health() Health {
	m := &p.measures
	return Health{
		BreakerOpen: p.breaker.isOpen(), BreakerOpened: p.breaker.opened.Load(),
		Latency: m.took.latency(), Waits: m.waits.Load(), Waited: time.Duration(m.waited.Load()),
		Instances: int(m.live.Load()), Memory: p.Memory.Load(), Starts: m.starts.Load(),
		LinesDropped: p.Lines.Dropped(),
	}
}

// fuelCounts is a histogram of calls by the fuel they used, in powers of two.
type fuelCounts [64]atomic.Uint64

func (h *fuelCounts) add(fuel int64) { h[bits.Len64(uint64(max(fuel, 0)))].Add(1) }

// quantile returns an upper bound of the fuel that a part of the calls used, 0.99 for instance.
func (h *fuelCounts) quantile(part float64) int64 {
	var counts [64]uint64
	var all uint64
	for i := range h {
		counts[i] = h[i].Load()
		all += counts[i]
	}
	if all == 0 {
		return 0
	}
	var n uint64
	for i, c := range counts {
		if n += c; float64(n) >= part*float64(all) {
			return 1<<i - 1
		}
	}
	return 0
}
