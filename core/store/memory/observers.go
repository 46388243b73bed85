package memory

import (
	"cmp"
	"context"
	"maps"
	"slices"

	"github.com/octostore/octostore/core/journal"
)

// ObserverCursors returns how far the observers have come, by their names.
func (s *Store) ObserverCursors(context.Context) ([]journal.ObserverCursor, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.SortedFunc(maps.Values(s.observers), func(a, b journal.ObserverCursor) int {
		return cmp.Compare(a.Observer, b.Observer)
	}), nil
}

// SetObserverCursors keeps these cursors and forgets those of other observers, all or none.
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
