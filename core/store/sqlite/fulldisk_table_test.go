package sqlite

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/octostore/octostore/core/journal"
	"github.com/octostore/octostore/core/lock"
	"github.com/octostore/octostore/core/table"
)

// On a full disk nothing new is granted, and held leases can be released and expire. When
// there is space again everything goes on, without a restart.
func TestFullDiskOfATable(t *testing.T) {
	t.Parallel()
	const releases, expiries = 200, 50
	dir := mountTmpfs(t, "12m")
	s := open(t, Config{Path: filepath.Join(dir, "octostore.db"), walSize: 1 << 20, refillPause: time.Millisecond})
	j := journal.New(s)
	tab, err := table.Open(t.Context(), j, table.Config{Published: j.Publish, Full: s.Full})
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := tab.Close(); err != nil {
			t.Errorf("the table stopped: %v", err)
		}
	}()
	acquire := func(name string, ttl time.Duration) (table.Grant, error) {
		return tab.Acquire(t.Context(), lock.Acquisition{Name: lock.Name(name), TTL: ttl})
	}
	must := func(name string, ttl time.Duration) table.Grant {
		t.Helper()
		g, err := acquire(name, ttl)
		if err != nil {
			t.Fatal(err)
		}
		return g
	}
	until := func(what string, done func() bool) {
		t.Helper()
		for limit := time.Now().Add(20 * time.Second); !done(); time.Sleep(time.Millisecond) {
			if time.Now().After(limit) {
				t.Fatalf("never: %s", what)
			}
		}
	}

	var held []table.Grant
	for i := range releases {
		held = append(held, must(fmt.Sprintf("held/%d", i), time.Hour))
	}
	for i := range expiries {
		must(fmt.Sprintf("short/%d", i), 2*time.Second)
	}
	last := time.Now()
	filler := filepath.Join(dir, "filler")
	fillDisk(t, filler)
	until("the disk is full", func() bool {
		_, err := acquire(fmt.Sprintf("more/%d", time.Now().UnixNano()), time.Hour)
		if err != nil && !errors.Is(err, lock.ErrFull) {
			t.Fatal(err)
		}
		return err != nil
	})
	if !s.Full() {
		t.Error("Full() = false")
	}
	if _, err := acquire("at/the/door", time.Hour); !errors.Is(err, lock.ErrFull) {
		t.Errorf("acquire = %v, want ErrFull", err)
	}

	for i, g := range held {
		if _, err := tab.Release(t.Context(), lock.ReleaseRequest{Name: g.Lease.Name, LeaseID: g.LeaseID}); err != nil {
			t.Fatalf("release %d: %v", i, err)
		}
	}
	until("leases expire", func() bool {
		left, _ := tab.List(table.Query{Prefix: "short/", Limit: expiries})
		return len(left) == 0
	})
	t.Logf("%d leases released, %d expired %s after the last", releases, expiries, time.Since(last).Round(time.Millisecond))

	if err := os.Remove(filler); err != nil {
		t.Fatal(err)
	}
	until("a lock can be had again", func() bool {
		_, err := acquire("held/0", time.Hour)
		return err == nil
	})
}
