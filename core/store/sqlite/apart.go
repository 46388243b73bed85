package sqlite

import (
	"fmt"

	"github.com/octostore/octostore/core/lock"
	"github.com/octostore/octostore/core/store/sqlite/internal/conn"
)

// change runs f in a transaction of its own between two commits. It is for what is not
// part of the journal; errors as of [Store.apart].
func (s *Store) change(f func() error) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.stopped() != nil {
		return s.stopped()
	}
	return s.apart(f)
}

// apart is change for those who have mu, and have seen that the store is alive.
// [lock.ErrFull] means that there is no space and nothing was changed. Where another
// process keeps the database locked nothing was begun, and it can be called again; a
// commit would wait. After any other failure nothing more is accepted.
func (s *Store) apart(f func() error) error {
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
