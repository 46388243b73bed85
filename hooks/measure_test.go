package hooks

import (
	"context"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/octostore/octostore/hooks/internal/guest"
)

func TestStatusMeasuresCalls(t *testing.T) {
	h := newHouse(t)
	h.write("p.wasm", allows)
	host := h.open(entry("p"))
	for range timedEvery + 1 {
		if _, err := host.Judge(t.Context(), question("a")); err != nil {
			t.Fatal(err)
		}
	}
	s := host.Policies()[0]
	last := s.Latency.Buckets[len(s.Latency.Buckets)-1]
	if s.Latency.Calls != 2 || s.Latency.Total <= 0 || last.Calls != 2 || last.AtMost != 1<<lastBucket {
		t.Errorf("latency: %+v", s.Latency)
	}
	if s.Instances != 1 || s.Memory != 1<<16 || s.Starts != 1 {
		t.Errorf("%d instances with %d bytes, %d were made", s.Instances, s.Memory, s.Starts)
	}
	if s.Waits != 0 || s.Waited != 0 || s.BreakerOpen || s.BreakerOpened != 0 || s.LinesDropped != 0 {
		t.Errorf("%+v", s.Health)
	}
}

// Instances that are thrown away give back what they held, also those that do not start.
func TestStatusMeasuresMemory(t *testing.T) {
	h := newHouse(t)
	h.write("p.wasm", check("i32.const 3 memory.grow drop "+at("ttl_ms")+"call $get_i64 i64.const 3600000 i64.gt_s if unreachable end i32.const 0"))
	host := h.open(entry("p", `"memory_mib":1`))
	alone(host)
	for n, want := range []int64{4 << 16, 7 << 16, 0} {
		_, _ = host.Judge(t.Context(), failing(n == 2))
		if s := host.Policies()[0]; s.Memory != want || s.Instances != min(1, int(want)) {
			t.Errorf("after call %d: %d bytes of %d instances, want %d", n, s.Memory, s.Instances, want)
		}
	}
}

func TestStatusCountsWaitsForASlot(t *testing.T) {
	h := newHouse(t)
	h.write("p.wasm", allows)
	host := h.open(entry("p"))
	slots := host.engine.slots
	for range slots.most {
		if err := slots.take(t.Context(), false); err != nil {
			t.Fatal(err)
		}
	}
	var all sync.WaitGroup
	all.Go(func() { _, _ = host.Judge(t.Context(), question("a")) })
	waiting := func() int {
		slots.mu.Lock()
		defer slots.mu.Unlock()
		return len(slots.checks)
	}
	for waiting() == 0 {
		time.Sleep(time.Millisecond)
	}
	for range slots.most {
		slots.done(false)
	}
	all.Wait()
	if s := host.Policies()[0]; s.Waits != 1 || s.Waited <= 0 {
		t.Errorf("%d waits of %v", s.Waits, s.Waited)
	}
}

// A judgement that lets others through waits for its slot again. A check that finds a free slot does
// not wait, even if observers do.
func TestStatusCountsWaitsForTheSlotAgain(t *testing.T) {
	h := newHouse(t)
	h.write("p.wasm", allows)
	host := h.open(entry("p"))
	p, slots := host.current().policies[0], newGuestSlots(2)
	p.engine.slots = slots
	synctest.Test(t, func(t *testing.T) {
		for range 2 { // observers, one of which waits for the other
			go func() { _ = slots.take(context.Background(), true) }()
			synctest.Wait()
		}
		var long judgement
		if waited, err := p.slotFor(t.Context(), &long); waited || err != nil || p.measures.waits.Load() != 0 {
			t.Errorf("%t, %v, %d waits, although there was a place", waited, err, p.measures.waits.Load())
		}
		go func() { // a check that waits
			if slots.take(context.Background(), false) == nil {
				time.Sleep(time.Second)
				slots.done(false)
			}
		}()
		synctest.Wait()
		if waited, err := p.slotFor(t.Context(), &long); waited || err != nil || p.measures.waits.Load() != 0 {
			t.Errorf("%t, %v, %d waits of a judgement that keeps its place", waited, err, p.measures.waits.Load())
		}
		long.spent = slotFuel
		waited, err := p.slotFor(t.Context(), &long)
		if !waited || err != nil || p.measures.waits.Load() != 1 || p.measures.waited.Load() != int64(time.Second) {
			t.Errorf("%t, %v, %d waits of %v", waited, err, p.measures.waits.Load(), time.Duration(p.measures.waited.Load()))
		}
		long.freeSlot()
		slots.done(true)
		synctest.Wait()
		slots.done(true)
	})
}

// A request for which there is no instance is no call, and so it is not timed as one.
func TestStatusTimesCallsOnly(t *testing.T) {
	h := newHouse(t)
	h.write("p.wasm", allows)
	host := h.open(entry("p"))
	p := host.current().policies[0]
	for range 3 {
		p.count(guest.Answer{Fault: &guest.Fault{Kind: starting, Err: errNoBudget}}, time.Now())
	}
	if l := host.Policies()[0].Latency; l.Calls != 0 {
		t.Errorf("%d requests that were no calls are timed", l.Calls)
	}
}

func TestLatencyBuckets(t *testing.T) {
	var d durations
	for _, ns := range []time.Duration{0, 1, 1 << firstBucket, 1<<firstBucket + 1, 1 << lastBucket, 1<<lastBucket + 1, time.Hour} {
		d.add(ns)
	}
	l := d.latency()
	first, second, last := l.Buckets[0], l.Buckets[1], l.Buckets[len(l.Buckets)-1]
	if first.Calls != 3 || second.Calls != 4 || last.Calls != 5 || l.Calls != 7 {
		t.Errorf("got %+v", l)
	}
}
