package lock

import (
	"testing"
	"time"
	"unsafe"
)

// onWall returns t as it would have been read from a wall clock that was set forward
// by d: the monotonic reading is the same. There is no other way to get one, so this
// relies on how a time.Time with such a reading keeps its wall clock: seconds above
// 30 bits of nanoseconds.
func onWall(t *testing.T, at time.Time, d time.Duration) time.Time {
	t.Helper()
	set := at
	*(*uint64)(unsafe.Pointer(&set)) += uint64(d/time.Second) << 30
	if set.Sub(at) != 0 || set.Round(0).Sub(at.Round(0)) != d {
		t.Fatalf("time.Time does not keep its wall clock where this test thinks: %v became %v", at, set)
	}
	return set
}

// A change of the wall clock moves the end of no lease.
func TestClockSetByHandChangesNoDeadline(t *testing.T) {
	for name, set := range map[string]time.Duration{
		"not at all": 0,
		"forward":    time.Hour,
		"back":       -time.Hour,
	} {
		t.Run(name, func(t *testing.T) {
			start := time.Now()
			m := NewMachine(Rules{MaxWaiters: 1, MaxWaitersPerLock: 1}, Snapshot{Leases: []Loaded{{
				Lease: Lease{Name: "loaded", Token: 1, TTL: 10 * time.Second}, Remaining: 10 * time.Second,
			}}}, start)
			m.Finish()
			decide := func(at time.Time, commands ...*Command) {
				m.decide(at, nil, commands)
				m.Accept()
				m.Finish()
			}
			held := func(name Name) bool { return m.entries[name] != nil && m.entries[name].held != nil }

			c := newCommand(DoAcquire, "granted", Origin{})
			c.At = start
			c.Acquire = &Acquisition{Name: "granted", TTL: 10 * time.Second}
			decide(start, c)
			for _, after := range []struct {
				time.Duration
				held bool
			}{{5 * time.Second, true}, {10*time.Second - 1, true}, {10 * time.Second, false}} {
				decide(onWall(t, start.Add(after.Duration), set))
				for _, name := range []Name{"loaded", "granted"} {
					if held(name) != after.held {
						t.Errorf("%s, after %s of 10 s: held is %v", name, after.Duration, held(name))
					}
				}
			}
		})
	}
}

// Of a loaded lease the time before the start is known by the wall clock only. What comes
// after it counts on the monotonic clock, whatever happens to the wall clock.
func TestHeldForOfALoadedLeaseFollowsTheMonotonicClock(t *testing.T) {
	start := time.Now()
	granted := time.Unix(0, start.Add(-time.Minute).UnixNano()).UTC()
	for name, set := range map[string]time.Duration{"not set": 0, "set forward": 24 * time.Hour, "set back": -24 * time.Hour} {
		t.Run(name, func(t *testing.T) {
			m := NewMachine(Rules{}, Snapshot{Leases: []Loaded{{
				Lease: Lease{Name: "x", Token: 1, TTL: time.Hour, GrantedAt: granted}, Remaining: time.Hour,
			}}}, start)
			m.Finish()
			lease := m.entries["x"].held.asLease("x")
			if at := lease.GrantedAt; !at.Round(0).Equal(granted) {
				t.Errorf("granted at %v, want %v", at, granted)
			}
			if got := lease.HeldFor(onWall(t, start.Add(time.Second), set)); got != time.Minute+time.Second {
				t.Errorf("held for %v, want 1m1s", got)
			}
		})
	}
}
