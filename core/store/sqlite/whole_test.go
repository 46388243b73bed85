package sqlite

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/octostore/octostore/core/auth"
	"github.com/octostore/octostore/core/journal"
	"github.com/octostore/octostore/core/lock"
	"github.com/octostore/octostore/core/store/content"
	"github.com/octostore/octostore/core/store/storetest"
)

// fillWhole writes something of everything to a database, and prunes its oldest segment.
func fillWhole(t *testing.T, path string) (cut lock.Head) {
	t.Helper()
	s := open(t, Config{Path: path})
	storetest.Load(t, s)
	var line storetest.Line
	for i, row := range []lock.Row{storetest.Row("a", 1, time.Minute), storetest.Row("b", 2, time.Hour), storetest.Row("c/d", 3, time.Second)} {
		batch := line.Batch(1, row)
		if err := s.Commit(t.Context(), batch); err != nil {
			t.Fatal(err)
		}
		if line.Head = batch.Next; i == 0 {
			cut = batch.Next
		}
	}
	scopes, err := auth.ParseScopes("acquire,read:team/**")
	if err != nil {
		t.Fatal(err)
	}
	token := auth.Token{ID: "t1", Hash: [32]byte{1}, Name: "ci", Account: "ci", Scopes: scopes, Created: time.Unix(1, 2).UTC(), Used: time.Unix(3, 4).UTC()}
	cursor := journal.ObserverCursor{Observer: "billing", After: 2, Parked: 1}
	err = errors.Join(
		s.PutTokens(t.Context(), token), s.SetObserverCursors(t.Context(), []journal.ObserverCursor{cursor}, nil), s.Prune(t.Context(), cut), s.Close(),
	)
	if err != nil {
		t.Fatal(err)
	}
	return cut
}

// readWholeOf reads a database with its segments.
func readWholeOf(t *testing.T, path string) (table content.Table, segments []lock.Segment) {
	t.Helper()
	err := Read(t.Context(), path, func(got content.Table) (func(lock.Segment) error, error) {
		table = got
		return func(g lock.Segment) error {
			g.Bytes = append([]byte(nil), g.Bytes...)
			segments = append(segments, g)
			return nil
		}, nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return table, segments
}

func importWhole(ctx context.Context, path string, table content.Table, segments []lock.Segment) error {
	im, err := NewImport(ctx, path, table)
	if err != nil {
		return err
	}
	if err := im.Begin(ctx, table.Cut); err != nil {
		return errors.Join(err, im.Abort())
	}
	for _, g := range segments {
		if err := im.Add(ctx, g); err != nil {
			return errors.Join(err, im.Abort())
		}
	}
	return errors.Join(im.Finish(ctx), im.Abort())
}

func TestImportHasEverythingThatWasRead(t *testing.T) {
	from, to := newPath(t), newPath(t)
	cut := fillWhole(t, from)
	table, segments := readWholeOf(t, from)
	if table.Cut != cut || len(table.Leases) != 3 || len(table.Tokens) != 1 || len(table.Cursors) != 1 || len(segments) != 2 {
		t.Fatalf("read %+v and %d segments", table, len(segments))
	}
	if err := importWhole(t.Context(), to, table, segments); err != nil {
		t.Fatal(err)
	}
	again, segmentsAgain := readWholeOf(t, to)
	if diff := cmp.Diff(table, again, cmp.Comparer(func(a, b auth.Scopes) bool { return a.String() == b.String() })); diff != "" {
		t.Errorf("the table (-read +imported):\n%s", diff)
	}
	if diff := cmp.Diff(segments, segmentsAgain); diff != "" {
		t.Errorf("the segments (-read +imported):\n%s", diff)
	}
	s := open(t, Config{Path: to})
	for _, l := range storetest.Load(t, s).Leases {
		if l.Remaining > l.Lease.TTL || l.Remaining < l.Lease.TTL-time.Minute/2 {
			t.Errorf("%s has %s left of %s", l.Lease.Name, l.Remaining, l.Lease.TTL)
		}
	}
	if entries, err := os.ReadDir(filepath.Dir(to)); err != nil || len(entries) > 5 {
		t.Errorf("beside the database are %v, %v", entries, err)
	}
}

func TestImportNeverReplacesADatabase(t *testing.T) {
	from, to := newPath(t), newPath(t)
	fillWhole(t, from)
	table, segments := readWholeOf(t, from)
	fillWhole(t, to)
	before, _ := readWholeOf(t, to)
	if err := importWhole(t.Context(), to, table, segments); !errors.Is(err, fs.ErrExist) {
		t.Errorf("got %v, want that the file exists", err)
	}
	if after, _ := readWholeOf(t, to); string(after.Secret) != string(before.Secret) {
		t.Error("the database was replaced")
	}
}

func TestImportThatIsAbortedLeavesNothing(t *testing.T) {
	from, to := newPath(t), newPath(t)
	fillWhole(t, from)
	table, segments := readWholeOf(t, from)
	im, err := NewImport(t.Context(), to, table)
	if err != nil {
		t.Fatal(err)
	}
	if err := im.Add(t.Context(), segments[0]); err != nil {
		t.Fatal(err)
	}
	if _, err := Open(t.Context(), Config{Path: to}); !errors.Is(err, ErrInUse) {
		t.Errorf("a server started on a half-made database: %v", err)
	}
	if err := im.Abort(); err != nil {
		t.Fatal(err)
	}
	if entries, err := os.ReadDir(filepath.Dir(to)); err != nil || len(entries) > 0 {
		t.Errorf("left behind: %v, %v", entries, err)
	}
}

func TestReadRefusesADatabaseInUse(t *testing.T) {
	path := newPath(t)
	open(t, Config{Path: path})
	err := Read(t.Context(), path, func(content.Table) (func(lock.Segment) error, error) { return nil, nil })
	if !errors.Is(err, ErrInUse) {
		t.Errorf("got %v, want that it is in use", err)
	}
}
