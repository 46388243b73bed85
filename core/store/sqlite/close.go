package sqlite

import (
	"cmp"
	"errors"
	"fmt"
	"time"

	"github.com/octostore/octostore/core/store/sqlite/internal/conn"
	"github.com/octostore/octostore/core/store/sqlite/internal/rows"
)

// Close waits for calls under way; only a commit that waits for another process to unlock
// the database fails. It moves everything into the database file and lets another process
// open it. Then the file is complete on its own, unless another process is still reading
// it, as a backup does, or the disk is full. In these cases nothing is lost, but PATH-wal
// stays part of the database until the next start, and the log says so.
func (s *Store) Close() error {
	s.stopOnce.Do(func() { close(s.stop) })
	s.copies.making.Lock() // a copy under way ends
	defer s.copies.making.Unlock()
	s.mu.Lock()
	if s.w == nil {
		s.mu.Unlock()
		return ErrClosed
	}
	w, failure := s.w, s.stopReason()
	how := s.closeMode(failure)
	s.w = nil
	s.mu.Unlock()

	s.upkeep.Wait()
	s.readers.close()
	left, err := finish(w, how)
	s.openLog.Close()
	s.inode.Release()
	s.lock.Release()
	switch {
	case left != nil && failure != nil:
		s.log.Error("the write-ahead log could not be moved into the database", "path", s.path, "error", left)
	case left != nil:
		s.log.Warn("the write-ahead log stays part of the database until the next start", "path", s.path+"-wal", "error", left)
	}
	if err != nil {
		return fmt.Errorf("close database %s: %w", s.path, err)
	}
	return nil
}

// closeMode decides how to close the writing connection after a failure, or none. The
// caller holds mu.
func (s *Store) closeMode(failure error) closeMode {
	overwritten := s.checkOpenLog()
	if overwritten != nil {
		s.log.Error("the write-ahead log is left as it is", "path", s.path, "error", overwritten)
	}
	switch {
	case overwritten != nil:
		return leaveWAL // the index leads into what another program wrote
	case failure == nil:
		return mergeWAL
	case !errors.Is(failure, ErrReplaced) || errors.Is(failure, errOtherWriter) || !s.inode.Held():
		return leaveWAL
	case s.checkStamp() != nil:
		return leaveWAL // the commits are not for the database that is there now
	}
	if wal := s.path + "-wal"; !s.openLog.Named(wal) {
		s.log.Warn(
			"the write-ahead log was deleted or replaced; all commits are moved into the database file. The next start refuses another log in its place, which can be removed then",
			"path", wal,
		)
		return saveAndRestamp
	}
	return saveWAL
}

// closeMode is how the writing connection is closed.
type closeMode int

const (
	// mergeWAL moves the WAL into the database and deletes it.
	mergeWAL closeMode = iota
	// leaveWAL leaves the WAL for the next start, which knows best which of it counts.
	leaveWAL
	// saveWAL moves the open WAL into the open database, but deletes nothing: the names
	// may lead to files of another database by now. It saves the commits in a WAL that
	// was deleted.
	saveWAL
	// saveAndRestamp is saveWAL for a WAL that has lost its name. The database also gets a
	// new stamp, so that a WAL put in that place, for example a copy of the old one, does
	// not count.
	saveAndRestamp
)

// finish closes the connection. The WAL also stays if another process is still reading or
// the disk is full; left says why.
func finish(w *rows.Writer, how closeMode) (left, err error) {
	switch how {
	case leaveWAL:
		w.LeaveWAL()
		return nil, w.Close()
	case saveWAL, saveAndRestamp:
		w.LeaveWAL()
		left = w.Checkpoint(conn.Full)
		if left == nil && how == saveAndRestamp {
			left = restamp(w)
		}
		return left, w.Close()
	}
	w.BusyTimeout(time.Second) // for a backup that is still reading
	err = w.Checkpoint(conn.Truncate)
	if err != nil && retryable(err) {
		left, err = err, nil
	}
	return left, cmp.Or(err, w.Close())
}
