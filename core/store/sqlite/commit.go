package sqlite

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/octostore/octostore/core/lock"
	"github.com/octostore/octostore/core/store/sqlite/internal/conn"
)

// Commit makes the batch durable; see [table.Store]. While another process keeps the
// database locked, it waits to begin, until ctx ends or the store is closed. A commit that
// has begun is finished. After an error other than [lock.ErrFull] and
// [lock.ErrDeposed] the store accepts nothing more: after a failed write the content
// of the disk is unknown.
func (s *Store) Commit(ctx context.Context, b *lock.Batch) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.stopReason() != nil {
		return fmt.Errorf("commit to %s: the store has stopped: %w", s.path, s.stopReason())
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
	s.head, s.hash = b.Segment.Last, b.Next.Hash
	s.afterCommit()
	return nil
}

// accepts finds mistakes of the caller before anything is written.
func (s *Store) accepts(b *lock.Batch) error {
	switch g := &b.Segment; {
	case !s.loaded:
		return errors.New("commit before load")
	case b.Prev.Seq != s.head || b.Prev.Hash != s.hash:
		return lock.ErrDeposed
	case g.Count == 0 || len(g.Bytes) == 0:
		return errors.New("commit of a batch that was not sealed")
	case g.First <= s.head || g.Last < g.First:
		return fmt.Errorf("commit of events %d to %d after %d", g.First, g.Last, s.head)
	}
	return nil
}

// refuse rolls a failed transaction back and translates its error.
func (s *Store) refuse(err error) error {
	if e := s.w.Undo(); e != nil {
		return s.fail(errors.Join(err, fmt.Errorf("roll back: %w", e)))
	}
	switch {
	case errors.Is(err, lock.ErrDeposed), conn.FailedWith(err, conn.CodeConstraint):
		return lock.ErrDeposed
	case conn.FailedWith(err, conn.CodeFull):
		s.freeSpace(err)
		return lock.ErrFull
	}
	return s.fail(err)
}

// fail stops the store for good.
func (s *Store) fail(err error) error {
	s.markFailed(err)
	return fmt.Errorf("commit to %s: %w", s.path, err)
}

// beginTimeout is how long SQLite waits at a time for another process to unlock the database.
const beginTimeout = 100 * time.Millisecond

// begin begins the transaction of a commit. If another process, such as a sqlite3, keeps
// the database locked, nothing has been written yet, so waiting is safe. It waits until
// ctx ends or the store is closed. Callers of the table do not wait that long: the table
// answers them.
func (s *Store) begin(ctx context.Context) error {
	err := s.w.Begin.Run()
	if !conn.FailedWith(err, conn.CodeBusy) {
		return err
	}
	since := time.Now()
	s.log.Warn("another process keeps the database locked; changes wait for it", "path", s.path)
	for conn.FailedWith(err, conn.CodeBusy) {
		select {
		case <-ctx.Done():
			return fmt.Errorf("cancelled while waiting for another process: %w", err)
		case <-s.failed:
			return fmt.Errorf("stopped while waiting for another process: %w", s.stopReason())
		case <-s.stop:
			return fmt.Errorf("closed while waiting for another process: %w", err)
		case <-time.After(beginTimeout / 10): // where SQLite does not wait by itself
		}
		err = s.w.Begin.Run()
	}
	if err == nil {
		s.log.Info("the database is no longer locked; changes go on", "path", s.path, "waited", time.Since(since).Round(time.Millisecond))
	}
	return err
}

// transact runs f in a transaction of its own between two commits, for data that is not
// part of the journal. Errors: see [Store.transactLocked].
func (s *Store) transact(f func() error) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.stopReason() != nil {
		return s.stopReason()
	}
	return s.transactLocked(f)
}

// transactLocked is transact for a caller that holds mu and has checked that the store
// still works. [lock.ErrFull] means that there is no space and nothing has changed. If
// another process keeps the database locked, nothing has begun and the caller may try
// again; unlike a commit it does not wait. After any other failure the store accepts
// nothing more.
func (s *Store) transactLocked(f func() error) error {
	err := s.w.Transaction(func() error {
		if err := s.stampLog(); err != nil {
			return err
		}
		return f()
	})
	switch {
	case err == nil:
		s.afterCommit()
		return nil
	case conn.FailedWith(err, conn.CodeFull) && s.w.Idle():
		return lock.ErrFull
	case conn.FailedWith(err, conn.CodeBusy) && s.w.Idle():
		return fmt.Errorf("another process keeps %s locked: %w", s.path, err)
	}
	return s.fail(err)
}
