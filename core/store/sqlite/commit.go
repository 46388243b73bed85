package sqlite

import (
	"context"
	"errors"
	"fmt"

	"github.com/octostore/octostore/core/lock"
	"github.com/octostore/octostore/core/store/sqlite/internal/conn"
)

// Commit makes the batch durable; see [table.Store]. Where another process keeps the
// database locked it waits to begin, until ctx ends or the store is closed. A commit
// that was begun is finished. After an error other than [lock.ErrFull] and
// [lock.ErrDeposed] the store accepts nothing more, since after a failed write nobody
// knows what is on the disk.
func (s *Store) Commit(ctx context.Context, b *lock.Batch) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.stopped() != nil {
		return fmt.Errorf("commit to %s: the store has stopped: %w", s.path, s.stopped())
	}
	if err := s.accepts(b); err != nil {
		return err
	}
	if err := s.begin(ctx); err != nil {
		return s.refuse(fmt.Errorf("begin: %w", err))
	}
	if err := s.stampLog(); err != nil {
		return s.refuse(fmt.Errorf("stamp the log: %w", err))
	}
	if err := s.w.Apply(b, s.cfg.clocks.Read()); err != nil {
		return s.refuse(err)
	}
	s.head = b.Segment.Last
	s.afterCommit()
	return nil
}

// accepts finds mistakes before anything is written.
func (s *Store) accepts(b *lock.Batch) error {
	switch g := &b.Segment; {
	case !s.loaded:
		return errors.New("commit before load")
	case b.Prev.Seq != s.head:
		return lock.ErrDeposed
	case g.Count == 0 || len(g.Bytes) == 0:
		return errors.New("commit of a batch that was not sealed")
	case g.First <= s.head || g.Last < g.First:
		return fmt.Errorf("commit of events %d to %d after %d", g.First, g.Last, s.head)
	}
	return nil
}

// refuse takes back what a failed transaction did and says what its failure means.
func (s *Store) refuse(err error) error {
	if e := s.w.Undo(); e != nil {
		return s.fail(errors.Join(err, fmt.Errorf("roll back: %w", e)))
	}
	switch {
	case errors.Is(err, lock.ErrDeposed), conn.FailedWith(err, conn.CodeConstraint):
		return lock.ErrDeposed
	case conn.FailedWith(err, conn.CodeFull):
		s.makeRoom(err)
		return lock.ErrFull
	}
	return s.fail(err)
}

// fail stops the store for good.
func (s *Store) fail(err error) error {
	s.die(err)
	return fmt.Errorf("commit to %s: %w", s.path, err)
}
