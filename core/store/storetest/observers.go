package storetest

import (
	"context"
	"slices"
	"testing"

	"github.com/octostore/octostore/core/journal"
)

// cursorStore is a store of the cursors of observers, as all stores of this project are.
type cursorStore interface {
	ObserverCursors(ctx context.Context) ([]journal.ObserverCursor, error)
	SetObserverCursors(ctx context.Context, set []journal.ObserverCursor, forget []string) error
}

func testObserverCursors(t *testing.T, f Fixture) {
	s := f.Store
	Load(t, s)
	check := func(want ...journal.ObserverCursor) {
		t.Helper()
		if got, err := s.(cursorStore).ObserverCursors(t.Context()); err != nil || !slices.Equal(got, want) {
			t.Fatalf("the cursors are %v, %v, want %v", got, err, want)
		}
	}
	set := func(forget []string, cursors ...journal.ObserverCursor) {
		t.Helper()
		if err := s.(cursorStore).SetObserverCursors(t.Context(), cursors, forget); err != nil {
			t.Fatal(err)
		}
	}
	check()
	var line Line
	line.Commit(t, s, 3)
	set(nil, journal.ObserverCursor{Observer: "b", After: 1<<53 - 1, Parked: 7}, journal.ObserverCursor{Observer: "a"})
	check(journal.ObserverCursor{Observer: "a"}, journal.ObserverCursor{Observer: "b", After: 1<<53 - 1, Parked: 7})
	line.Commit(t, s, 3)
	set([]string{"b", "unknown"}, journal.ObserverCursor{Observer: "a", After: 5})
	check(journal.ObserverCursor{Observer: "a", After: 5})
	s = f.Reopen()
	if snap := Load(t, s); snap.Head != line.Head {
		t.Errorf("the head is %+v, want %+v", snap.Head, line.Head)
	}
	check(journal.ObserverCursor{Observer: "a", After: 5})
	line.Commit(t, s, 1)
}
