package table

import (
	"math"
	"testing"
	"time"
)

// TestHistogramSumsDoNotOverflow observes more time than fits in nanoseconds of 64 bits:
// a few thousand leases that were held for weeks are enough.
func TestHistogramSumsDoNotOverflow(t *testing.T) {
	h := newHistogram(spanBounds)
	const month, leases = 30 * 24 * time.Hour, 10_000
	for range leases {
		h.observeSpan(month)
	}
	got := h.snapshot()
	if want := leases * month.Seconds(); math.Abs(got.Sum-want) > 1e-6*want {
		t.Errorf("the sum is %g s, want %g s", got.Sum, want)
	}
	if got.Count() != leases {
		t.Errorf("%d were counted, want %d", got.Count(), leases)
	}
}

// TestHistogramSumsKeepFractions adds what is short to what is long already.
func TestHistogramSumsKeepFractions(t *testing.T) {
	h := newHistogram(spanBounds)
	h.observeSpan(365 * 24 * time.Hour)
	for range 1000 {
		h.observeSpan(time.Millisecond)
	}
	if got, want := h.snapshot().Sum, (365*24*time.Hour + time.Second).Seconds(); math.Abs(got-want) > 1e-3 {
		t.Errorf("the sum is %f s, want %f s", got, want)
	}
}

// TestHistogramSumsNeverGoDown counts a span that ended before it began.
func TestHistogramSumsNeverGoDown(t *testing.T) {
	h := newHistogram(spanBounds)
	h.observeSpan(time.Second)
	h.observeSpan(-time.Minute)
	if got := h.snapshot(); got.Sum != 1 || got.Count() != 2 {
		t.Errorf("the sum is %g s of %d, want 1 s of 2", got.Sum, got.Count())
	}
}
