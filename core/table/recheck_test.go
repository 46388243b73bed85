package table

import (
	"context"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/octostore/octostore/core/lock"
)

// Whether a waiter is looked at again is decided when its lock becomes free, not when it
// comes, and only for a lock that may be given to a waiter.
func TestRecheckIsDecidedWhenTheLockBecomesFree(t *testing.T) {
	var needed atomic.Bool
	var asked, rechecked atomic.Int32
	cfg := Config{Rechecks: func(lock.Name) bool {
		asked.Add(1)
		return needed.Load()
	}}
	agree := func(context.Context, lock.Turn) (lock.Opinion, error) {
		rechecked.Add(1)
		return lock.Opinion{}, nil
	}
	inTime(t, cfg, func(t *testing.T, tab *Table, d *diary) {
		needed.Store(true)
		g := mustAcquire(t, tab, try("x"))
		first := tab.startWith(t.Context(), wait("x", time.Hour), agree)
		synctest.Wait()
		second := tab.startWith(t.Context(), wait("x", time.Hour), agree)
		synctest.Wait()
		mustRelease(t, tab, mustAcquire(t, tab, try("y")))
		if n := asked.Load(); n != 0 {
			t.Errorf("asked %d times although no lock can be given to a waiter", n)
		}

		needed.Store(false)
		before := d.count()
		mustRelease(t, tab, g)
		o := <-first
		if o.err != nil || rechecked.Load() != 0 || d.count() != before+1 {
			t.Errorf("not needed: %v, looked at %d times, %d commits; want 0 and 1", o.err, rechecked.Load(), d.count()-before)
		}

		needed.Store(true)
		mustRelease(t, tab, o.g)
		if o := <-second; o.err != nil || rechecked.Load() != 1 {
			t.Errorf("needed: %v, looked at %d times, want 1", o.err, rechecked.Load())
		}
	})
}
