package table

import (
	"errors"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/octostore/octostore/core/lock"
)

// Each class says how many wait and for how long, so that one that starves shows.
func TestPriorityStatsShowStarvation(t *testing.T) {
	inTime(t, Config{}, func(t *testing.T, tab *Table, d *diary) {
		check := func(want string) {
			t.Helper()
			got := ""
			for _, q := range tab.Stats().Queues {
				got += fmt.Sprintf("%s %d %s; ", q.Priority, q.Waiters, q.Longest)
			}
			if got != want {
				t.Errorf(" got %s\nwant %s", got, want)
			}
		}
		check("front 0 0s; normal 0 0s; back 0 0s; ")
		x, y := mustAcquire(t, tab, try("x")), mustAcquire(t, tab, try("y"))
		back := tab.start(t.Context(), at(wait("x", time.Hour), lock.Back))
		time.Sleep(time.Second)
		tab.start(t.Context(), wait("y", 3*time.Second))
		front := tab.start(t.Context(), at(wait("x", time.Hour), lock.Front))
		time.Sleep(time.Second)
		tab.start(t.Context(), at(wait("x", 5*time.Second), lock.Back))
		synctest.Wait()
		check("front 1 1s; normal 1 1s; back 2 2s; ")
		mustRelease(t, tab, x)
		first := <-front
		check("front 0 0s; normal 1 1s; back 2 2s; ")
		time.Sleep(2500 * time.Millisecond)
		check("front 0 0s; normal 0 0s; back 2 4.5s; ")
		mustRelease(t, tab, first.g)
		mustRelease(t, tab, (<-back).g)
		check("front 0 0s; normal 0 0s; back 0 0s; ")
		mustRelease(t, tab, y)
	})
}

// Batches that a full disk refused do not change the numbers.
func TestPriorityStatsSurviveARefusal(t *testing.T) {
	inTime(t, Config{}, func(t *testing.T, tab *Table, d *diary) {
		g := mustAcquire(t, tab, try("x"))
		first := tab.start(t.Context(), at(wait("x", time.Hour), lock.Front))
		time.Sleep(time.Second)
		tab.start(t.Context(), at(wait("x", 5*time.Second), lock.Front))
		time.Sleep(time.Second)
		d.set(nil, lock.ErrFull)
		if _, err := tab.Release(t.Context(), lock.ReleaseRequest{Origin: me, Name: "x", LeaseID: g.LeaseID}); !errors.Is(err, lock.ErrFull) {
			t.Fatal(err)
		}
		if q := tab.Stats().Queues[0]; q.Waiters != 2 || q.Longest != 2*time.Second {
			t.Errorf("%d wait at the front, the first for %s; want 2, for 2s", q.Waiters, q.Longest)
		}
		d.set(nil, nil)
		mustRelease(t, tab, g)
		mustRelease(t, tab, (<-first).g)
	})
}
