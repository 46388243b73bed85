package lock

import (
	"fmt"
	"testing"
	"time"
)

// machineWith is a machine at the epoch that has leases of ten seconds.
func machineWith(leases int) *Machine {
	snap := Snapshot{Head: Head{Seq: 1000}}
	for i := range leases {
		snap.Leases = append(snap.Leases, Loaded{
			Lease: Lease{Name: Name(fmt.Sprintf("n%05d", i)), Token: Token(i + 1), Account: "acme", TTL: 10 * time.Second}, Remaining: 10 * time.Second,
		})
	}
	m := NewMachine(Rules{MaxWaiters: 50_000, MaxWaitersPerLock: 10_000}, snap, time.Unix(0, 0))
	m.Finish()
	return m
}

// After the disk was full, what is due waits for a moment before it is tried again: else
// each request that comes meanwhile would make another commit that is refused, and would
// be refused with it.
func TestDueEndsAreNotTriedAgainAtOnce(t *testing.T) {
	m := machineWith(2)
	at := time.Unix(10, 0)
	m.decide(at, nil, nil)
	if n := len(m.batch.events); n != 2 {
		t.Fatalf("%d events at the deadline, want two ends", n)
	}
	m.TakeBack()
	m.Finish()

	if next := m.NextDeadline(); !next.Equal(at.Add(fullBackoff)) {
		t.Errorf("the next try is at %v, want after %v", next, fullBackoff)
	}
	note := newCommand(DoAppend, "", Origin{})
	note.At, note.Event = at.Add(fullBackoff-1), &Event{Kind: Started}
	m.decide(note.At, nil, []*Command{note})
	if n := len(m.batch.events); n != 1 {
		t.Errorf("%d events before the next try, want only what was asked for", n)
	}
	m.TakeBack() // still no space; this moves the next try, too
	m.Finish()

	m.decide(note.At.Add(fullBackoff), nil, nil)
	if n := len(m.batch.events); n != 2 {
		t.Errorf("%d events at the next try, want two ends", n)
	}
}

// Deadlines that make no event are bounded as well: a batch that gives up the places of
// thousands at once would keep all others waiting.
func TestDueGracesAreBoundedInABatch(t *testing.T) {
	const waiters = 3*BatchSteps + 10
	m := machineWith(1)
	for i := range waiters {
		c := newCommand(DoAcquire, "n00000", me)
		a := wait("n00000", time.Minute)
		a.Attempt = Attempt{Key: [32]byte{1, byte(i), byte(i >> 8)}}
		c.At, c.Acquire = m.now, &a
		decideAll(m, c)
		m.decide(m.now, []Departure{{Command: c, Why: HungUp}}, nil)
		m.Accept()
		m.Finish()
	}
	if m.waiting != waiters || m.absent.count() != waiters {
		t.Fatalf("%d places are kept, want %d", m.waiting, waiters)
	}
	m.advance(time.Unix(5, 0)) // the lease is renewed, so that only graces are due
	renew := newCommand(DoRenew, "n00000", me)
	renew.At, renew.Token = m.now, 1
	decideAll(m, renew)
	for left := waiters; left > 0; {
		m.decide(time.Unix(11, 0), nil, nil)
		gone := left - m.waiting
		if gone == 0 || gone > BatchSteps {
			t.Fatalf("a batch ends %d graces, want 1 to %d", gone, BatchSteps)
		}
		left = m.waiting
		m.Accept()
		m.Finish()
	}
}

func TestSequenceLeavesRoomForALostFile(t *testing.T) {
	now := time.Unix(1_800_000_000, 0)
	fresh := NewMachine(Rules{}, Snapshot{}, now)
	if want := Seq(1_800_000_000) << 20; fresh.seq+1 != want || want >= 1<<53 {
		t.Errorf("starts at %d, want %d", fresh.seq+1, want)
	}
	back := NewMachine(Rules{}, Snapshot{Head: Head{Seq: fresh.seq + 100}}, now.AddDate(-1, 0, 0))
	if back.seq != fresh.seq+100 {
		t.Errorf("with the clock set back it starts at %d, want one more than the head %d", back.seq+1, fresh.seq+100)
	}
}
