package sqlite

import (
	"testing"
	"time"

	"github.com/octostore/octostore/core/journal"
	"github.com/octostore/octostore/core/journal/verify"
	"github.com/octostore/octostore/core/lock"
	"github.com/octostore/octostore/core/table"
)

// Under a steady load the database grows to its maximum size and no further. The rest of
// the journal verifies, and leases stay as they are.
func TestDiskUseReachesAPlateau(t *testing.T) {
	if testing.Short() {
		t.Skip("takes many commits")
	}
	const size = 2 << 20
	ctx := t.Context()
	s := open(t, Config{Path: newPath(t)})
	j := journal.New(s)
	table, err := table.Open(ctx, j, table.Config{Published: j.Publish})
	if err != nil {
		t.Fatal(err)
	}
	keeper := journal.Keep(journal.KeepConfig{
		Journal: j, Recorder: table, Used: s.Used, Every: time.Millisecond,
		Retention: journal.Retention{Age: time.Hour, Size: size},
	})
	defer func() { keeper.Close(); table.Close(); j.Close() }()
	held, err := table.Acquire(ctx, lock.Acquisition{Name: "held", TTL: time.Hour})
	if err != nil {
		t.Fatal(err)
	}
	var sizes []int64
	written := 0
	for range 8 {
		for range 2000 { // some 600 KiB
			e := lock.Event{Kind: lock.Denied, Cause: "no", Lease: &lock.Lease{Name: "deploy/prod", Account: "ci", Holder: "ci-4711"}}
			if _, err := table.Append(ctx, e); err != nil {
				t.Fatal(err)
			}
			written++
		}
		db, _ := s.Sizes()
		sizes = append(sizes, db)
	}
	t.Logf("%d records; the size of the file after each eighth: %v", written, sizes)
	if last := sizes[len(sizes)-1]; last > 2*size {
		t.Errorf("the file has %d bytes, and may have %d", last, size)
	}
	if sizes[7] > sizes[4]*5/4 {
		t.Errorf("the file still grows: %v", sizes)
	}
	if view := table.Get("held"); view.Lease == nil || view.Lease.Token != held.Lease.Token {
		t.Error("a lease is gone")
	}
	checkRest(t, s, j)
}

// checkRest verifies what is left of a journal.
func checkRest(t *testing.T, s *Store, j *journal.Journal) {
	t.Helper()
	if j.Oldest() == 0 {
		t.Fatal("nothing was pruned")
	}
	// A prune may be under way, which takes its time.
	for began := time.Now(); ; time.Sleep(10 * time.Millisecond) {
		oldest := j.Oldest()
		left, err := s.Segments(t.Context(), 0, 1)
		if err == nil && len(left) == 1 && left[0].First > oldest {
			break
		}
		if err != nil || len(left) == 0 || time.Since(began) > 20*time.Second {
			t.Fatalf("%d segments, %v: what was pruned is still there", len(left), err)
		}
	}
	v := verify.NewVerifier(nil)
	export := exportOf(t, j)
	if err := v.Verify(export); err != nil || !v.Result().Complete {
		t.Errorf("what is left does not verify: %+v, %v", v.Result(), err)
	}
}
