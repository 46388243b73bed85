package sqlite

import (
	"context"
	"fmt"

	"github.com/octostore/octostore/core/journal"
	"github.com/octostore/octostore/core/lock"
	"github.com/octostore/octostore/core/store/sqlite/internal/rows"
)

// ObserverCursors returns how far the observers have come, by their names.
func (s *Store) ObserverCursors(context.Context) ([]journal.ObserverCursor, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.stopped() != nil {
		return nil, s.stopped()
	}
	all, err := s.w.ReadObserverCursors()
	if err != nil {
		return nil, fmt.Errorf("read the cursors of observers in %s: %w", s.path, rows.AsDamage(err))
	}
	return all, nil
}

// SetObserverCursors keeps these cursors and forgets those of other observers, all or none,
// between two commits. While the disk is full it does nothing but return
// [lock.ErrFull]: the last space is for the ends of leases. After any other error it
// can be called again, unless the store has stopped.
func (s *Store) SetObserverCursors(_ context.Context, set []journal.ObserverCursor, forget []string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case s.stopped() != nil:
		return s.stopped()
	case s.Full():
		return lock.ErrFull
	}
	return s.apart(func() error { return s.w.SetObserverCursors(set, forget) })
}
