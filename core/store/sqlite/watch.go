package sqlite

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/octostore/octostore/core/store/sqlite/internal/conn"
	"github.com/octostore/octostore/core/store/sqlite/internal/dbfile"
)

// A store serves from the files it opened, the next start from those it finds. Where
// they are not the same any more every answer that is given is forgotten: a cleaner of
// old files has deleted them, or a backup was put in their place. Nothing fails then,
// for an open file outlives its name. So the store looks.

// checkInterval is the time between looks, each of which costs four stats and a few reads
// from memory.
const checkInterval = 500 * time.Millisecond

// maxFailedChecks is how many looks in a row must fail before the store stops: one that fails
// proves nothing, as on a network disk that is away for a moment.
const maxFailedChecks = 4

// ErrReplaced says that files of the database were deleted or exchanged while it was
// open, or that something else wrote to it.
var ErrReplaced = errors.New("the files of the database are not those that were opened")

// errOtherWriter is the one of them after which nothing more may be written.
var errOtherWriter = errors.New("something else wrote to the database")

func replaced(format string, args ...any) error {
	return fmt.Errorf("%w: %s", ErrReplaced, fmt.Sprintf(format, args...))
}

// namedFile is one of the files of an open database, and what it was when it was opened.
type namedFile struct {
	path string
	was  os.FileInfo
}

// noteFiles remembers which files are open. The database is that of the inode lock,
// where there is one.
func (s *Store) rememberFiles() error {
	for _, suffix := range []string{"", "-wal", "-shm", "-lock"} {
		f := namedFile{path: s.path + suffix}
		var err error
		switch {
		case suffix == "" && s.inode.Held():
			f.was, err = s.inode.File().Stat()
		case suffix == "-lock":
			f.was, err = s.lock.Stat()
		default:
			f.was, err = os.Stat(f.path)
		}
		if err != nil {
			return err
		}
		s.files = append(s.files, f)
	}
	if s.inode.Held() {
		page, _, err := dbfile.ReadFirstPage(s.inode.File())
		if err != nil {
			return err
		}
		s.stamp = page.Stamp
	}
	return s.checkFiles() // SQLite opened the database by its name
}

// lookAtFiles returns an [ErrReplaced] if a name leads to another file than it did. Other
// errors say that this is not known.
func (s *Store) checkFiles() error {
	for _, f := range s.files {
		name := filepath.Base(f.path)
		now, err := os.Stat(f.path)
		switch {
		case errors.Is(err, os.ErrNotExist):
			return replaced("%s was deleted or renamed", name)
		case err != nil:
			return fmt.Errorf("look at %s: %w", name, err)
		case !os.SameFile(f.was, now):
			return replaced("another file was put in the place of %s", name)
		}
	}
	return nil
}

// lookInside returns an [ErrReplaced] if something else has written to the database. A
// commit looks at the head of the journal, too; this is for the time between commits,
// when requests are answered from memory. It leaves it to a commit under way.
func (s *Store) checkContents() error {
	if !s.mu.TryLock() {
		return nil
	}
	defer s.mu.Unlock()
	if s.stopReason() != nil || !s.loaded {
		return nil
	}
	if err := s.checkStamp(); err != nil {
		return ignoreBusy(err)
	}
	if err := s.checkOpenLog(); err != nil {
		return err
	}
	head, err := s.w.Head()
	switch {
	case err != nil:
		return ignoreBusy(err)
	case head != s.head:
		return fmt.Errorf("%w: %w: the journal ended with event %d and now ends with %d", ErrReplaced, errOtherWriter, s.head, head)
	}
	return nil
}

// watchLog begins to look at the log.
func (s *Store) startLogWatch() (err error) {
	if s.inode.Held() {
		s.openLog, err = dbfile.WatchLog(s.path+"-wal", s.path+"-shm")
	}
	return err
}

// lookAtLog returns an [ErrReplaced] if the log was overwritten. No commit of this store
// is under way.
func (s *Store) checkOpenLog() error {
	if err := s.openLog.Look(); err != nil {
		return fmt.Errorf("%w: %w: %w", ErrReplaced, errOtherWriter, err)
	}
	return nil
}

// ignoreBusy returns nil where another process keeps the database locked: commits wait
// for it, and so can this.
func ignoreBusy(err error) error {
	if conn.FailedWith(err, conn.CodeBusy, conn.CodeLocked) {
		return nil
	}
	return fmt.Errorf("look at the database: %w", err)
}

// watch looks again and again, until the store is closed or the files are not what they
// were.
func (s *Store) watch() {
	ticker := time.NewTicker(s.cfg.checkEvery)
	defer ticker.Stop()
	for failed := 0; ; {
		select {
		case <-s.stop:
			return
		case <-ticker.C:
		}
		err := s.check(&failed)
		if err != nil {
			s.log.Error("the database cannot be relied on any more", "path", s.path, "error", err)
			s.markFailed(err)
			return
		}
	}
}

// look returns why the database cannot be relied on any more, nil if it can or if that
// is not known yet. failed counts the looks before this one that failed in a row.
func (s *Store) check(failed *int) error {
	err := s.checkFiles()
	if err != nil {
		err = s.checkFiles() // where all are deleted one by one, the database counts
	} else {
		err = s.checkContents()
	}
	if err == nil {
		*failed = 0
		return nil
	}
	*failed++
	if errors.Is(err, ErrReplaced) || *failed >= maxFailedChecks {
		return err
	}
	s.log.Warn("the files of the database could not be looked at", "path", s.path, "error", err)
	return nil
}

// die stops the store for good. It takes no lock: a commit that waits for another
// process has mu for as long as that takes.
func (s *Store) markFailed(err error) {
	if s.failure.CompareAndSwap(nil, &err) {
		close(s.failed)
	}
}

// stopped returns why nothing more is accepted, nil if it is. The caller has mu.
func (s *Store) stopReason() error {
	if s.w == nil {
		return ErrClosed
	}
	if err := s.failure.Load(); err != nil {
		return *err
	}
	return nil
}

// Failed is closed when the store has stopped for good by itself: nothing it said may
// hold any more. Every later commit says why. A Close does not close it.
func (s *Store) Failed() <-chan struct{} { return s.failed }

// lookAtStamp returns an [ErrReplaced] if the database file was overwritten, as cp does
// with a backup: then it has another stamp than it had, and another than SQLite sees in
// the log, which it would have after somebody changed the schema. The caller has mu.
func (s *Store) checkStamp() error {
	if !s.inode.Held() {
		return nil // no descriptor to read with, and a new one could not be closed
	}
	file, ok, err := dbfile.ReadFirstPage(s.inode.File())
	if err != nil || ok && file.Stamp == s.stamp {
		return err
	}
	present, err := s.w.IntOf("PRAGMA schema_version")
	if err != nil {
		return err
	}
	if !ok || file.Stamp != uint32(present) {
		return fmt.Errorf("%w: %w: %s was overwritten", ErrReplaced, errOtherWriter, filepath.Base(s.path))
	}
	s.stamp = file.Stamp
	return nil
}
