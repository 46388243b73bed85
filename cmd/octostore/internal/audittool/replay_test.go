package audittool

import (
	"context"
	"fmt"
	"io"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/octostore/octostore/core/journal"
	"github.com/octostore/octostore/core/journal/verify"
	"github.com/octostore/octostore/core/lock"
	"github.com/octostore/octostore/core/store/content"
	"github.com/octostore/octostore/core/store/sqlite"
)

// The last record of the export has to be the same in the database.
func TestReplayComparesTheLastRecord(t *testing.T) {
	path := filepath.Join(t.TempDir(), "o.db")
	store, err := sqlite.Open(t.Context(), sqlite.Config{Path: path})
	if err != nil {
		t.Fatal(err)
	}
	defer store.Close()
	j := journal.New(store)
	if _, err := j.Load(t.Context()); err != nil {
		t.Fatal(err)
	}
	var heads []lock.Head
	write := func(seq lock.Seq) {
		t.Helper()
		b := &lock.Batch{Events: []lock.Event{{Seq: seq, Time: time.Now(), Kind: lock.Started}}}
		if err := j.Commit(t.Context(), b); err != nil {
			t.Fatal(err)
		}
		j.Publish()
		heads = append(heads, b.Next)
	}
	compare := func(last lock.Head) error {
		replay := verify.NewReplay(0)
		if err := replay.Apply(fmt.Appendf(nil, `{"seq":%d,"kind":"started","prev":""}`, last.Seq)); err != nil {
			t.Fatal(err)
		}
		verdict := verify.Result{Key: j.PublicKey(), Hash: last.Hash, Records: 1}
		return compareWithDatabase(t.Context(), io.Discard, replay, verdict, databaseAt(path))
	}
	check := func(name string, last lock.Head, wrong string) {
		t.Helper()
		err := compare(last)
		if wrong == "" && err != nil || wrong != "" && (err == nil || !strings.Contains(err.Error(), wrong)) {
			t.Errorf("%s: %v, want %q", name, err, wrong)
		}
	}
	for seq := range lock.Seq(4) {
		write(seq + 1)
	}
	const differs = "has not the record"
	other := lock.Hash{1}
	check("the newest", heads[3], "")
	check("another newest", lock.Head{Seq: 4, Hash: other}, differs)
	check("one that is followed", heads[1], "")
	check("another that is followed", lock.Head{Seq: 2, Hash: other}, differs)
	if err := j.Prune(t.Context(), heads[1]); err != nil {
		t.Fatal(err)
	}
	check("the newest that is pruned", heads[1], "")
	check("another that is pruned", lock.Head{Seq: 2, Hash: other}, differs)
	check("one before what is pruned", heads[0], "everything up to 2 was pruned")
	check("one that is not there yet", lock.Head{Seq: 5}, "the database is older")
}

// databaseAt is the [Table] of a database.
type databaseAt string

func (p databaseAt) String() string { return string(p) }

func (p databaseAt) Inspect(ctx context.Context, after lock.Seq, each func(lock.Segment) error) (content.Inspection, error) {
	return sqlite.Inspect(ctx, string(p), after, each)
}
