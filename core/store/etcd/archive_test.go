package etcd

import (
	"errors"
	"os"
	"testing"

	"github.com/octostore/octostore/core/journal"
	"github.com/octostore/octostore/core/journal/archive"
	"github.com/octostore/octostore/core/journal/journaltest"
	"github.com/octostore/octostore/core/journal/record"
	"github.com/octostore/octostore/core/journal/verify"
	"github.com/octostore/octostore/core/lock"
)

// archivedTerm is the log of a term, which goes into an archive.
type archivedTerm struct {
	*journal.Journal
	archive *archive.Archive
	store   *Store
	head    lock.Seq // before the records of the term
}

func openArchived(t *testing.T, s *Store, dir string) archivedTerm {
	t.Helper()
	j := journal.New(s)
	snap, err := j.Load(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	a := archive.Open(archive.Config{Dir: dir, Journal: j, FileBytes: 8 << 10, Owns: s.Owns})
	t.Cleanup(func() { _ = a.Close() })
	return archivedTerm{j, a, s, snap.Head.Seq}
}

// prune prunes what is in the archive, up to the segment with the given record.
func (a archivedTerm) prune(t *testing.T, upTo lock.Seq) {
	t.Helper()
	page, err := a.store.Segments(t.Context(), upTo-1, 1)
	if err != nil || len(page) == 0 {
		t.Fatal(page, err)
	}
	cut, err := record.HeadOf(page[0])
	if err != nil {
		t.Fatal(err)
	}
	if err := a.archive.Keep(t.Context(), a.Pruned().Seq, cut.Seq); err != nil {
		t.Fatal(err)
	}
	if err := a.Prune(t.Context(), cut); err != nil {
		t.Fatal(err)
	}
}

// Two nodes archive the log of one cluster, one after the other, into a folder that they
// share, and the one before is late once more. The files are one chain, and the log can be
// read from its first record on.
func TestArchiveOfAClusterIsOneChain(t *testing.T) {
	dir := t.TempDir()
	nodes := newNodes(t)
	one, two := nodes.join("one"), nodes.join("two")
	first := openArchived(t, nodes.take(one), dir)
	journaltest.History(t, first.Journal, first.head+1, 120)
	first.prune(t, first.head+80)
	journaltest.History(t, first.Journal, first.Head()+1, 60) // the next node finds them in no file
	if err := first.store.HandOver(t.Context()); err != nil {
		t.Fatal(err)
	}

	second := openArchived(t, nodes.take(two), dir)
	if second.Pruned().Seq == 0 || second.Oldest() != 0 {
		t.Errorf("pruned up to %d, and the log begins after %d", second.Pruned().Seq, second.Oldest())
	}
	journaltest.History(t, second.Journal, second.Head()+1000, 100)
	errs := make(chan error, 2)
	for _, a := range []archivedTerm{first, second} {
		go func() { errs <- a.archive.Keep(t.Context(), a.Pruned().Seq, a.Head()) }()
	}
	for range 2 {
		if err := <-errs; err != nil && !errors.Is(err, lock.ErrDeposed) { // of the first, if it comes second
			t.Error(err)
		}
	}
	second.prune(t, second.Head()-20)

	files, err := archive.Files(dir)
	if err != nil {
		t.Fatal(err)
	}
	v := verify.NewVerifier(second.PublicKey())
	for _, name := range files {
		f, err := os.Open(name)
		if err != nil {
			t.Fatal(err)
		}
		err = v.Verify(f)
		f.Close()
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
	}
	if d := v.Result(); d.Records != 280 || !d.Complete {
		t.Errorf("the files: %+v", d)
	}
	records := 0
	for r := second.From(0); ; {
		page, err := r.Next(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if len(page) == 0 {
			break
		}
		for _, s := range page {
			records += s.Count
		}
	}
	if records != 280 {
		t.Errorf("%d records can be read, want 280", records)
	}
}

// A node that has lost the term, and does not know it yet, finds files of the next one. They are no
// reason to move anything out of the folder.
func TestArchiveOfANodeThatHasLostTheTermIsNotBlamed(t *testing.T) {
	dir := t.TempDir()
	nodes := newNodes(t)
	one, two := nodes.join("one"), nodes.join("two")
	first := openArchived(t, nodes.take(one), dir)
	journaltest.History(t, first.Journal, first.head+1, 120)
	if err := first.store.HandOver(t.Context()); err != nil {
		t.Fatal(err)
	}
	second := openArchived(t, nodes.take(two), dir)
	journaltest.History(t, second.Journal, second.Head()+1000, 100)
	if err := second.archive.Keep(t.Context(), 0, second.Head()); err != nil {
		t.Fatal(err)
	}
	if err := first.archive.Keep(t.Context(), 0, first.Head()); !errors.Is(err, lock.ErrDeposed) || errors.Is(err, archive.ErrOtherLog) {
		t.Errorf("the node before: %v", err)
	}
	if err := first.archive.State().Err; err != nil {
		t.Errorf("its archive has failed: %v", err)
	}
}
