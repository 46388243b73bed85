package table

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/octostore/octostore/core/lock"
)

// Invariant 6: when the departure and the grant cross, the caller gets the grant and
// can undo it.
func TestDepartureThatCrossesAGrantLosesNothing(t *testing.T) {
	inTime(t, Config{}, func(t *testing.T, tab *Table, d *diary) {
		g := mustAcquire(t, tab, try("x"))
		ctx, hangUp := context.WithCancel(t.Context())
		first := tab.start(ctx, wait("x", time.Minute))
		synctest.Wait()
		second := tab.start(t.Context(), wait("x", time.Minute))
		synctest.Wait()
		gate := make(chan struct{})
		d.set(gate, nil)
		go tab.Release(t.Context(), lock.ReleaseRequest{Origin: me, Name: "x", LeaseID: g.LeaseID})
		synctest.Wait() // the hand-over to the first is on its way to the disk
		hangUp()
		synctest.Wait()
		close(gate)
		o := <-first
		if o.err != nil {
			t.Fatalf("the grant was committed and must be told: %v", o.err)
		}
		tab.Undo(o.g)
		if o := <-second; o.err != nil {
			t.Fatal(o.err)
		}
		want := []lock.Kind{lock.Granted, lock.Released, lock.Granted, lock.Undone, lock.Granted}
		if got := d.kinds(); fmt.Sprint(got) != fmt.Sprint(want) {
			t.Errorf("got %v, want %v", got, want)
		}
	})
}

// A commit that hangs must not hang the callers, and what it grants in the end is
// undone, since no caller was told.
func TestCommitThatHangsIsAnsweredOutcomeUnknown(t *testing.T) {
	inTime(t, Config{}, func(t *testing.T, tab *Table, d *diary) {
		gate := make(chan struct{})
		d.set(gate, nil)
		start := time.Now()
		a := tab.start(t.Context(), try("x"))
		b := tab.start(t.Context(), wait("y", 3*time.Second))
		if o := <-a; !errors.Is(o.err, lock.ErrOutcomeUnknown) || o.at.Sub(start) != 2*time.Second {
			t.Errorf("try: after %v: %v", o.at.Sub(start), o.err)
		}
		if o := <-b; !errors.Is(o.err, lock.ErrOutcomeUnknown) || o.at.Sub(start) != 5*time.Second {
			t.Errorf("wait: after %v: %v", o.at.Sub(start), o.err)
		}
		close(gate)
		synctest.Wait()
		if v := tab.Get("x"); v.Lease != nil {
			t.Error("the grant no caller was told of still stands")
		}
		if v := tab.Get("y"); v.Lease != nil {
			t.Error("the wait was over before the grant, and it still stands")
		}
	})
}

func TestCommitOfUnknownOutcomeStopsTheTable(t *testing.T) {
	inTime(t, Config{}, func(t *testing.T, tab *Table, d *diary) {
		mustAcquire(t, tab, try("x"))
		waiting := tab.start(t.Context(), wait("x", time.Minute))
		synctest.Wait()
		d.set(nil, errors.New("fsync: input/output error"))
		if _, err := tab.Acquire(t.Context(), try("y")); !errors.Is(err, lock.ErrOutcomeUnknown) {
			t.Errorf("the caller is told %v", err)
		}
		<-tab.Done()
		if tab.Err() == nil {
			t.Error("the table does not say what stopped it")
		}
		if o := <-waiting; !errors.Is(o.err, lock.ErrDraining) {
			t.Errorf("the waiter is told %v", o.err)
		}
		if _, err := tab.Acquire(t.Context(), try("z")); !errors.Is(err, lock.ErrClosed) {
			t.Errorf("afterwards: %v", err)
		}
		if v := tab.Get("y"); v.Lease != nil {
			t.Error("the view shows what may not be so")
		}
	})
}

func TestCommitDeposedIsSaid(t *testing.T) {
	inTime(t, Config{}, func(t *testing.T, tab *Table, d *diary) {
		d.set(nil, lock.ErrDeposed)
		if _, err := tab.Acquire(t.Context(), try("y")); !errors.Is(err, lock.ErrDeposed) {
			t.Errorf("got %v", err)
		}
		<-tab.Done()
	})
}

// Invariant 7, and recovery without an operator.
func TestDiskFullIsRefusedAndRecoversByItself(t *testing.T) {
	inTime(t, Config{}, func(t *testing.T, tab *Table, d *diary) {
		g := mustAcquire(t, tab, try("x"))
		waiting := tab.start(t.Context(), wait("x", time.Minute))
		synctest.Wait()
		d.set(nil, lock.ErrFull)
		if _, err := tab.Release(t.Context(), lock.ReleaseRequest{Origin: me, Name: "x", LeaseID: g.LeaseID}); !errors.Is(err, lock.ErrFull) {
			t.Fatalf("release: %v", err)
		}
		if v := tab.Get("x"); v.Lease.Token != g.Lease.Token || v.Waiters != 1 {
			t.Errorf("after the refused release: %+v", v)
		}
		start := time.Now()
		if _, err := tab.Acquire(t.Context(), try("y")); !errors.Is(err, lock.ErrFull) || time.Since(start) != 0 {
			t.Errorf("at the door: %v after %v", err, time.Since(start))
		}
		before := d.count()
		time.Sleep(30 * time.Second) // the lease lapses; its expiry cannot be recorded
		if d.count() != before || tab.Get("x").Lease == nil {
			t.Fatal("something was recorded on a full disk")
		}
		d.set(nil, nil)
		if o := <-waiting; o.err != nil || time.Since(start) > 31*time.Second {
			t.Errorf("the waiter: %v after %v", o.err, time.Since(start))
		}
		mustAcquire(t, tab, try("y"))
	})
}

func TestDiskFullIsProbedWithNothingToExpire(t *testing.T) {
	inTime(t, Config{}, func(t *testing.T, tab *Table, d *diary) {
		d.set(nil, lock.ErrFull)
		if _, err := tab.Acquire(t.Context(), try("x")); !errors.Is(err, lock.ErrFull) {
			t.Fatal(err)
		}
		d.set(nil, nil)
		if _, err := tab.Acquire(t.Context(), try("x")); !errors.Is(err, lock.ErrFull) {
			t.Errorf("before the next probe: %v", err)
		}
		time.Sleep(time.Second)
		mustAcquire(t, tab, try("x"))
	})
}

func TestDrainDoesNotWaitForAHangingDisk(t *testing.T) {
	inTime(t, Config{}, func(t *testing.T, tab *Table, d *diary) {
		mustAcquire(t, tab, try("x"))
		waiting := tab.start(t.Context(), wait("x", time.Hour))
		synctest.Wait()
		gate := make(chan struct{})
		d.set(gate, nil)
		go tab.Acquire(t.Context(), try("y"))
		synctest.Wait()
		start := time.Now()
		tab.Drain()
		if o := <-waiting; !errors.Is(o.err, lock.ErrOutcomeUnknown) || o.at.Sub(start) != time.Second {
			t.Errorf("after %v: %v", o.at.Sub(start), o.err)
		}
		close(gate)
	})
}

func TestAppendedEventsShareTheTimeline(t *testing.T) {
	inTime(t, Config{Rules: lock.Rules{Level: lock.Changes}}, func(t *testing.T, tab *Table, d *diary) {
		first, err := tab.Append(t.Context(), lock.Event{Kind: lock.Started})
		if err != nil || first == 0 {
			t.Fatal(first, err)
		}
		if seq, err := tab.Append(t.Context(), lock.Event{Kind: lock.Denied}); seq != 0 || err != nil {
			t.Errorf("at level changes a denial took number %d, %v", seq, err)
		}
		if g := mustAcquire(t, tab, try("x")); g.Lease.Token != first+1 {
			t.Errorf("token %d after %d: what is not recorded takes no number", g.Lease.Token, first)
		}
	})
}

// Invariants 2 and 8, over restarts.
func TestTokensGrowOverRestarts(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := newDiary()
		var last lock.Token
		attempt, err := lock.NewAttempt("0123456789abcdef", 10*time.Second, 0, "", nil)
		if err != nil {
			t.Fatal(err)
		}
		for i := range 5 {
			tab, err := Open(t.Context(), d, Config{})
			if err != nil {
				t.Fatal(err)
			}
			g := mustAcquire(t, tab, try(lock.Name(fmt.Sprint("l", i))))
			if g.Lease.Token <= last {
				t.Errorf("start %d: token %d after %d", i, g.Lease.Token, last)
			}
			keyed := wait("keyed", 0)
			keyed.Attempt = attempt
			if k := mustAcquire(t, tab, keyed); k.Repeat != (i > 0) {
				t.Errorf("start %d: the same attempt is repeated: %v", i, k.Repeat)
			}
			last = d.head
			tab.Close()
		}
	})
}
