package sqlite

import (
	"cmp"
	"errors"
	"fmt"
	"time"

	"github.com/octostore/octostore/core/store/sqlite/internal/conn"
	"github.com/octostore/octostore/core/store/sqlite/internal/rows"
)

// Close waits for calls under way, but for a commit that waits for another process
// that keeps the database locked: that one fails. It moves everything into the database file, and
// lets another process open it. After that the file is complete on its own, unless
// another process is still reading it, as for a backup, or the disk is full: nothing
// is lost then, but PATH-wal stays part of the database until the next start. The
// Logger is told.
func (s *Store) Close() error {
	s.stopOnce.Do(func() { close(s.stop) })
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
		s.log.Error("what is in the write-ahead log could not be moved into the database", "path", s.path, "error", left)
	case left != nil:
		s.log.Warn("the write-ahead log stays part of the database until the next start", "path", s.path+"-wal", "error", left)
	}
	if err != nil {
		return fmt.Errorf("close database %s: %w", s.path, err)
	}
	return nil
}

// ending says how the writing connection is to be closed after a failure, or none. The
// caller has mu.
func (s *Store) closeMode(failure error) closeMode {
	overwritten := s.checkOpenLog()
	if overwritten != nil {
		s.log.Error("the write-ahead log is left as it is", "path", s.path, "error", overwritten)
	}
	switch {
	case overwritten != nil:
		return leaveWAL // the index leads into what somebody else wrote
	case failure == nil:
		return mergeWAL
	case !errors.Is(failure, ErrReplaced) || errors.Is(failure, errOtherWriter) || !s.inode.Held():
		return leaveWAL
	case s.checkStamp() != nil:
		return leaveWAL // the commits are not for the database that is there now
	}
	if wal := s.path + "-wal"; !s.openLog.Named(wal) {
		s.log.Warn("every commit is moved into the database file; a log that is found in the place of its own is refused at the next start, and can be removed then", "path", wal)
		return saveAndRestamp
	}
	return saveWAL
}

// ending is how the writing connection is closed.
type closeMode int

const (
	// complete moves the WAL into the database and deletes it.
	mergeWAL closeMode = iota
	// leaveWAL leaves the WAL for the next start, which knows best what of it counts.
	leaveWAL
	// saved moves what is in the WAL that is open into the database that is open, but
	// deletes nothing: their names may lead to files of another database. It is what
	// saves the commits that are in a WAL that was deleted.
	saveWAL
	// saveAndRestamp is saved for a WAL that has lost its name. The database gets a new stamp,
	// so that a WAL that is put there, a copy of the old one for one, does not count.
	saveAndRestamp
)

// finish closes the connection. The WAL is also left where another process is still
// reading or the disk is full; then left says so.
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
