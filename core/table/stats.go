package table

import (
	"math"
	"slices"
	"sync/atomic"
	"time"

	"github.com/octostore/octostore/core/lock"
)

// Stats are counts and timings of a table since it was opened.
type Stats struct {
	Held    int                            // leases now
	Waiters int                            // now, including absent ones that keep a place
	Queues  [lock.PriorityCount]QueueStats // the same by priority, the first served first

	Batches Histogram // events per committed batch
	Commits Histogram // seconds per commit
	Waits   Histogram // seconds in the queue, of requests that were granted
	Holds   Histogram // seconds from grant to end, of leases that ended
	// Handovers are seconds from the end of a lease to the committed grant of its lock to a
	// waiter: the policies that are evaluated again at its turn and the commit are included.
	Handovers   Histogram
	FullCommits uint64 // commits refused for lack of space
	// Margins are the shares of the lease that were left at renewals: at most 1, and near 0 if
	// it was almost too late.
	Margins Histogram
	// Events counts the committed events of each kind, in the order of lock.Kinds. Kinds that
	// the audit level leaves out are not counted.
	Events []uint64
}

// Histogram counts observations in buckets. Counts[i] are those of at most
// Bounds[i]; the last of Counts, one more than Bounds, are the rest. Counts are
// not cumulative.
type Histogram struct {
	Bounds []float64
	Counts []uint64
	Sum    float64
}

// Count returns the number of observations.
func (h Histogram) Count() uint64 {
	var n uint64
	for _, c := range h.Counts {
		n += c
	}
	return n
}

// Since returns the observations that are in h and not in an earlier state of it.
func (h Histogram) Since(earlier Histogram) Histogram {
	d := Histogram{Bounds: h.Bounds, Counts: make([]uint64, len(h.Counts)), Sum: h.Sum - earlier.Sum}
	for i := range h.Counts {
		d.Counts[i] = h.Counts[i] - earlier.Counts[i]
	}
	return d
}

// Quantile returns an upper bound of the q-quantile: the bound of its bucket. It is 0 without
// observations, and the last bound for what is above that.
func (h Histogram) Quantile(q float64) float64 {
	rank, n := uint64(math.Ceil(q*float64(h.Count()))), uint64(0)
	if rank == 0 {
		return 0
	}
	for i, bound := range h.Bounds {
		if n += h.Counts[i]; n >= rank {
			return bound
		}
	}
	return h.Bounds[len(h.Bounds)-1]
}

// Bounds of the histograms.
var (
	batchBounds = []float64{1, 2, 4, 8, 16, 32, 64, 128, 256, 512}
	commitBound = []float64{.0001, .00025, .0005, .001, .0025, .005, .01, .025, .05, .1, .25, .5, 1, 2.5}
	shareBounds = []float64{.05, .1, .2, .3, .4, .5, .6, .7, .8, .9, 1}
	spanBounds  = []float64{.001, .005, .025, .1, .5, 1, 5, 15, 60, 300, 1800, 3600, 14400}
)

// histogram is written by one goroutine and read by any.
type histogram struct {
	bounds []float64
	counts []atomic.Uint64
	sum    atomic.Uint64 // the bits of a float64: whole nanoseconds would overflow after 292 years of holds
}

func newHistogram(bounds []float64) *histogram {
	return &histogram{bounds: bounds, counts: make([]atomic.Uint64, len(bounds)+1)}
}

func (h *histogram) observe(v float64) {
	i := 0
	for i < len(h.bounds) && v > h.bounds[i] {
		i++
	}
	h.counts[i].Add(1)
	h.sum.Store(math.Float64bits(math.Float64frombits(h.sum.Load()) + v))
}

// observeSpan counts a span. A negative span, after the clock was set back, counts as zero,
// because a sum is a counter and must not go down.
func (h *histogram) observeSpan(d time.Duration) { h.observe(max(0, d).Seconds()) }

func (h *histogram) snapshot() Histogram {
	s := Histogram{Bounds: h.bounds, Counts: make([]uint64, len(h.counts)), Sum: math.Float64frombits(h.sum.Load())}
	for i := range h.counts {
		s.Counts[i] = h.counts[i].Load()
	}
	return s
}

// kinds are the kinds of events, in the order in which they are counted.
var kinds = lock.Kinds()

// eventCounts counts events by kind. One goroutine writes, any reads.
type eventCounts struct{ counts []atomic.Uint64 }

func newEventCounts() eventCounts { return eventCounts{counts: make([]atomic.Uint64, len(kinds))} }

// add counts one event. The kinds of busy servers are the first ones.
func (c eventCounts) add(k lock.Kind) {
	if i := slices.Index(kinds, k); i >= 0 {
		c.counts[i].Add(1)
	}
}

func (c eventCounts) snapshot() []uint64 {
	all := make([]uint64, len(c.counts))
	for i := range c.counts {
		all[i] = c.counts[i].Load()
	}
	return all
}
