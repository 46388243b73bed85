package table

import (
	"context"
	"errors"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/octostore/octostore/core/lock"
)

// remoteDiary is a store that gives up a commit when its context ends, and may have made it
// durable all the same.
type remoteDiary struct {
	*diary
	applies  bool
	stubborn atomic.Bool // it goes on with a commit that has begun
}

func (d *remoteDiary) Commit(ctx context.Context, b *lock.Batch) error {
	d.mu.Lock()
	gate := d.gate
	d.mu.Unlock()
	if gate != nil && !d.stubborn.Load() {
		<-ctx.Done()
		d.set(nil, nil)
		if d.applies {
			_ = d.diary.Commit(ctx, b)
		}
		return ctx.Err()
	}
	return d.diary.Commit(ctx, b)
}

// inTerm is inTime with a remote store.
func inTerm(t *testing.T, cfg Config, f func(t *testing.T, tab *Table, d *remoteDiary)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		d := &remoteDiary{diary: newDiary()}
		tab, err := Open(t.Context(), d, cfg)
		if err != nil {
			t.Fatal(err)
		}
		f(t, tab, d)
		tab.Close()
	})
}

// mustMove checks that every later request is answered that the table has moved.
func mustMove(t *testing.T, tab *Table, g Grant) {
	t.Helper()
	keyed := try("x")
	keyed.Attempt, _ = lock.NewAttempt("0123456789abcdef", time.Minute, 0, "", nil)
	for name, ask := range map[string]func() error{
		"acquire": func() error { _, err := tab.Acquire(t.Context(), try("z")); return err },
		"repeat":  func() error { _, _, err := tab.Repeat(keyed); return err },
		"renew": func() error {
			_, err := tab.Renew(t.Context(), lock.RenewRequest{Origin: me, Name: "x", LeaseID: g.LeaseID})
			return err
		},
		"release": func() error {
			_, err := tab.Release(t.Context(), lock.ReleaseRequest{Origin: me, Name: "x", LeaseID: g.LeaseID})
			return err
		},
		"break": func() error { _, err := tab.Break(t.Context(), lock.BreakRequest{Origin: me, Name: "x"}); return err },
		"take": func() error {
			_, err := tab.Take(t.Context(), lock.BreakRequest{Origin: me, Name: "x"}, try("x"))
			return err
		},
		"append": func() error { _, err := tab.Append(t.Context(), lock.Event{Kind: lock.Started}); return err },
		"queue":  func() error { _, _, err := tab.Queue(t.Context(), "x", 0, 10); return err },
	} {
		if err := ask(); !errors.Is(err, lock.ErrDeposed) {
			t.Errorf("%s is answered %v, want ErrDeposed", name, err)
		}
	}
}

// Nothing was done for waiters, so they are told that the table has moved, and so is every later
// request.
func TestDeposeAnswersWaitersAtOnce(t *testing.T) {
	inTerm(t, Config{}, func(t *testing.T, tab *Table, d *remoteDiary) {
		g := mustAcquire(t, tab, try("x"))
		waiting := tab.start(t.Context(), wait("x", time.Hour))
		synctest.Wait()
		start, before := time.Now(), d.count()
		tab.Depose()
		if o := <-waiting; !errors.Is(o.err, lock.ErrDeposed) || o.at != start {
			t.Errorf("after %v the waiter is told %v", o.at.Sub(start), o.err)
		}
		<-tab.Done()
		if err := tab.Err(); !errors.Is(err, lock.ErrDeposed) || tab.Owns() || tab.UntilDrain().Err() == nil {
			t.Errorf("it says %v, owns: %t; its streams end: %v", err, tab.Owns(), tab.UntilDrain().Err())
		}
		mustMove(t, tab, g)
		tab.Depose()
		if tab.Close(); d.count() != before {
			t.Error("a deposed table has committed something")
		}
	})
}

// The commit under way is given up: nobody knows what comes of it. What it has not decided yet is
// surely not done.
func TestDeposeGivesUpTheCommitUnderWay(t *testing.T) {
	for name, applies := range map[string]bool{"applied": true, "not applied": false} {
		t.Run(name, func(t *testing.T) {
			inTerm(t, Config{}, func(t *testing.T, tab *Table, d *remoteDiary) {
				d.applies = applies
				mustAcquire(t, tab, try("held"))
				waiting := tab.start(t.Context(), wait("held", time.Hour))
				synctest.Wait()
				d.set(make(chan struct{}), nil)
				committed := tab.start(t.Context(), try("x"))
				synctest.Wait()
				pending := tab.start(t.Context(), try("y"))
				synctest.Wait()
				start := time.Now()
				tab.Depose()
				for o, want := range map[<-chan outcome]error{
					committed: lock.ErrOutcomeUnknown, pending: lock.ErrDeposed, waiting: lock.ErrDeposed,
				} {
					if o := <-o; !errors.Is(o.err, want) || o.at != start {
						t.Errorf("after %v: %v, want %v", o.at.Sub(start), o.err, want)
					}
				}
				<-tab.Done()
				if err := tab.Err(); !errors.Is(err, lock.ErrDeposed) {
					t.Errorf("it was stopped by %v", err)
				}
				if tab.Get("x").Lease != nil {
					t.Error("a view shows what may not be so")
				}
			})
		})
	}
}

// A store that does not even give up its commit holds no waiter.
func TestDeposeDoesNotWaitForAHangingStore(t *testing.T) {
	inTime(t, Config{}, func(t *testing.T, tab *Table, d *diary) {
		mustAcquire(t, tab, try("x"))
		waiting := tab.start(t.Context(), wait("x", time.Hour))
		synctest.Wait()
		gate := make(chan struct{})
		d.set(gate, nil)
		go tab.Acquire(t.Context(), try("y"))
		synctest.Wait()
		start := time.Now()
		tab.Depose()
		if o := <-waiting; !errors.Is(o.err, lock.ErrOutcomeUnknown) || o.at.Sub(start) != drainingPatience {
			t.Errorf("after %v: %v", o.at.Sub(start), o.err)
		}
		close(gate)
		<-tab.Done()
	})
}

// A commit that comes through when the term may be over has no answer: another table may have
// changed everything since. The table ends by itself.
func TestTableThatHasLostItsTermGivesNoAnswer(t *testing.T) {
	var lost atomic.Bool
	cfg := Config{Owns: func() bool { return !lost.Load() }}
	inTerm(t, cfg, func(t *testing.T, tab *Table, d *remoteDiary) {
		g := mustAcquire(t, tab, try("x"))
		waiting := tab.start(t.Context(), wait("x", time.Hour))
		synctest.Wait()
		gate := make(chan struct{})
		d.set(gate, nil)
		d.stubborn.Store(true)
		committed := tab.start(t.Context(), try("y"))
		synctest.Wait()
		lost.Store(true)
		close(gate)
		if o := <-committed; !errors.Is(o.err, lock.ErrOutcomeUnknown) {
			t.Errorf("the grant is answered %v", o.err)
		}
		if o := <-waiting; !errors.Is(o.err, lock.ErrDeposed) {
			t.Errorf("the waiter is told %v", o.err)
		}
		<-tab.Done()
		mustMove(t, tab, g)
	})
}

// A refusal is a read: it needs no commit, but is not true any more. Nor is a change begun.
func TestTableThatHasLostItsTermDecidesNothing(t *testing.T) {
	for what, name := range map[string]lock.Name{"held": "x", "free": "y"} {
		t.Run(what, func(t *testing.T) {
			var lost atomic.Bool
			inTerm(t, Config{Owns: func() bool { return !lost.Load() }}, func(t *testing.T, tab *Table, d *remoteDiary) {
				mustAcquire(t, tab, try("x"))
				lost.Store(true)
				if _, err := tab.Acquire(t.Context(), try(name)); !errors.Is(err, lock.ErrDeposed) {
					t.Errorf("an acquire is answered %v", err)
				}
				<-tab.Done()
				if n := d.count(); n != 1 {
					t.Errorf("%d commits, want 1", n)
				}
			})
		})
	}
}

// What the store refuses because it is deposed was surely not done; the waiters move on.
func TestStoreThatIsDeposedMovesAllRequests(t *testing.T) {
	inTerm(t, Config{}, func(t *testing.T, tab *Table, d *remoteDiary) {
		g := mustAcquire(t, tab, try("x"))
		waiting := tab.start(t.Context(), wait("x", time.Hour))
		synctest.Wait()
		d.set(nil, lock.ErrDeposed)
		if _, err := tab.Acquire(t.Context(), try("y")); !errors.Is(err, lock.ErrDeposed) {
			t.Errorf("the refused commit is answered %v", err)
		}
		if o := <-waiting; !errors.Is(o.err, lock.ErrDeposed) {
			t.Errorf("the waiter is told %v", o.err)
		}
		<-tab.Done()
		mustMove(t, tab, g)
	})
}

// A table that moves in good order loses nothing: waiters go, holders go on until it is closed.
func TestMoveKeepsHoldersUntilTheEnd(t *testing.T) {
	inTerm(t, Config{}, func(t *testing.T, tab *Table, d *remoteDiary) {
		g := mustAcquire(t, tab, try("x"))
		waiting := tab.start(t.Context(), wait("x", time.Hour))
		synctest.Wait()
		tab.Move()
		if o := <-waiting; !errors.Is(o.err, lock.ErrDeposed) {
			t.Errorf("the waiter is told %v", o.err)
		}
		if _, err := tab.Acquire(t.Context(), try("y")); !errors.Is(err, lock.ErrDeposed) {
			t.Errorf("an acquire is answered %v", err)
		}
		if _, err := tab.Renew(t.Context(), lock.RenewRequest{Origin: me, Name: "x", LeaseID: g.LeaseID}); err != nil {
			t.Errorf("a renewal is answered %v", err)
		}
		if err := tab.Close(); err != nil {
			t.Errorf("it was stopped by %v", err)
		}
		mustMove(t, tab, g)
	})
}

// A table of one process stops as it always did.
func TestStoppedTableHasNotMoved(t *testing.T) {
	inTime(t, Config{}, func(t *testing.T, tab *Table, _ *diary) {
		mustAcquire(t, tab, try("x"))
		tab.Drain()
		if _, err := tab.Acquire(t.Context(), try("y")); !errors.Is(err, lock.ErrDraining) || tab.Moved() {
			t.Errorf("an acquire is answered %v; it has moved: %t", err, tab.Moved())
		}
		tab.Close()
		if _, err := tab.Acquire(t.Context(), try("y")); !errors.Is(err, lock.ErrDraining) {
			t.Errorf("an acquire after the end is answered %v", err)
		}
		if _, _, err := tab.Queue(t.Context(), "x", 0, 1); !errors.Is(err, lock.ErrClosed) || !tab.Owns() {
			t.Errorf("a read after the end is answered %v; owned: %t", err, tab.Owns())
		}
	})
}
