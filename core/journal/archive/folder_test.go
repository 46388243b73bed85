package archive

import (
	"bytes"
	"context"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/octostore/octostore/core/journal"
	"github.com/octostore/octostore/core/journal/journaltest"
	"github.com/octostore/octostore/core/journal/record"
	"github.com/octostore/octostore/core/journal/verify"
	"github.com/octostore/octostore/core/lock"
)

// A file has its name only once its content is on the disk, and counts only once its name
// is.
func TestArchiveFileIsDurableBeforeItCounts(t *testing.T) {
	j, _ := journaltest.Open(t)
	journaltest.History(t, j, 1, 20)
	dir := t.TempDir()
	var done []string
	h := hooks{
		step: func(point string) error { done = append(done, point); return nil },
		sync: func(f *os.File) error {
			what := "sync of the file"
			if f.Name() == dir {
				what = "sync of the folder"
			}
			done = append(done, what)
			return nil
		},
	}
	a := open(Config{Dir: dir, Journal: j, FileBytes: 1 << 20}.withDefaults(), h)
	defer a.Close()
	done = nil // of the look at the folder
	if err := a.Keep(t.Context(), 0, 10); err != nil {
		t.Fatal(err)
	}
	want := []string{"sync of the file", "synced", "linked", "sync of the folder"}
	if n := len(done) - len(want); n < 0 || !slices.Equal(done[n:], want) {
		t.Errorf("it did %q, want %q at the end", done, want)
	}
}

// Two servers that share a folder, one of which does not know yet that the other has its
// place, write each record once.
func TestArchiveIsSharedByTwoServers(t *testing.T) {
	dir := t.TempDir()
	j, store := journaltest.Open(t)
	journaltest.History(t, j, 1, 400)
	old, next := openArchive(t, j, dir, nil), openArchive(t, j, dir, nil)
	errs := make(chan error, 2)
	for _, a := range []*Archive{old, next} {
		go func() { errs <- a.Keep(context.Background(), 0, 400) }()
	}
	for range 2 {
		if err := <-errs; err != nil {
			t.Error(err)
		}
	}
	if d := verifyFiles(t, names(t, dir)); d.Records != 400 {
		t.Errorf("%+v", d)
	}
	archived{j, next, store}.prune(t, 300)
	journaltest.History(t, j, 401, 50)
	for _, a := range []*Archive{next, old} {
		if err := a.Keep(t.Context(), j.Pruned().Seq, 450); err != nil {
			t.Error(err)
		}
	}
	if d := verifyFiles(t, names(t, dir)); d.Records != 450 {
		t.Errorf("%+v", d)
	}
}

// Servers with a folder each have a part of the log each; all files together are one chain.
func TestArchiveOfEachServerInAFolderOfItsOwn(t *testing.T) {
	one, two, all := t.TempDir(), t.TempDir(), t.TempDir()
	a := openBoth(t, one, 100)
	a.prune(t, 80)
	a.Archive.Close()
	journaltest.History(t, a.Journal, 101, 100)
	a.Archive = openArchive(t, a.Journal, two, nil) // the other takes over
	if a.Journal.Oldest() != a.Pruned().Seq {
		t.Errorf("an empty folder has records up to %d", a.Journal.Oldest())
	}
	a.prune(t, 180)
	a.Archive.Close()
	journaltest.History(t, a.Journal, 201, 100)
	a.Archive = openArchive(t, a.Journal, one, nil) // and back, over a gap
	a.prune(t, 250)
	if s := a.Archive.State(); s.Err != nil || s.Oldest <= 100 {
		t.Errorf("%+v", s)
	}
	for _, dir := range []string{two, one} { // a record in both is that of the first
		for _, name := range names(t, dir) {
			_ = os.Link(name, filepath.Join(all, filepath.Base(name)))
		}
	}
	whole := openArchive(t, a.Journal, all, nil)
	if oldest := whole.Oldest(a.Pruned().Seq); oldest != 0 {
		t.Errorf("both together begin after %d", oldest)
	}
}

// Files of another log, or of records that a backup took back, are not gone on with.
func TestArchiveOfAnotherLogIsRefused(t *testing.T) {
	dir := t.TempDir()
	a := openBoth(t, dir, 100)
	a.prune(t, 50)
	a.Archive.Close()

	other := openBoth(t, dir, 100)
	if err := other.Keep(t.Context(), 0, 50); !errors.Is(err, ErrOtherLog) || !strings.Contains(err.Error(), "key") {
		t.Errorf("another server: %v", err)
	}

	restored := journal.New(restoredStore{a.store})
	if _, err := restored.Load(t.Context()); err != nil {
		t.Fatal(err)
	}
	b := openArchive(t, restored, dir, nil)
	if err := b.Keep(t.Context(), 0, 50); !errors.Is(err, ErrOtherLog) || !strings.Contains(err.Error(), "backup") {
		t.Errorf("a restored database: %v", err)
	}
	if found, err := b.Segments(t.Context(), 1, 1); len(found) > 0 || err != nil {
		t.Errorf("a restored database reads %v, %v", found, err)
	}
}

// restoredStore ends before its archive does.
type restoredStore struct{ journal.Store }

func (s restoredStore) Load(ctx context.Context) (lock.Snapshot, error) {
	snap, err := s.Store.Load(ctx)
	if err != nil {
		return snap, err
	}
	page, err := s.Segments(ctx, 60, 1)
	if err == nil {
		snap.Head, err = record.HeadOf(page[0])
	}
	return snap, err
}

// A file that was changed is not given out: the server would sign for it.
func TestArchiveThatWasChangedIsNotRead(t *testing.T) {
	dir := t.TempDir()
	a := openBoth(t, dir, 100)
	a.prune(t, 80)
	a.Archive.Close()
	name := names(t, dir)[1]
	text, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	forged := bytes.Replace(text, []byte("app"), []byte("abb"), 1)
	if err := os.WriteFile(name, forged, 0o600); err != nil {
		t.Fatal(err)
	}
	a.Archive = openArchive(t, a.Journal, dir, nil)
	after, _ := parseName(filepath.Base(name))
	var fault *verify.Fault
	if _, err := a.Scan(t.Context(), after, 1); !errors.As(err, &fault) || !strings.Contains(err.Error(), name) {
		t.Errorf("%v, want the fault and the file", err)
	}
	if err := os.WriteFile(name, text[:len(text)-10], 0o600); err != nil {
		t.Fatal(err)
	}
	if err := a.Archive.relist(t.Context()); !errors.Is(err, errDamaged) || !strings.Contains(err.Error(), name) {
		t.Errorf("a file that is cut: %v", err)
	}
}

// Records that the store has damaged are not archived, so they are not pruned either.
func TestArchiveRefusesADamagedStore(t *testing.T) {
	j, store := journaltest.Open(t)
	journaltest.History(t, j, 1, 5000) // more than the ring has
	damaged := journal.New(damagedStore{store})
	if _, err := damaged.Load(t.Context()); err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	a := openArchive(t, damaged, dir, nil)
	err := a.Keep(t.Context(), 0, 100)
	if err == nil || !strings.Contains(err.Error(), "does not follow") {
		t.Errorf("got %v", err)
	}
	if d := verifyFiles(t, names(t, dir)); d.Last >= 60 {
		t.Errorf("archived up to %d", d.Last)
	}
}

// damagedStore has another byte in a record.
type damagedStore struct{ journal.Store }

func (s damagedStore) Segments(ctx context.Context, after lock.Seq, events int) ([]lock.Segment, error) {
	page, err := s.Store.Segments(ctx, after, events)
	for i, g := range page {
		if g.First <= 60 && 60 <= g.Last {
			page[i].Bytes = bytes.Replace(g.Bytes, []byte(`"kind":"`), []byte(`"kind":"x`), 1)
		}
	}
	return page, err
}
