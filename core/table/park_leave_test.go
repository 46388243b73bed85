package table

import (
	"testing"
	"time"

	"github.com/octostore/octostore/core/lock"
)

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
		if asked.WaitBriefly(t.Context(), time.Millisecond) || !asked.Park(watching(t.Context()), func() {}) {
			t.Fatal("it was not parked")
		}
		if _, err := tab.Release(t.Context(), lock.ReleaseRequest{Origin: me, Name: "x", LeaseID: g.LeaseID}); err != nil {
			t.Fatal(err)
		}
		tab.parking.end()
		asked.Unpark()
		if _, err := asked.Wait(t.Context()); err != nil {
			t.Fatal(err)
		}
		if asked.request.Name == "" {
			t.Error("the request is used again, and may still be woken")
		}
	})
}
