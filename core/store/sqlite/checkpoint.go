package sqlite

import (
	"time"

	"github.com/octostore/octostore/core/store/sqlite/internal/conn"
)

// Commits append to the WAL. A checkpoint moves its pages into the database, so that the
// WAL can start over. SQLite would do so inside a commit; this store does it beside the
// commits, in two steps:
//
//   - the bulk, on a connection of its own, while commits go on;
//   - the rest, which commits have added meanwhile, on the writing connection between two
//     commits. That is little, and once nothing is left the next commit starts the WAL over.
//
// A reader that is still in the WAL delays the second step. Readers are brief, so usually
// the next attempt succeeds. Only if the WAL gets long nevertheless do commits wait for
// readers.
const (
	checkpointEvery = 2048                   // frames between checkpoints
	insistAt        = 16384                  // frames from which a checkpoint lets commits wait for readers
	insistFor       = 100 * time.Millisecond // at most
	insistAgain     = 2                      // factor of frames until the next time

	checkpointEveryFull = 32 // frames from which a commit runs a checkpoint itself while the disk is full
)

// pace decides when the WAL is long enough for the next attempt.
type pace struct {
	frames   int // after the newest commit
	moveAt   int
	insistAt int
}

func newPace() pace { return pace{moveAt: checkpointEvery, insistAt: insistAt} }

// after records the length of the WAL and reports whether a checkpoint is due.
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

// afterCommit wakes the upkeep if there is something for it to do. While the disk is full
// it runs the checkpoint itself instead: a WAL that grows meanwhile would use up the
// reserve, and holders would be refused.
func (s *Store) afterCommit() {
	frames := s.w.WALFrames()
	s.logStamped.Store(frames >= s.pace.frames) // else the WAL started over, maybe without the stamp
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

// keepUp runs checkpoints and refills the reserve, until the store is closed.
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

// openCheckpointer opens the connection for checkpoints beside the commits.
func openCheckpointer(path string) (*conn.Conn, error) {
	c, err := conn.Open(path, conn.ReadWrite)
	if err != nil {
		return nil, err
	}
	// A connection that has not read anything does not know that there is a WAL, and its
	// checkpoints do nothing.
	if _, err := c.IntOf("PRAGMA schema_version"); err != nil {
		c.Close()
		return nil, err
	}
	return c, nil
}

// checkpoint runs both steps. If pages could not be written to the database file the store
// stops, since the content of the file is unknown then.
func (s *Store) checkpoint(mover *conn.Conn) {
	if s.failure.Load() != nil {
		return // Close decides whether the files may still be written
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

// checkpointNow moves all pages that can be moved, between two commits and not beside a
// running checkpoint. It is for a full disk.
func (s *Store) checkpointNow() {
	s.checkpointing.Lock()
	defer s.checkpointing.Unlock()
	s.logStamped.Store(false)
	if err := s.w.Checkpoint(conn.Passive); err != nil && !retryable(err) {
		s.markFailed(err)
	}
}

// checkpointRest moves the pages that are left, between two commits.
func (s *Store) checkpointRest() error {
	defer s.logStamped.Store(false)
	if s.copies.beingMade() || !s.pace.insists() { // a copy takes longer than commits should wait
		return s.w.Checkpoint(conn.Passive)
	}
	s.w.BusyTimeout(insistFor)
	defer s.w.BusyTimeout(beginTimeout)
	return s.w.Checkpoint(conn.Restart)
}

// retryable reports whether a failed checkpoint can be tried again. Until then the WAL has
// everything.
func retryable(err error) bool {
	return conn.FailedWith(err, conn.CodeBusy, conn.CodeLocked, conn.CodeFull)
}
