package memory

import (
	"cmp"
	"context"
	"maps"
	"slices"

	"github.com/octostore/octostore/core/journal"
)

// ObserverCursors returns the cursors of all observers, ordered by name.
func (s *Store) ObserverCursors(context.Context) ([]journal.ObserverCursor, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.SortedFunc(maps.Values(s.observers), func(a, b journal.ObserverCursor) int {
		return cmp.Compare(a.Observer, b.Observer)
	}), nil
}

// SetObserverCursors stores the cursors of some observers and forgets others, all or none.
func (s *Store) SetObserverCursors(_ context.Context, set []journal.ObserverCursor, forget []string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, name := range forget {
		delete(s.observers, name)
	}
	for _, p := range set {
		s.observers[p.Observer] = p
	}
	return nil
}
