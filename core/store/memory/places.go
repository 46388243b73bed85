package memory

import (
	"cmp"
	"context"
	"maps"
	"slices"

	"github.com/octostore/octostore/core/journal"
)

// Places returns how far the observers have come, by their names.
func (s *Store) Places(context.Context) ([]journal.Place, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.SortedFunc(maps.Values(s.places), func(a, b journal.Place) int {
		return cmp.Compare(a.Observer, b.Observer)
	}), nil
}

// SetPlaces keeps these places and forgets those of other observers, all or none.
func (s *Store) SetPlaces(_ context.Context, set []journal.Place, forget []string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, name := range forget {
		delete(s.places, name)
	}
	for _, p := range set {
		s.places[p.Observer] = p
	}
	return nil
}
