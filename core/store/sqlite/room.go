package sqlite

import (
	"time"

	"github.com/octostore/octostore/core/store/sqlite/internal/conn"
	"github.com/octostore/octostore/core/store/sqlite/internal/host"
)

// What a store does about a full disk: it refuses the commit, gives up its ballast so
// that the next ones have a little space, and puts the ballast back when there is
// space again. Meanwhile it says that it is full, so that the little space is kept for
// those who hold a lock.
//
// A checkpoint that finds no space counts like a commit that does. There is room left
// in the WAL then, so nobody who holds a lock has been refused yet.

// makeRoom gives up the ballast after something found no space, and lets the WAL
// start over if it can.
func (s *Store) makeRoom(cause error) {
	s.dropSpare(cause)
	s.moveNow()
}

// withRoom runs f, and runs it again without the ballast if there was no space. It is
// for what a start has to write: a server must come up on a full disk, or nothing can
// be released.
func (s *Store) withRoom(f func() error) error {
	err := f()
	if !conn.NoSpace(err) {
		return err
	}
	s.spare.held = min(host.SizeOf(s.spare.path), max(s.spare.size, 0))
	s.dropSpare(err)
	return f()
}

func (s *Store) dropSpare(cause error) {
	if !s.spare.full.Load() {
		s.log.Warn("no space left to record changes, giving up the reserve", "path", s.path, "reserve", s.spare.held, "error", cause)
		s.wakeUpkeep() // it tries to put it back
	}
	s.spare.drop(time.Now())
}

// startSpare makes the reserve, unless it just had to be given up. A disk without
// space for it is not full: commits may succeed.
func (s *Store) startSpare() {
	if s.spare.full.Load() {
		return
	}
	if err := s.spare.restore(time.Now()); err != nil {
		s.log.Warn("no space for the whole reserve against a full disk", "path", s.path, "reserve", s.spare.held, "wanted", s.spare.size, "error", err)
	}
}

// restoreSpare puts the ballast back if it is time to try and there is space again.
func (s *Store) restoreSpare() {
	s.mu.Lock()
	defer s.mu.Unlock()
	now := time.Now()
	if s.stopped() != nil || !s.spare.due(now) {
		return
	}
	full, before := s.spare.full.Load(), s.spare.held
	_ = s.spare.restore(now) // tried again later; the operator has been told
	switch {
	case full && !s.spare.full.Load():
		s.log.Info("there is space again to record changes", "path", s.path, "reserve", s.spare.held)
	case !full && s.spare.held > before:
		s.log.Info("there is space for more of the reserve against a full disk", "path", s.path, "reserve", s.spare.held, "wanted", s.spare.size)
	}
}

// retry is ready when it is time to try again to put the ballast back; nil if it is
// there.
func (s *Store) retry() <-chan time.Time {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.stopped() != nil || !s.spare.wanting() {
		return nil
	}
	return time.After(time.Until(s.spare.again))
}

// Full reports whether the disk is full: there was no space for a commit, or for what
// the start or a checkpoint had to write, and what was given up of the reserve could
// not be put back since. It is quick.
func (s *Store) Full() bool { return s.spare.full.Load() }
