package sqlite

import (
	"bytes"
	"context"
	"errors"
	"io"
	"os"
	"testing"
	"time"

	"github.com/octostore/octostore/core/journal"
	"github.com/octostore/octostore/core/journal/record"
	"github.com/octostore/octostore/core/lock"
	"github.com/octostore/octostore/core/store/sqlite/internal/rows"
	"github.com/octostore/octostore/core/store/storetest"
)

// exportOf exports the whole journal that is left.
func exportOf(t testing.TB, j *journal.Journal) *bytes.Buffer {
	t.Helper()
	for {
		var out bytes.Buffer
		e := j.Export(journal.Query{After: j.Oldest()})
		out.Write(e.Opening(time.Now()))
		err := copyLines(&out, e)
		var pruned *journal.PrunedError
		if errors.As(err, &pruned) {
			continue // meanwhile
		}
		if err != nil {
			t.Fatal(err)
		}
		out.Write(e.Closing())
		return &out
	}
}

func copyLines(w io.Writer, e *journal.Export) error {
	for {
		lines, err := e.Next(context.Background())
		if err == io.EOF {
			return nil
		}
		if err != nil {
			return err
		}
		for _, l := range lines {
			if _, err := w.Write(l); err != nil {
				return err
			}
		}
	}
}

// A database of the version before signing keys gets one, and keeps its content.
func TestMigrationAddsASigningKey(t *testing.T) {
	path := newPath(t)
	s, err := Open(t.Context(), Config{Path: path})
	if err != nil {
		t.Fatal(err)
	}
	storetest.Load(t, s)
	new(storetest.Line).Commit(t, s, 3, storetest.Row("held", 1, time.Hour))
	if err := s.w.Exec(`DELETE FROM meta WHERE key = 'signing_key'; UPDATE segments SET span = first + span, sum = sum & 0xffffffff;
		ALTER TABLE segments RENAME COLUMN span TO last; DROP TABLE observers; DROP TABLE tokens;
		ALTER TABLE leases DROP COLUMN confirm; PRAGMA user_version = 1`); err != nil {
		t.Fatal(err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	s = open(t, Config{Path: path})
	if snap := storetest.Load(t, s); snap.Head.Seq != 3 || len(snap.Leases) != 1 {
		t.Errorf("the head is %d, with %d leases", snap.Head.Seq, len(snap.Leases))
	}
	if key, err := s.Key(t.Context()); err != nil || len(key) == 0 {
		t.Errorf("no key: %v", err)
	}
}

// A prune that was interrupted is finished at the next start.
func TestPruneCutShortIsFinished(t *testing.T) {
	path := newPath(t)
	s := open(t, Config{Path: path})
	storetest.Load(t, s)
	var line storetest.Line
	var heads []lock.Head
	for range 4 * rows.PruneSegments {
		line.Commit(t, s, 1)
		heads = append(heads, line.Head)
	}
	cut := heads[3*rows.PruneSegments]
	if more, err := s.pruneStep(cut); err != nil || !more {
		t.Fatalf("more: %t, %v", more, err)
	}
	if got, err := s.Cut(t.Context()); err != nil || got != cut {
		t.Errorf("after the first step the cut is %+v, %v; want %+v", got, err, cut)
	}
	j := journal.New(s)
	if _, err := j.Load(t.Context()); err != nil {
		t.Fatal(err)
	}
	var pruned *journal.PrunedError
	if _, err := j.Scan(t.Context(), heads[2*rows.PruneSegments].Seq, 1); !errors.As(err, &pruned) || pruned.Oldest != cut.Seq {
		t.Errorf("what is about to be removed can be read: %v", err)
	}
	if err := s.Prune(t.Context(), cut); err != nil {
		t.Fatal(err)
	}
	if left, err := storetest.Drain(t.Context(), s, 0, 10); err != nil || left[0].First != cut.Seq+1 {
		t.Errorf("the first that is left is %d, %v", left[0].First, err)
	}
}

func TestInspectBesideAServer(t *testing.T) {
	path := newPath(t)
	s := open(t, Config{Path: path})
	storetest.Load(t, s)
	var line storetest.Line
	for range 10 {
		line.Commit(t, s, 2, storetest.Row("held", 1, time.Hour))
	}
	var got []lock.Seq
	in, err := Inspect(t.Context(), path, 5, func(g lock.Segment) error {
		for l := range record.Lines(g, 5) {
			got = append(got, l.Seq)
		}
		return nil
	})
	if err != nil || in.Head != line.Head || len(in.Leases) != 1 || len(got) != 15 || got[0] != 6 || got[14] != 20 {
		t.Errorf("%+v, %v, segments %v", in, err, got)
	}
	if key, _ := s.Key(t.Context()); !in.Key.Equal(key.Public()) {
		t.Error("it has another key")
	}
	if _, err := Inspect(t.Context(), path+"-none", 0, nil); err == nil {
		t.Error("a database that is not there is inspected")
	}
	if _, err := os.Stat(path + "-none"); err == nil {
		t.Error("inspecting made a file")
	}
}
