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

// A store works on the files it opened, but the next start on the files it finds by name.
// If these differ, every commit since is lost: a cleanup job deleted the files, or a backup
// was put in their place. Nothing fails then, because an open file outlives its name. So
// the store checks its files.

// checkInterval is the time between two checks. Each costs four stats and a few reads from
// memory.
const checkInterval = 500 * time.Millisecond

// maxFailedChecks is how many checks in a row must fail before the store stops. A single
// failure proves nothing, as on a network disk that is away for a moment.
const maxFailedChecks = 4

// ErrReplaced says that files of the database were deleted or replaced while it was open,
// or that another program wrote to it.
var ErrReplaced = errors.New("the files of the database are not the ones that were opened")

// errOtherWriter is the kind of [ErrReplaced] after which the store must write nothing
// more.
var errOtherWriter = errors.New("another program wrote to the database")

func replaced(format string, args ...any) error {
	return fmt.Errorf("%w: %s", ErrReplaced, fmt.Sprintf(format, args...))
}

// namedFile is one of the files of an open database, and its identity when it was opened.
type namedFile struct {
	path string
	was  os.FileInfo
}

// rememberFiles records the identity of the open files. The database is that of the inode
// lock, if there is one.
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

// checkFiles returns an [ErrReplaced] if a name now leads to another file. Other errors
// mean that it could not tell.
func (s *Store) checkFiles() error {
	for _, f := range s.files {
		name := filepath.Base(f.path)
		now, err := os.Stat(f.path)
		switch {
		case errors.Is(err, os.ErrNotExist):
			return replaced("%s was deleted or renamed", name)
		case err != nil:
			return fmt.Errorf("check %s: %w", name, err)
		case !os.SameFile(f.was, now):
			return replaced("another file was put in the place of %s", name)
		}
	}
	return nil
}

// checkContents returns an [ErrReplaced] if another program has written to the database. A
// commit checks the head of the journal, too; this check is for the time between commits,
// when requests are answered from memory. It does nothing during a commit.
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

// startLogWatch opens the log and its index for [Store.checkOpenLog].
func (s *Store) startLogWatch() (err error) {
	if s.inode.Held() {
		s.openLog, err = dbfile.WatchLog(s.path+"-wal", s.path+"-shm")
	}
	return err
}

// checkOpenLog returns an [ErrReplaced] if the log was overwritten. No commit of this store
// may be under way.
func (s *Store) checkOpenLog() error {
	if err := s.openLog.Look(); err != nil {
		return fmt.Errorf("%w: %w: %w", ErrReplaced, errOtherWriter, err)
	}
	return nil
}

// ignoreBusy returns nil if another process keeps the database locked: commits wait for it,
// and so can a check.
func ignoreBusy(err error) error {
	if conn.FailedWith(err, conn.CodeBusy, conn.CodeLocked) {
		return nil
	}
	return fmt.Errorf("check the database: %w", err)
}

// watch checks the files again and again, until the store is closed or a check stops it.
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

// check returns why the database can no longer be relied on, or nil if it can or if that is
// not known yet. failed counts the checks before this one that failed in a row.
func (s *Store) check(failed *int) error {
	err := s.checkFiles()
	if err != nil {
		err = s.checkFiles() // if all files are being deleted one by one, report the database
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
	s.log.Warn("the files of the database could not be checked", "path", s.path, "error", err)
	return nil
}

// markFailed stops the store for good. It does not lock mu, because a commit that waits for
// another process may hold it for long.
func (s *Store) markFailed(err error) {
	if s.failure.CompareAndSwap(nil, &err) {
		close(s.failed)
	}
}

// stopReason returns why the store accepts nothing more, or nil. The caller holds mu.
func (s *Store) stopReason() error {
	if s.w == nil {
		return ErrClosed
	}
	if err := s.failure.Load(); err != nil {
		return *err
	}
	return nil
}

// Failed is closed when the store has stopped for good by itself: earlier answers may no
// longer hold. Every later commit returns the reason. Close does not close the channel.
func (s *Store) Failed() <-chan struct{} { return s.failed }

// checkStamp returns an [ErrReplaced] if the database file was overwritten, as by cp of a
// backup. Then its stamp differs from the remembered one, and from the one that SQLite sees
// in the log, which changes with the schema. The caller holds mu.
func (s *Store) checkStamp() error {
	if !s.inode.Held() {
		return nil // no descriptor to read with, and closing a new one would drop locks
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
