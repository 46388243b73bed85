package hooks

import (
	"context"
	"math/bits"
	"sync/atomic"
	"time"
)

// timedEvery is how many calls of a policy there are for each that is timed: the clock of
// many machines costs as much as a small guest.
const timedEvery = 16

// measures is what is measured of a policy beside what its calls said. The zero value is
// ready for use by many goroutines.
type measures struct {
	took   durations
	waits  atomic.Uint64 // calls that waited for a place
	waited atomic.Int64  // by these, in ns
	starts atomic.Uint64 // instances that were made, or failed to start
	live   atomic.Int64  // instances
}

// durations counts durations in powers of two of a nanosecond.
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

// LatencyBucket is how many of the timed calls took at most so long.
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

// timing returns when a call begins, for one call in timedEvery; zero: it is not timed.
func (p *policy) timing() (begun time.Time) {
	if p.calls.Load()%timedEvery == 0 {
		begun = time.Now()
	}
	return begun
}

// timed notes how long a call took that timing has begun.
func (p *policy) timed(begun time.Time) {
	if !begun.IsZero() {
		p.measures.took.add(time.Since(begun))
	}
}

// takeSlot takes a slot, as guestSlots.take does, and counts what the policy waits for it. waited
// means that much may have changed meanwhile.
func (p *policy) takeSlot(ctx context.Context, observing bool) (waited bool, _ error) {
	if p.engine.slots.try(observing) {
		return false, nil
	}
	return p.measures.waiting(func() (bool, error) { return p.engine.slots.takeInLine(ctx, observing) })
}

// waiting counts what is waited for a turn.
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
	BreakerOpen   bool   // it keeps failing, and is not called but for a probe now and then
	BreakerOpened uint64 // times

	Latency Latency
	Waits   uint64        // calls that waited for a place, since no more guests may run at a time
	Waited  time.Duration // by these

	Instances int    // now
	Memory    int64  // bytes that these have
	Starts    uint64 // instances that were made, or failed to start

	LinesDropped uint64 // of its log, beyond what it may log in a second or a call
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
