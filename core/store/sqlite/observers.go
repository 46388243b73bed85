package sqlite

import (
	"context"
	"fmt"

	"github.com/octostore/octostore/core/journal"
	"github.com/octostore/octostore/core/lock"
	"github.com/octostore/octostore/core/store/sqlite/internal/rows"
)

// ObserverCursors returns the cursors of all observers, ordered by name.
func (s *Store) ObserverCursors(context.Context) ([]journal.ObserverCursor, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.stopReason() != nil {
		return nil, s.stopReason()
	}
	all, err := s.w.ReadObserverCursors()
	if err != nil {
		return nil, fmt.Errorf("read the cursors of observers in %s: %w", s.path, rows.AsDamage(err))
	}
	return all, nil
}

// SetObserverCursors stores the cursors of some observers and forgets others, all or none, between
// two commits. On a full disk it does nothing but return [lock.ErrFull]: the last space is
// for the ends of leases. After any other error it can be called again, unless the store
// has stopped.
func (s *Store) SetObserverCursors(_ context.Context, set []journal.ObserverCursor, forget []string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case s.stopReason() != nil:
		return s.stopReason()
	case s.Full():
		return lock.ErrFull
	}
	return s.transactLocked(func() error { return s.w.SetObserverCursors(set, forget) })
}
