package table_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/octostore/octostore/core/lock"
	"github.com/octostore/octostore/core/store/memory"
	"github.com/octostore/octostore/core/table"
)

// The longest ttl is that of a live lease, on whatever page of the names it is; it goes
// with the lease, and a renewal for less does not shorten what the lease still runs.
func TestLongestTTL(t *testing.T) {
	tab, err := table.Open(t.Context(), memory.New(), table.Config{})
	if err != nil {
		t.Fatal(err)
	}
	defer tab.Close()
	want := func(ttl time.Duration) {
		t.Helper()
		if got := tab.LongestTTL(); got != ttl {
			t.Errorf("got %s, want %s", got, ttl)
		}
	}
	want(0)
	acquire := func(name string, ttl time.Duration) table.Grant {
		t.Helper()
		g, err := tab.Acquire(t.Context(), lock.Acquisition{Name: lock.Name(name), TTL: ttl})
		if err != nil {
			t.Fatal(err)
		}
		return g
	}
	for n := range 3000 {
		acquire(fmt.Sprintf("n/%d", n), time.Minute)
	}
	want(time.Minute)
	last := acquire("z", 30*24*time.Hour)
	want(30 * 24 * time.Hour)
	if _, err := tab.Renew(t.Context(), lock.RenewRequest{Name: "z", LeaseID: last.LeaseID, TTL: time.Second}); err != nil {
		t.Fatal(err)
	}
	want(30 * 24 * time.Hour)
	if _, err := tab.Release(t.Context(), lock.ReleaseRequest{Name: "z", LeaseID: last.LeaseID}); err != nil {
		t.Fatal(err)
	}
	want(time.Minute)
}
