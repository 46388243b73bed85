package sqlite

import (
	"time"

	sqlite3 "modernc.org/sqlite/lib"
)

// What a store does about a full disk: it refuses the commit, gives up its ballast so
// that the next ones have a little space, and puts the ballast back when there is
// space again.

// makeRoom gives up the ballast after a commit found no space, and lets the WAL
// start over if it can.
func (s *Store) makeRoom(cause error) {
	s.dropSpare(cause)
	if err := s.w.checkpoint(sqlite3.SQLITE_CHECKPOINT_PASSIVE); err != nil && !passing(err) {
		s.dead = err
	}
}

// withRoom runs f, and runs it again without the ballast if there was no space. It is
// for what a start has to write: a server must come up on a full disk, or nothing can
// be released.
func (s *Store) withRoom(f func() error) error {
	err := f()
	if !noSpace(err) {
		return err
	}
	s.dropSpare(err)
	return f()
}

func (s *Store) dropSpare(cause error) {
	if !s.spare.full {
		s.log.Warn("no space left to record changes, giving up the reserve", "path", s.path, "error", cause)
	}
	s.spare.drop(time.Now())
}

// restoreSpare puts the ballast back if it is time to try and there is space again.
func (s *Store) restoreSpare() {
	s.mu.Lock()
	defer s.mu.Unlock()
	now := time.Now()
	if s.dead != nil || !s.spare.due(now) {
		return
	}
	if err := s.spare.restore(); err != nil {
		s.spare.lost(now)
		return
	}
	s.log.Info("there is space again to record changes", "path", s.path)
}
