package storetest

import (
	"context"
	"slices"
	"testing"

	"github.com/octostore/octostore/core/journal"
)

// placer is a store that keeps the places of observers. All of ours do.
type placer interface {
	Places(ctx context.Context) ([]journal.Place, error)
	SetPlaces(ctx context.Context, set []journal.Place, forget []string) error
}

func testPlaces(t *testing.T, f Fixture) {
	s := f.Store
	Load(t, s)
	check := func(want ...journal.Place) {
		t.Helper()
		if got, err := s.(placer).Places(t.Context()); err != nil || !slices.Equal(got, want) {
			t.Fatalf("the places are %v, %v, want %v", got, err, want)
		}
	}
	set := func(forget []string, places ...journal.Place) {
		t.Helper()
		if err := s.(placer).SetPlaces(t.Context(), places, forget); err != nil {
			t.Fatal(err)
		}
	}
	check()
	var line Line
	line.Commit(t, s, 3)
	set(nil, journal.Place{Observer: "b", After: 1<<53 - 1, Parked: 7}, journal.Place{Observer: "a"})
	check(journal.Place{Observer: "a"}, journal.Place{Observer: "b", After: 1<<53 - 1, Parked: 7})
	line.Commit(t, s, 3)
	set([]string{"b", "nobody"}, journal.Place{Observer: "a", After: 5})
	check(journal.Place{Observer: "a", After: 5})
	s = f.Reopen()
	if snap := Load(t, s); snap.Head != line.Head {
		t.Errorf("the head is %+v, want %+v", snap.Head, line.Head)
	}
	check(journal.Place{Observer: "a", After: 5})
	line.Commit(t, s, 1)
}
