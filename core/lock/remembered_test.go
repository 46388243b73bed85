package lock

import (
	"encoding/binary"
	"flag"
	"fmt"
	"runtime"
	"strings"
	"testing"
	"time"
)

var endedAttempts = flag.Int("ended.attempts", 0, "number of attempts of TestEndedAttemptsHaveABound, if more than are remembered")

// attempts makes n keyed attempts of different locks, each of which acquires and releases,
// by a machine without a store. Names are parts of longer request lines, as they come from
// HTTP; rest is how much longer.
func attempts(m *Machine, n, rest int) {
	reason := strings.Repeat("r", rest)
	for i := range n {
		line := fmt.Sprintf("POST /v1/locks/%08d/acquire?reason=%s HTTP/1.1", i, reason)
		name := Name(line[len("POST /v1/locks/"):][:8])
		c := newCommand(DoAcquire, name, me)
		c.At, c.Acquire = m.now, &Acquisition{Origin: me, Name: name, TTL: time.Minute}
		binary.BigEndian.PutUint64(c.Acquire.Attempt.Key[:], uint64(i)+1)
		decideAll(m, c)
		release := newCommand(DoRelease, name, me)
		release.At, release.Token = m.now, m.seq
		decideAll(m, release)
	}
}

func decideAll(m *Machine, commands ...*Command) {
	m.decide(m.now, nil, commands)
	m.Accept()
	m.Finish()
}

func heapInUse() int64 {
	runtime.GC()
	var s runtime.MemStats
	runtime.ReadMemStats(&s)
	return int64(s.HeapAlloc)
}

// An attempt that has ended is remembered for ten minutes. It costs its key and its name,
// not the request it came with.
func TestEndedAttemptsCostLittle(t *testing.T) {
	const n = 20_000
	m := NewMachine(Rules{MaxWaiters: 1, MaxWaitersPerLock: 1}, Snapshot{}, time.Now())
	before := heapInUse()
	attempts(m, n, 3300)
	each := (heapInUse() - before) / n
	if len(m.endedAttempts.known) != n || len(m.releases.known) != n {
		t.Fatalf("%d attempts and %d releases are remembered, want %d", len(m.endedAttempts.known), len(m.releases.known), n)
	}
	if t.Logf("%d bytes an ended attempt", each); each > 800 {
		t.Errorf("%d bytes an ended attempt, want at most 800", each)
	}
}

// However many attempts end within ten minutes, no more than rememberMost are remembered,
// and these cost less than 256 MiB.
func TestEndedAttemptsHaveABound(t *testing.T) {
	n := max(*endedAttempts, rememberMost+1000)
	m := NewMachine(Rules{MaxWaiters: 1, MaxWaitersPerLock: 1}, Snapshot{}, time.Now())
	before := heapInUse()
	attempts(m, n, 0)
	mib := (heapInUse() - before) >> 20
	if most := rememberMost + 1; len(m.endedAttempts.known) > most || len(m.endedAttempts.order) > most {
		t.Errorf("%d attempts are remembered, %d in order; want at most %d", len(m.endedAttempts.known), len(m.endedAttempts.order), most)
	}
	if t.Logf("%d MiB after %d ended attempts", mib, n); mib > 256 {
		t.Errorf("%d MiB after %d ended attempts", mib, n)
	}
}

// Old attempts are forgotten bit by bit after a quiet time: the loop must
// not stand still for it.
func TestRecentForgetsBitByBit(t *testing.T) {
	r := newRecent[int, string](time.Minute, 1000)
	now := time.Now()
	for i := range 1000 {
		r.add(now, i, "it")
	}
	now = now.Add(time.Minute)
	left := 1000
	for left > 0 {
		r.get(now, -1)
		if forgotten := left - len(r.known); forgotten > forgetStep || forgotten == 0 {
			t.Fatalf("%d are forgotten at once, %d are left", forgotten, len(r.known))
		}
		left = len(r.known)
	}
	if len(r.order) != 0 {
		t.Errorf("%d are still to be forgotten", len(r.order))
	}
}
