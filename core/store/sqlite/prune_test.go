package sqlite

import (
	"strings"
	"testing"
	"time"

	"github.com/octostore/octostore/core/journal"
	"github.com/octostore/octostore/core/lock"
	"github.com/octostore/octostore/core/store/sqlite/internal/rows"
)

// One step of pruning, for which commits wait, is bounded in segments and in bytes, for the
// smallest and the largest segments. It deletes at least one.
func TestPruneStepIsBounded(t *testing.T) {
	for _, test := range []struct {
		name             string
		events, metadata int // of a segment; bytes of an event
		steps            int // at most that many for all
	}{
		{"small segments", 1, 0, 4},
		{"segments as large as batches are", 30, 8000, 200/4 + 1},
		{"segments larger than a step", 150, 8000, 201},
	} {
		t.Run(test.name, func(t *testing.T) {
			s := open(t, Config{Path: newPath(t), Reserve: -1})
			cut := commitLarge(t, s, 200, test.events, test.metadata)
			steps := 0
			for more := true; more; steps++ {
				segments, bytes := kept(t, s)
				var err error
				if more, err = s.pruneStep(cut); err != nil {
					t.Fatal(err)
				}
				left, bytesLeft := kept(t, s)
				if n := segments - left; n < 1 || n > rows.PruneSegments {
					t.Fatalf("step %d removed %d segments, want 1 to %d", steps+1, n, rows.PruneSegments)
				}
				if n := bytes - bytesLeft; segments-left > 1 && n > rows.PruneBytes {
					t.Fatalf("step %d removed %d bytes in %d segments, want at most %d", steps+1, n, segments-left, rows.PruneBytes)
				}
			}
			if left, _ := kept(t, s); left != 1 {
				t.Errorf("%d segments are left, want 1", left)
			}
			if steps > test.steps {
				t.Errorf("it took %d steps, want at most %d", steps, test.steps)
			}
		})
	}
}

// commitLarge commits n segments and one more, and returns the head of the n-th.
func commitLarge(t *testing.T, s *Store, n, events, size int) (cut lock.Head) {
	t.Helper()
	j := journal.New(s)
	if _, err := j.Load(t.Context()); err != nil {
		t.Fatal(err)
	}
	lease := &lock.Lease{Name: "n", Account: "a", Metadata: map[string]string{"much": strings.Repeat("m", size)}}
	for seq, i := lock.Seq(1), 0; i <= n; i++ {
		b := &lock.Batch{Prev: lock.Head{Seq: seq - 1}}
		for range events {
			b.Events = append(b.Events, lock.Event{Seq: seq, Time: time.Now(), Kind: lock.Denied, Lease: lease})
			seq++
		}
		if err := j.Commit(t.Context(), b); err != nil {
			t.Fatal(err)
		}
		if i == n-1 {
			cut = b.Next
		}
	}
	return cut
}

// kept returns the number of segments left, and their bytes.
func kept(t *testing.T, s *Store) (segments, bytes int64) {
	t.Helper()
	s.mu.Lock()
	defer s.mu.Unlock()
	for sql, to := range map[string]*int64{"SELECT count(*) FROM segments": &segments, "SELECT sum(length(bytes)) FROM segments": &bytes} {
		n, err := s.w.IntOf(sql)
		if err != nil {
			t.Fatal(err)
		}
		*to = n
	}
	return segments, bytes
}
