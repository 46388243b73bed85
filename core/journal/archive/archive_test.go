package archive

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"errors"
	"io/fs"
	"math/rand/v2"
	"os"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	"github.com/octostore/octostore/core/journal"
	"github.com/octostore/octostore/core/journal/journaltest"
	"github.com/octostore/octostore/core/journal/record"
	"github.com/octostore/octostore/core/journal/verify"
	"github.com/octostore/octostore/core/lock"
)

// archived is a journal and the archive it has.
type archived struct {
	*journal.Journal
	*Archive
	store journal.Store
}

// openArchive opens an archive of small files whose write step fails as step says.
func openArchive(t *testing.T, j *journal.Journal, dir string, step func(string) error) *Archive {
	t.Helper()
	if step == nil {
		step = func(string) error { return nil }
	}
	memory := func(*os.File) error { return nil } // a disk would take long
	a := open(Config{Dir: dir, Journal: j, Every: time.Hour, FileBytes: 4 << 10}.withDefaults(), hooks{step, memory})
	select {
	case <-a.listed: // also on a machine that is very busy
	case <-time.After(time.Minute):
		t.Fatal("the folder is not listed")
	}
	t.Cleanup(func() { a.Close() })
	return a
}

func openBoth(t *testing.T, dir string, events int) archived {
	t.Helper()
	j, store := journaltest.Open(t)
	journaltest.History(t, j, 1, events)
	return archived{j, openArchive(t, j, dir, nil), store}
}

// prune removes what is in the archive, up to the segment with the given record.
func (a archived) prune(t *testing.T, upTo lock.Seq) {
	t.Helper()
	page, err := a.store.Segments(t.Context(), upTo-1, 1)
	if err != nil || len(page) == 0 {
		t.Fatal(page, err)
	}
	cut, err := record.HeadOf(page[0])
	if err != nil {
		t.Fatal(err)
	}
	if err := a.Keep(t.Context(), a.Pruned().Seq, cut.Seq); err != nil {
		t.Fatal(err)
	}
	if err := a.Prune(t.Context(), cut); err != nil {
		t.Fatal(err)
	}
}

// names returns the files of an archive, in order.
func names(t *testing.T, dir string) []string {
	t.Helper()
	all, err := filepath.Glob(filepath.Join(dir, "*"+nameSuffix))
	if err != nil {
		t.Fatal(err)
	}
	return all
}

// verifyFiles verifies files one after the other.
func verifyFiles(t *testing.T, files []string, more ...[]byte) verify.Result {
	t.Helper()
	v := verify.NewVerifier(nil)
	for _, name := range files {
		text, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		if err := verify.NewVerifier(nil).Verify(bytes.NewReader(text)); err != nil {
			t.Fatalf("%s by itself: %v", name, err)
		}
		if err := v.Verify(bytes.NewReader(text)); err != nil {
			t.Fatalf("%s: %v", name, err)
		}
	}
	for _, text := range more {
		if err := v.Verify(bytes.NewReader(text)); err != nil {
			t.Fatal(err)
		}
	}
	return v.Result()
}

// Each file verifies by itself, all of them as one chain, and with an export from the server
// as well. What is pruned from the store can be read all the same, unchanged.
func TestArchiveAndStoreAreOneLog(t *testing.T) {
	dir := t.TempDir()
	a := openBoth(t, dir, 500)
	before := journaltest.Export(t, a.Journal, journal.Query{})
	a.prune(t, 300)
	if n := len(names(t, dir)); n < 10 {
		t.Errorf("%d files", n)
	}
	if d := verifyFiles(t, names(t, dir)); d.First != 1 || d.Last != 500 || !d.Complete {
		t.Errorf("the archive: %+v", d)
	}
	if a.Journal.Oldest() != 0 || a.Pruned().Seq < 300 {
		t.Errorf("oldest %d, pruned %d", a.Journal.Oldest(), a.Pruned().Seq)
	}
	if after := journaltest.Export(t, a.Journal, journal.Query{}); !bytes.Equal(before, after) {
		t.Error("the export of both differs from that before the pruning")
	}
	journaltest.History(t, a.Journal, 501, 40)
	live := journaltest.Export(t, a.Journal, journal.Query{After: 500})
	if d := verifyFiles(t, names(t, dir), live); d.Records != 540 || !d.Complete {
		t.Errorf("the archive and an export: %+v", d)
	}
	for _, cursor := range []lock.Seq{0, 1, 77, 299, 300, 301, 500, 540} {
		if known, err := a.Knows(t.Context(), cursor); !known || err != nil {
			t.Errorf("the cursor %d: %t, %v", cursor, known, err)
		}
	}
	s, err := a.Journal.State(t.Context())
	if err != nil || s.Oldest.Seq != 1 {
		t.Errorf("%+v, %v", s, err)
	}
	after, err := a.Before(t.Context(), journaltest.Noon.Truncate(time.Microsecond).Add(120*time.Second))
	if err != nil || after != 119 {
		t.Errorf("the first record of a time in the archive comes after %d, %v", after, err)
	}
	e := a.Export(journal.Query{Newest: 530})
	if err := e.Seek(t.Context()); err != nil || e.Cursor() != 10 {
		t.Errorf("the newest 530 begin after %d, %v", e.Cursor(), err)
	}
}

// Without a server, and without its key, an examination finds the same.
func TestArchiveIsExaminedWithoutAServer(t *testing.T) {
	dir := t.TempDir()
	if e, err := Examine(t.Context(), dir, nil); err != nil || e.Files != 0 {
		t.Errorf("an empty folder: %+v, %v", e, err)
	}
	a := openBoth(t, dir, 200)
	a.prune(t, 150)
	for _, key := range []ed25519.PublicKey{nil, a.PublicKey()} {
		e, err := Examine(t.Context(), dir, key)
		if err != nil || e.Files != len(names(t, dir)) || e.Last != 200 || e.Begins != 0 || e.Gaps != 0 || e.Newest.IsZero() {
			t.Errorf("%+v, %v", e, err)
		}
	}
	if err := os.Remove(names(t, dir)[2]); err != nil {
		t.Fatal(err)
	}
	if e, err := Examine(t.Context(), dir, nil); err != nil || e.Gaps != 1 || e.Begins == 0 {
		t.Errorf("with a gap: %+v, %v", e, err)
	}
}

// A server that starts again goes on in the same files.
func TestArchiveGoesOnAfterARestart(t *testing.T) {
	dir := t.TempDir()
	a := openBoth(t, dir, 200)
	a.prune(t, 150)
	a.Archive.Close()
	journaltest.History(t, a.Journal, 201, 100)
	a.Archive = openArchive(t, a.Journal, dir, nil)
	a.prune(t, 250)
	if d := verifyFiles(t, names(t, dir)); d.Records != 300 || !d.Complete {
		t.Errorf("%+v", d)
	}
	if a.Journal.Oldest() != 0 {
		t.Errorf("the log begins after %d", a.Journal.Oldest())
	}
}

// Wherever a process ends, the next one goes on: no record is missing, and none is there
// twice.
func TestArchiveSurvivesACrashAtEachStep(t *testing.T) {
	for n := 1; ; n++ {
		dir := t.TempDir()
		j, store := journaltest.Open(t)
		journaltest.History(t, j, 1, 30)
		steps, crashed := 0, false
		step := func(string) error {
			if steps++; steps == n {
				crashed = true
				return errCrash
			}
			return nil
		}
		first := openArchive(t, j, dir, step)
		err := first.Keep(t.Context(), 0, 25)
		if crashed != errors.Is(err, errCrash) {
			t.Fatalf("step %d: %v", n, err)
		}
		first.Close()
		a := archived{j, openArchive(t, j, dir, nil), store}
		a.prune(t, 25)
		if d := verifyFiles(t, names(t, dir)); d.Records != 30 || !d.Complete {
			t.Fatalf("a crash at step %d: %+v", n, d)
		}
		if !crashed {
			if n < 15 {
				t.Errorf("only %d steps", n)
			}
			return
		}
		makeStale(t, dir)
		openArchive(t, j, dir, nil)
		if all, _ := os.ReadDir(dir); len(all) != len(names(t, dir)) {
			t.Fatalf("a crash at step %d leaves a draft", n)
		}
	}
}

// makeStale makes all drafts old.
func makeStale(t *testing.T, dir string) {
	t.Helper()
	drafts, _ := filepath.Glob(filepath.Join(dir, "*"+draftMark+"*"))
	for _, name := range drafts {
		old := time.Now().Add(-2 * staleAfter)
		if err := os.Chtimes(name, old, old); err != nil {
			t.Fatal(err)
		}
	}
}

// While the folder is full or gone, nothing may be pruned, and the state says why. Then it
// goes on.
func TestArchiveThatCannotBeWrittenKeepsTheStore(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "archive")
	if err := os.Mkdir(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	j, store := journaltest.Open(t)
	journaltest.History(t, j, 1, 100)
	var full error
	a := archived{j, openArchive(t, j, dir, func(point string) error {
		if point == "segment" {
			return full
		}
		return nil
	}), store}

	full = &fs.PathError{Op: "write", Path: dir, Err: syscall.ENOSPC}
	if err := a.Keep(t.Context(), 0, 50); !errors.Is(err, syscall.ENOSPC) || !errors.Is(a.Archive.State().Err, syscall.ENOSPC) {
		t.Errorf("full: %v, %+v", err, a.Archive.State())
	}
	if all, _ := os.ReadDir(dir); len(all) != 0 {
		t.Errorf("a full folder has %v", all)
	}
	full = nil
	a.prune(t, 50)
	if s := a.Archive.State(); s.Err != nil || s.Newest.Seq != 100 || s.Newest.Time.IsZero() || s.Files != len(names(t, dir)) {
		t.Errorf("with space again: %+v", s)
	}

	journaltest.History(t, j, 101, 100)
	if err := os.Rename(dir, dir+".away"); err != nil {
		t.Fatal(err)
	}
	var known *journal.PrunedError // nobody may think that the records are gone for good
	if _, err := a.Scan(t.Context(), 10, 1); !errors.Is(err, fs.ErrNotExist) || errors.As(err, &known) {
		t.Errorf("a record in a folder that is gone: %v", err)
	}
	late := openArchive(t, a.Journal, dir, nil)
	if _, err := late.Segments(t.Context(), 10, 1); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("a record in a folder that was gone from the start: %v", err)
	}
	a.SetArchive(a.Archive)
	for _, upTo := range []lock.Seq{80, 150} { // one that was written, one that was not
		if err := a.Keep(t.Context(), a.Pruned().Seq, upTo); !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("gone, up to %d: %v", upTo, err)
		}
	}
	if err := os.Rename(dir+".away", dir); err != nil {
		t.Fatal(err)
	}
	a.prune(t, 150)
	if d := verifyFiles(t, names(t, dir)); d.Records != 200 {
		t.Errorf("with the folder again: %+v", d)
	}
}

// A file that was removed before its records were pruned is written again.
func TestArchiveWritesAgainWhatWasRemoved(t *testing.T) {
	dir := t.TempDir()
	a := openBoth(t, dir, 200)
	if err := a.Keep(t.Context(), 0, 200); err != nil {
		t.Fatal(err)
	}
	for _, name := range names(t, dir)[1:4] {
		if err := os.Remove(name); err != nil {
			t.Fatal(err)
		}
	}
	a.prune(t, 150)
	if d := verifyFiles(t, names(t, dir)); d.Records != 200 || !d.Complete {
		t.Errorf("%+v", d)
	}
	// What is not in the store any more is gone; the log begins behind it.
	gone := names(t, dir)[2]
	if err := os.Remove(gone); err != nil {
		t.Fatal(err)
	}
	a.Archive.Close()
	a.Archive = openArchive(t, a.Journal, dir, nil)
	if next, _ := parseName(filepath.Base(names(t, dir)[2])); a.Journal.Oldest() != next {
		t.Errorf("the log begins after %d, want %d", a.Journal.Oldest(), next)
	}
	_, err := a.Scan(t.Context(), 1, 1)
	if _, err2 := a.Scan(t.Context(), a.Journal.Oldest()-1, 1); err != nil || !isPruned(err2) {
		t.Errorf("before the gap %v, in it %v", err, err2)
	}
}

func isPruned(err error) bool {
	_, is := errors.AsType[*journal.PrunedError](err)
	return is
}

// Every page of the archive has the lines that the store had.
func TestArchiveReadsWhatTheStoreHad(t *testing.T) {
	a := openBoth(t, t.TempDir(), 700)
	var lines [][]byte
	all, err := a.store.Segments(t.Context(), 0, 1<<30)
	if err != nil {
		t.Fatal(err)
	}
	for _, s := range all {
		for l := range record.Lines(s, 0) {
			lines = append(lines, l.Bytes)
		}
	}
	if err := a.Keep(t.Context(), 0, 700); err != nil {
		t.Fatal(err)
	}
	for range 600 {
		at, events := lock.Seq(rand.IntN(701)), 1+rand.IntN(20)
		forward, err := a.Segments(t.Context(), at, events)
		same(t, lines, forward, err, at == 700, events, at+1, false)
		backward, err := a.SegmentsBefore(t.Context(), at, events)
		same(t, lines, backward, err, at <= 1, events, at-1, true)
	}
}

// same checks a page of lines: it begins, or ends, with the given one.
func same(t *testing.T, lines [][]byte, page []lock.Segment, err error, none bool, events int, edge lock.Seq, back bool) {
	t.Helper()
	if err != nil || none != (len(page) == 0) {
		t.Fatalf("at %d: %v, %v", edge, page, err)
	}
	if none {
		return
	}
	s := page[0]
	if len(page) != 1 || s.Count < 1 || s.Count > events || !back && s.First != edge || back && s.Last != edge {
		t.Fatalf("at %d, %d events: %d to %d, %d", edge, events, s.First, s.Last, s.Count)
	}
	want := append(bytes.Join(lines[s.First-1:s.Last], []byte{'\n'}), '\n')
	if !bytes.Equal(s.Bytes, want) || int(s.Last-s.First)+1 != s.Count {
		t.Fatalf("at %d: other lines", edge)
	}
}

// A folder that hangs holds up neither its callers nor the end.
func TestArchiveDoesNotWaitForAFolderThatHangs(t *testing.T) {
	j, _ := journaltest.Open(t)
	journaltest.History(t, j, 1, 20)
	hung, free := make(chan struct{}), make(chan struct{})
	defer close(free)
	a := openArchive(t, j, t.TempDir(), func(point string) error {
		if point == "created" {
			close(hung)
			<-free
			return errCrash
		}
		return nil
	})
	ctx, cancel := context.WithCancel(t.Context())
	go func() { <-hung; cancel() }()
	if err := a.Keep(ctx, 0, 10); !errors.Is(err, context.Canceled) {
		t.Errorf("got %v", err)
	}
	if err := a.Close(); !errors.Is(err, errSlow) {
		t.Errorf("the end: %v", err)
	}
}
