package journal_test

import (
	"encoding/json"
	"errors"
	"strings"
	"testing"

	"github.com/octostore/octostore/core/journal"
	"github.com/octostore/octostore/core/journal/journaltest"
	"github.com/octostore/octostore/core/lock"
	"github.com/octostore/octostore/core/store/memory"
)

// A batch that was refused is no link of the chain: the next line has the hash of the
// last one that is kept.
func TestChainLeavesOutRefusedBatches(t *testing.T) {
	store := &refusing{Store: memory.New()}
	j := journal.New(store)
	if _, err := j.Load(t.Context()); err != nil {
		t.Fatal(err)
	}
	write(t, j, 1, 1)
	store.refuse.Store(true)
	refused := &lock.Batch{Events: []lock.Event{{Seq: 2, Time: journaltest.Noon, Kind: lock.Started}}}
	if err := j.Commit(t.Context(), refused); !errors.Is(err, lock.ErrFull) {
		t.Fatal(err)
	}
	store.refuse.Store(false)
	write(t, j, 3, 1)

	segments, err := j.Scan(t.Context(), 0, 10)
	if err != nil || len(segments) != 2 {
		t.Fatalf("%d segments, error %v, want 2", len(segments), err)
	}
	var next struct{ Prev string }
	if err := json.Unmarshal(segments[1].Bytes, &next); err != nil {
		t.Fatal(err)
	}
	if want := hash(strings.TrimSuffix(string(segments[0].Bytes), "\n")); next.Prev != want {
		t.Errorf("the chain goes on from %q, want %q", next.Prev, want)
	}
}
