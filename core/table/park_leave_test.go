package table

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"github.com/octostore/octostore/core/lock"
)

// TestParkingEndsTheWatchOfItsContext shows that a context does not keep a request whose wait is over.
func TestParkingEndsTheWatchOfItsContext(t *testing.T) {
	inTime(t, Config{}, func(t *testing.T, tab *Table, _ *diary) {
		mustAcquire(t, tab, try("x"))
		ctx := &countedContext{Context: t.Context()}
		<-tab.park(t, ctx, wait("x", time.Second), nil)
		synctest.Wait()
		if ctx.watched == 0 || ctx.watches != 0 {
			t.Errorf("%d of %d watches of the context are left", ctx.watches, ctx.watched)
		}
	})
}

// TestParkedRequestThatAStopWakesIsNotUsedAgain has a stop wake a request that has just been answered:
// the call may come when the request is over.
func TestParkedRequestThatAStopWakesIsNotUsedAgain(t *testing.T) {
	inTime(t, Config{}, func(t *testing.T, tab *Table, _ *diary) {
		g := mustAcquire(t, tab, try("x"))
		a := wait("x", time.Minute)
		asked, err := tab.Ask(t.Context(), &a, nil)
		if err != nil {
			t.Fatal(err)
		}
		if asked.WaitBriefly(t.Context(), time.Millisecond) || !asked.Park(t.Context(), func() {}) {
			t.Fatal("it was not parked")
		}
		if _, err := tab.Release(t.Context(), lock.ReleaseRequest{Origin: me, Name: "x", LeaseID: g.LeaseID}); err != nil {
			t.Fatal(err)
		}
		tab.parking.end()
		if _, err := asked.Wait(t.Context()); err != nil {
			t.Fatal(err)
		}
		if asked.request.Name == "" {
			t.Error("the request is used again, and may still be woken")
		}
	})
}

// countedContext counts what is to be called at its end, see [context.AfterFunc].
type countedContext struct {
	context.Context
	watched, watches int
}

// Value hides the context within, which would be asked directly.
func (*countedContext) Value(any) any { return nil }

// AfterFunc counts its calls whose result was not called.
func (c *countedContext) AfterFunc(f func()) func() bool {
	c.watched++
	c.watches++
	stop := context.AfterFunc(c.Context, f)
	return func() bool { c.watches--; return stop() }
}
