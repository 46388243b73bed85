package table

import (
	"context"
	"errors"
	"runtime"
	"slices"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/octostore/octostore/core/lock"
)

// park has a request wait for a moment and then parks it. The channel gets its outcome.
func (tab *Table) park(t *testing.T, ctx context.Context, a lock.Acquisition, recheck Recheck) <-chan outcome {
	t.Helper()
	asked, err := tab.Ask(ctx, &a, recheck)
	if err != nil {
		t.Fatal(err)
	}
	if asked.WaitBriefly(ctx, 25*time.Millisecond) {
		t.Fatal("it has an answer already")
	}
	told := make(chan outcome, 2)
	resumed := func() {
		asked.Unpark()
		g, err := asked.Wait(ctx)
		told <- outcome{g: g, err: err, at: time.Now()}
	}
	if !asked.Park(watching(ctx), resumed) {
		t.Fatal("it was not parked")
	}
	return told
}

// watching is a watch for Park that calls wake at the end of ctx.
func watching(ctx context.Context) func(wake func()) (stop func() bool) {
	return func(wake func()) (stop func() bool) { return context.AfterFunc(ctx, wake) }
}

// Whatever happens to a parked request resumes it, once.
func TestParkedRequestIsResumed(t *testing.T) {
	held := func(err error) bool { return heldIn(err) != nil }
	is := func(target error) func(error) bool { return func(err error) bool { return errors.Is(err, target) } }
	for name, tt := range map[string]struct {
		happens func(*testing.T, *Table, *diary, Grant, context.CancelFunc)
		after   time.Duration
		want    func(error) bool
	}{
		"by its grant": {func(t *testing.T, tab *Table, _ *diary, g Grant, _ context.CancelFunc) {
			_, _ = tab.Release(t.Context(), lock.ReleaseRequest{Origin: me, Name: "x", LeaseID: g.LeaseID})
		}, 0, func(err error) bool { return err == nil }},
		"by the end of its wait": {func(*testing.T, *Table, *diary, Grant, context.CancelFunc) {}, 5 * time.Second, held},
		"by the end of its context": {func(_ *testing.T, _ *Table, _ *diary, _ Grant, leave context.CancelFunc) {
			leave()
		}, 0, is(lock.ErrGone)},
		"by a drain": {func(_ *testing.T, tab *Table, _ *diary, _ Grant, _ context.CancelFunc) {
			tab.Drain()
		}, 0, is(lock.ErrDraining)},
		"by a table that moves": {func(_ *testing.T, tab *Table, _ *diary, _ Grant, _ context.CancelFunc) {
			tab.Move()
		}, 0, is(lock.ErrDeposed)},
		"by a deposed table": {func(_ *testing.T, tab *Table, _ *diary, _ Grant, _ context.CancelFunc) {
			tab.Depose()
		}, 0, is(lock.ErrDeposed)},
		"by a drain while the disk hangs": {func(t *testing.T, tab *Table, d *diary, _ Grant, _ context.CancelFunc) {
			gate := make(chan struct{})
			d.set(gate, nil)
			t.Cleanup(func() { close(gate) })
			go func() { _, _ = tab.Acquire(context.Background(), try("other")) }()
			synctest.Wait()
			tab.Drain()
		}, time.Second, is(lock.ErrOutcomeUnknown)},
	} {
		t.Run(name, func(t *testing.T) {
			var told <-chan outcome
			synctest.Test(t, func(t *testing.T) {
				d := newDiary()
				tab, err := Open(t.Context(), d, Config{})
				if err != nil {
					t.Fatal(err)
				}
				t.Cleanup(func() { _ = tab.Close() })
				g := mustAcquire(t, tab, try("x"))
				ctx, leave := context.WithCancel(t.Context())
				defer leave()
				began := time.Now()
				told = tab.park(t, ctx, wait("x", 5*time.Second), nil)
				time.Sleep(time.Second)
				synctest.Wait()
				if len(told) != 0 {
					t.Fatal("it was resumed before anything had happened")
				}
				happened := time.Now()
				tt.happens(t, tab, d, g, leave)
				o := <-told
				from := happened
				if name == "by the end of its wait" {
					from = began
				}
				if !tt.want(o.err) || o.at.Sub(from) != tt.after {
					t.Errorf("after %v, want %v: %v", o.at.Sub(from), tt.after, o.err)
				}
				synctest.Wait()
				if len(told) != 0 || len(tab.parking.all) != 0 {
					t.Errorf("%d more outcomes, %d are parked still", len(told), len(tab.parking.all))
				}
			})
		})
	}
}

// A parked request is checked again at its turn, as any other.
func TestParkedRequestIsCheckedAtItsTurn(t *testing.T) {
	for _, veto := range []error{nil, errors.New("no")} {
		inTime(t, Config{}, func(t *testing.T, tab *Table, _ *diary) {
			g := mustAcquire(t, tab, try("x"))
			told := tab.park(t, t.Context(), wait("x", time.Minute), func(_ context.Context, at lock.Turn) (lock.Opinion, error) {
				if at.Waited != time.Second+25*time.Millisecond {
					t.Errorf("called after %v", at.Waited)
				}
				return lock.Opinion{}, veto
			})
			time.Sleep(time.Second)
			if _, err := tab.Release(t.Context(), lock.ReleaseRequest{Origin: me, Name: "x", LeaseID: g.LeaseID}); err != nil {
				t.Fatal(err)
			}
			if o := <-told; !errors.Is(o.err, veto) {
				t.Errorf("%v, want %v", o.err, veto)
			}
		})
	}
}

// Requests are not parked once something has happened to them: nothing would resume them.
func TestParkingIsRefusedAfterTheAnswer(t *testing.T) {
	inTime(t, Config{}, func(t *testing.T, tab *Table, _ *diary) {
		g := mustAcquire(t, tab, try("x"))
		a := wait("x", time.Minute)
		asked, err := tab.Ask(t.Context(), &a, nil)
		if err != nil {
			t.Fatal(err)
		}
		if asked.WaitBriefly(t.Context(), time.Millisecond) {
			t.Fatal("it has an answer already")
		}
		if _, err := tab.Release(t.Context(), lock.ReleaseRequest{Origin: me, Name: "x", LeaseID: g.LeaseID}); err != nil {
			t.Fatal(err)
		}
		if asked.Park(watching(t.Context()), func() { t.Error("it was resumed") }) {
			t.Fatal("it was parked")
		}
		if !asked.Unpark() {
			t.Error("the answer is there")
		}
		if _, err := asked.Wait(t.Context()); err != nil {
			t.Error(err)
		}
		if len(tab.parking.all) != 0 {
			t.Error("it counts as parked")
		}
	})
}

// watchedContext counts the watches of a context that have not been undone.
type watchedContext struct {
	context.Context

	done    chan struct{}
	watches atomic.Int32
}

func (c *watchedContext) Done() <-chan struct{} { return c.done }

func (c *watchedContext) AfterFunc(func()) (stop func() bool) {
	c.watches.Add(1)
	return func() bool { c.watches.Add(-1); return true }
}

// A context may live longer than a request, which it does not keep then.
func TestParkedRequestLeavesItsContext(t *testing.T) {
	inTime(t, Config{}, func(t *testing.T, tab *Table, _ *diary) {
		mustAcquire(t, tab, try("x"))
		ctx := &watchedContext{Context: t.Context(), done: make(chan struct{})}
		told := tab.park(t, ctx, wait("x", time.Second), nil)
		if n := ctx.watches.Load(); n != 1 {
			t.Fatalf("%d watches while it is parked", n)
		}
		if o := <-told; heldIn(o.err) == nil {
			t.Error(o.err)
		}
		if n := ctx.watches.Load(); n != 0 {
			t.Errorf("%d watches after the end of the wait", n)
		}
	})
}

// As many waiters as a server admits, none of which has a goroutine, get their locks in the order
// in which they came.
func TestParkedFiftyThousandAreHandedOverInOrder(t *testing.T) {
	const locks = 5
	each := 10_000 // the defaults of Rules
	if testing.Short() {
		each = 1000
	}
	tab, err := Open(t.Context(), newDiary(), Config{})
	if err != nil {
		t.Fatal(err)
	}
	defer tab.Close()
	var first [locks]Grant
	var came [locks][]int // in each lock, the holders one after the other
	var over sync.WaitGroup
	name := func(l int) lock.Name { return lock.Name("many/" + strconv.Itoa(l)) }
	before := runtime.NumGoroutine()
	for l := range locks {
		first[l] = mustAcquire(t, tab, try(name(l)))
		for n := range each {
			a := wait(name(l), time.Hour)
			asked, err := tab.Ask(t.Context(), &a, nil)
			if err != nil {
				t.Fatal(err)
			}
			if asked.WaitBriefly(t.Context(), time.Nanosecond) {
				t.Fatal("it has an answer already")
			}
			over.Add(1)
			if !asked.Park(watching(t.Context()), func() {
				defer over.Done()
				asked.Unpark()
				g, err := asked.Wait(t.Context())
				if err != nil {
					t.Errorf("waiter %d: %v", n, err)
					return
				}
				came[l] = append(came[l], n) // only the holder does
				if _, err := tab.Release(t.Context(), lock.ReleaseRequest{Origin: me, Name: name(l), LeaseID: g.LeaseID}); err != nil {
					t.Errorf("release of waiter %d: %v", n, err)
				}
			}) {
				t.Fatal("it was not parked")
			}
		}
	}
	if more := runtime.NumGoroutine() - before; more > 10 {
		t.Errorf("%d waiters have %d goroutines", locks*each, more)
	}
	for l := range locks {
		if _, err := tab.Release(t.Context(), lock.ReleaseRequest{Origin: me, Name: name(l), LeaseID: first[l].LeaseID}); err != nil {
			t.Fatal(err)
		}
	}
	over.Wait()
	for l := range locks {
		if len(came[l]) != each || !slices.IsSorted(came[l]) {
			t.Errorf("lock %d: %d holders, in order: %t", l, len(came[l]), slices.IsSorted(came[l]))
		}
	}
}
