package sqlite

import (
	"time"

	"github.com/octostore/octostore/core/store/sqlite/internal/conn"
)

// Commits append to the WAL; somebody has to move its pages into the database so
// that it can start over. SQLite would do so inside a commit. Here it happens beside
// the commits, in two steps:
//
//   - the bulk, on a connection of its own, while commits go on;
//   - what they have added meanwhile, on the writing connection between two of them.
//     That is little, and when nothing is left to move the next commit starts the WAL
//     over.
//
// A reader that is still in the WAL puts the second step off. Readers are brief, so
// usually the next attempt succeeds; only a WAL that got long nevertheless makes
// commits wait for them.
const (
	checkpointEvery = 2048                   // frames between attempts
	insistAt        = 16384                  // frames from which commits wait for readers
	insistFor       = 100 * time.Millisecond // at most
	insistAgain     = 2                      // times as many frames until the next time

	checkpointEveryFull = 32 // frames from which a commit moves them itself while the disk is full
)

// pace says when the WAL is long enough for the next attempt.
type pace struct {
	frames   int // after the newest commit
	moveAt   int
	insistAt int
}

func newPace() pace { return pace{moveAt: checkpointEvery, insistAt: insistAt} }

// after notes the length of the WAL and reports whether to move its pages.
func (p *pace) after(frames int) bool {
	if frames < p.frames { // it started over
		*p = newPace()
	}
	p.frames = frames
	if frames < p.moveAt {
		return false
	}
	p.moveAt = frames + checkpointEvery
	return true
}

// insists reports whether this attempt should wait for readers.
func (p *pace) insists() bool {
	if p.frames < p.insistAt {
		return false
	}
	p.insistAt = insistAgain * p.frames
	return true
}

// afterCommit wakes the upkeep if there is something for it to do. While the disk is
// full it does not wait for the upkeep to have its turn: a WAL that grew meanwhile would
// use up what is left of the reserve, and those who hold a lock would be refused.
func (s *Store) afterCommit() {
	frames := s.w.WALFrames()
	s.logStamped.Store(frames >= s.pace.frames) // else the WAL started over, perhaps without it
	due := s.pace.after(frames)
	if s.Full() && frames >= checkpointEveryFull {
		s.checkpointNow()
		return
	}
	if due {
		s.wakeUpkeep()
	}
}

func (s *Store) wakeUpkeep() {
	select {
	case s.wake <- struct{}{}:
	default:
	}
}

// keepUp does what commits leave to do, until the store is closed.
func (s *Store) keepUp(mover *conn.Conn) {
	defer mover.Close()
	for {
		select {
		case <-s.stop:
			return
		case <-s.wake:
		case <-s.nextRefill():
		}
		s.checkpoint(mover)
		s.refillReserve()
	}
}

// openCheckpointer opens the connection that moves pages beside the commits.
func openCheckpointer(path string) (*conn.Conn, error) {
	c, err := conn.Open(path, conn.ReadWrite)
	if err != nil {
		return nil, err
	}
	// A connection that has read nothing yet does not know that there is a WAL, and its
	// checkpoints do nothing.
	if _, err := c.IntOf("PRAGMA schema_version"); err != nil {
		c.Close()
		return nil, err
	}
	return c, nil
}

// moveWAL takes both steps. Pages that could not be written to the database file
// stop the store: nobody knows what is in it then.
func (s *Store) checkpoint(mover *conn.Conn) {
	if s.failure.Load() != nil {
		return // Close decides whether the files may still be written to
	}
	s.checkpointing.Lock()
	err := mover.Checkpoint(conn.Passive)
	s.checkpointing.Unlock()
	s.logStamped.Store(false) // the next commit may be the first of a new log
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.stopReason() != nil {
		return
	}
	full := conn.FailedWith(err, conn.CodeFull)
	if err == nil || retryable(err) && !full {
		err = s.checkpointRest()
		full = conn.FailedWith(err, conn.CodeFull)
	}
	switch {
	case full:
		s.freeSpace(err)
	case err != nil && !retryable(err):
		s.markFailed(err)
	}
}

// moveNow moves all that can be moved, between two commits and after the upkeep if that
// is at it. It is for a full disk.
func (s *Store) checkpointNow() {
	s.checkpointing.Lock()
	defer s.checkpointing.Unlock()
	s.logStamped.Store(false)
	if err := s.w.Checkpoint(conn.Passive); err != nil && !retryable(err) {
		s.markFailed(err)
	}
}

// moveRest moves what is left, between two commits.
func (s *Store) checkpointRest() error {
	defer s.logStamped.Store(false)
	if !s.pace.insists() {
		return s.w.Checkpoint(conn.Passive)
	}
	s.w.BusyTimeout(insistFor)
	defer s.w.BusyTimeout(beginTimeout)
	return s.w.Checkpoint(conn.Restart)
}

// passing reports whether a checkpoint that failed can be tried again. Until then
// the WAL has everything.
func retryable(err error) bool {
	return conn.FailedWith(err, conn.CodeBusy, conn.CodeLocked, conn.CodeFull)
}
