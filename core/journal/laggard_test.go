package journal_test

import (
	"testing"

	"github.com/octostore/octostore/core/journal"
	"github.com/octostore/octostore/core/journal/journaltest"
	"github.com/octostore/octostore/core/lock"
)

// A reader that lags reads from the store, which has a batch before readers are told of
// it. It stops at the published head all the same.
func TestLaggardStopsAtThePublishedHead(t *testing.T) {
	first, store := journaltest.Open(t)
	write(t, first, 1, 2)
	j := journal.New(store) // after a restart nothing is in memory
	if _, err := j.Load(t.Context()); err != nil {
		t.Fatal(err)
	}
	unpublished := &lock.Batch{Events: []lock.Event{{Seq: 3, Time: journaltest.Noon, Kind: lock.Started}}}
	if err := j.Commit(t.Context(), unpublished); err != nil {
		t.Fatal(err)
	}
	read := func() lock.Seq {
		segments, err := j.Scan(t.Context(), 0, 100)
		if err != nil || len(segments) == 0 {
			t.Fatalf("%d segments, error %v", len(segments), err)
		}
		return segments[len(segments)-1].Last
	}
	if last := read(); last != 2 {
		t.Errorf("reads up to %d, of which 2 is published", last)
	}
	j.Publish()
	if last := read(); last != 3 {
		t.Errorf("reads up to %d, of which 3 is published", last)
	}
}
