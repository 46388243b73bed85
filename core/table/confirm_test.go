package table

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/octostore/octostore/core/lock"
)

// A panic of the policies is the caller's, and leaves no waiter behind in the queue.
func TestRecheckPanicLeavesNoGhost(t *testing.T) {
	inTime(t, Config{}, func(t *testing.T, tab *Table, d *diary) {
		g := mustAcquire(t, tab, try("x"))
		panicked := make(chan any, 1)
		go func() {
			defer func() { panicked <- recover() }()
			tab.AcquireWith(t.Context(), wait("x", time.Hour), func(context.Context, lock.Turn) (lock.Opinion, error) { panic("policy") })
		}()
		synctest.Wait()
		mustRelease(t, tab, g)
		if p := <-panicked; p != "policy" {
			t.Errorf("the caller got %v", p)
		}
		synctest.Wait()
		if n := tab.Stats().Waiters; n != 0 {
			t.Errorf("%d ghosts wait", n)
		}
		mustAcquire(t, tab, try("x"))
	})
}

// While the policies think, the end of the wait, a hang-up and a drain are noticed,
// and the policies are told that their answer is not needed.
func TestRecheckIsNotAwaitedAfterADeparture(t *testing.T) {
	for what, c := range map[string]struct {
		wait  time.Duration
		leave func(tab *Table, hangUp func())
		after time.Duration
		err   error
	}{
		"the end of the wait": {5 * time.Second, func(*Table, func()) {}, 4 * time.Second, nil},
		"a hang-up":           {time.Hour, func(_ *Table, hangUp func()) { hangUp() }, 0, lock.ErrGone},
		"a drain":             {time.Hour, func(tab *Table, _ func()) { tab.Drain() }, 0, lock.ErrDraining},
	} {
		t.Run(what, func(t *testing.T) {
			inTime(t, Config{}, func(t *testing.T, tab *Table, d *diary) {
				g := mustAcquire(t, tab, try("x"))
				stopped := make(chan error, 1)
				thinks := func(ctx context.Context, _ lock.Turn) (lock.Opinion, error) {
					<-ctx.Done()
					stopped <- ctx.Err()
					return lock.Opinion{}, ctx.Err()
				}
				ctx, hangUp := context.WithCancel(t.Context())
				defer hangUp()
				got := tab.startWith(ctx, wait("x", c.wait), thinks)
				time.Sleep(time.Second)
				mustRelease(t, tab, g)
				synctest.Wait() // it is called, and thinks
				start := time.Now()
				c.leave(tab, hangUp)
				o := <-got
				if o.err == nil || c.err != nil && !errors.Is(o.err, c.err) || o.at.Sub(start) != c.after {
					t.Errorf("after %v: %v", o.at.Sub(start), o.err)
				}
				if err := <-stopped; err == nil {
					t.Error("the policies go on although their answer is not needed")
				}
			})
		})
	}
}

// An attempt that has its lease gets it again without a recheck, also when there is
// no space for new leases.
func TestRepeatNeedsNoSpace(t *testing.T) {
	full := false
	inTime(t, Config{Full: func() bool { return full }}, func(t *testing.T, tab *Table, d *diary) {
		a := try("x")
		var err error
		if a.Attempt, err = lock.NewAttempt("0123456789abcdef", a.TTL, 0, "", nil); err != nil {
			t.Fatal(err)
		}
		g := mustAcquire(t, tab, a)
		full = true
		if again := mustAcquire(t, tab, a); !again.Repeat || again.LeaseID != g.LeaseID {
			t.Errorf("got %+v", again)
		}
		if again, ok, err := tab.Repeat(a); err != nil || !ok || again.LeaseID != g.LeaseID {
			t.Errorf("got %+v, %v, %v", again, ok, err)
		}
		for what, a := range map[string]lock.Acquisition{"another lock": {Origin: me, Name: "y", TTL: a.TTL, Attempt: a.Attempt}, "no key": try("x")} {
			if _, err := tab.Acquire(t.Context(), a); !errors.Is(err, lock.ErrFull) {
				t.Errorf("%s: %v", what, err)
			}
			if _, ok, err := tab.Repeat(a); ok || err != nil {
				t.Errorf("%s repeats: %v, %v", what, ok, err)
			}
		}
		mustRelease(t, tab, g) // what ends leases goes on
		if len(d.kinds()) != 2 {
			t.Errorf("recorded %v", d.kinds())
		}
		full = false
		mustAcquire(t, tab, try("x"))
	})
}

// What waited in front of a disk that hung, and was given up, is not done when the
// disk is back.
func TestAcquireGivenUpIsNotGranted(t *testing.T) {
	inTime(t, Config{}, func(t *testing.T, tab *Table, d *diary) {
		gate := make(chan struct{})
		d.set(gate, nil)
		first := tab.start(t.Context(), try("first"))
		synctest.Wait()
		second := tab.start(t.Context(), try("second"))
		<-first
		if o := <-second; !errors.Is(o.err, lock.ErrOutcomeUnknown) {
			t.Fatal(o.err)
		}
		close(gate)
		synctest.Wait()
		for _, k := range d.kinds()[1:] {
			if k == lock.Granted {
				t.Errorf("recorded %v", d.kinds())
			}
		}
	})
}

// Many departures at once are many batches, not one without bound.
func TestDeparturesKeepTheBatchesSmall(t *testing.T) {
	inTime(t, Config{Rules: lock.Rules{Level: lock.All}}, func(t *testing.T, tab *Table, d *diary) {
		mustAcquire(t, tab, try("x"))
		ctx, hangUp := context.WithCancel(t.Context())
		var all []<-chan outcome
		for range 2000 {
			all = append(all, tab.start(ctx, wait("x", time.Hour)))
		}
		synctest.Wait()
		gate := make(chan struct{})
		d.set(gate, nil)
		go tab.Append(t.Context(), lock.Event{Kind: lock.Started})
		synctest.Wait() // the loop is busy while they leave
		hangUp()
		synctest.Wait()
		close(gate)
		for _, c := range all {
			if o := <-c; !errors.Is(o.err, lock.ErrGone) {
				t.Fatal(o.err)
			}
		}
		for _, c := range d.commits {
			if len(c) > 256 {
				t.Errorf("a batch of %d events", len(c))
			}
		}
	})
}
