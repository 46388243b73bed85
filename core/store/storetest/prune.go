package storetest

import (
	"bytes"
	"context"
	"testing"

	"github.com/octostore/octostore/core/journal"
	"github.com/octostore/octostore/core/lock"
)

func testKey(t *testing.T, f Fixture) {
	Load(t, f.Store)
	key, err := f.Store.Key(t.Context())
	if err != nil || len(key) == 0 {
		t.Fatalf("%d bytes, %v", len(key), err)
	}
	s := f.Reopen()
	Load(t, s)
	if again, err := s.Key(t.Context()); err != nil || !again.Equal(key) {
		t.Errorf("after a restart there is another key, or %v", err)
	}
}

func testPrune(t *testing.T, f Fixture) {
	s := f.Store
	Load(t, s)
	if cut, err := s.Cut(t.Context()); err != nil || cut != (lock.Head{}) {
		t.Fatalf("a new store has the cut %+v, %v", cut, err)
	}
	var line Line
	var heads []lock.Head
	for i := range 300 {
		line.Commit(t, s, 1+i%3, Row("held", 1, 1e9))
		heads = append(heads, line.Head)
	}
	before, err := Drain(t.Context(), s, 0, 100)
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Prune(t.Context(), heads[299]); err == nil {
		t.Fatal("the newest segment can be pruned")
	}
	for _, n := range []int{0, 170, 170, 100, 298} {
		if err := s.Prune(t.Context(), heads[n]); err != nil {
			t.Fatal(err)
		}
		n = max(n, checkCut(t, s, heads, n))
		checkLeft(t, s, before[n+1:])
	}
	s = f.Reopen()
	if snap := Load(t, s); snap.Head != line.Head || len(snap.Leases) != 1 {
		t.Errorf("after a restart the head is %+v, want %+v, with %d leases", snap.Head, line.Head, len(snap.Leases))
	}
	checkCut(t, s, heads, 298)
	checkLeft(t, s, before[299:])
	line.Commit(t, s, 1)
	cancelled, cancel := context.WithCancel(t.Context())
	cancel()
	_ = s.Prune(cancelled, heads[299]) // must not hang
}

// checkCut returns the number of the newest pruned segment.
func checkCut(t *testing.T, s journal.Store, heads []lock.Head, least int) int {
	t.Helper()
	cut, err := s.Cut(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for n := least; n < len(heads); n++ {
		if heads[n] == cut {
			return n
		}
	}
	t.Fatalf("the cut is %+v, want at least %+v", cut, heads[least])
	return 0
}

func checkLeft(t *testing.T, s journal.Store, want []lock.Segment) {
	t.Helper()
	left, err := Drain(t.Context(), s, 0, 100)
	if err != nil {
		t.Fatal(err)
	}
	if len(left) != len(want) {
		t.Fatalf("%d segments are left, want %d", len(left), len(want))
	}
	for i := range left {
		if left[i].First != want[i].First || !bytes.Equal(left[i].Bytes, want[i].Bytes) {
			t.Fatalf("segment %d is not what it was", left[i].First)
		}
	}
}
