package table

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/octostore/octostore/core/lock"
)

// A client that left while its policies thought has hung up, also if the policies notice
// it first: an attempt keeps its place, and may come back.
func TestRecheckThatNoticesAHangUpIsADeparture(t *testing.T) {
	inTime(t, Config{Rules: lock.Rules{Level: lock.All}}, func(t *testing.T, tab *Table, d *diary) {
		g := mustAcquire(t, tab, try("x"))
		a := wait("x", time.Minute)
		a.Attempt, _ = lock.NewAttempt("0123456789abcdef", a.TTL, 0, "", nil)
		got := tab.startWith(t.Context(), a, func(context.Context, lock.Turn) (lock.Opinion, error) { return lock.Opinion{}, lock.ErrGone })
		synctest.Wait()
		mustRelease(t, tab, g)
		if o := <-got; !errors.Is(o.err, lock.ErrGone) {
			t.Errorf("got %v, want %v", o.err, lock.ErrGone)
		}
		if n := tab.Get("x").Waiters; n != 1 {
			t.Errorf("%d places are kept, want that of the attempt", n)
		}
		if kinds := d.kinds(); kinds[len(kinds)-1] != lock.Abandoned {
			t.Errorf("recorded %v", kinds)
		}
		mustAcquire(t, tab, a)
	})
}
