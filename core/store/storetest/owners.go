package storetest

import (
	"errors"
	"testing"
	"time"

	"github.com/octostore/octostore/core/journal"
	"github.com/octostore/octostore/core/lock"
)

// otherHistory returns a line with the same number of events and other hashes.
func otherHistory(of Line) Line {
	of.Head.Hash[0] ^= 1
	return of
}

func testOtherHistory(t *testing.T, f Fixture) {
	Load(t, f.Store)
	var line Line
	held := Row("held", 1, time.Minute)
	line.Commit(t, f.Store, 1, held)
	other := otherHistory(line)
	err := f.Store.Commit(t.Context(), other.Batch(1, Free("held"), Row("new", 2, time.Minute)))
	if !errors.Is(err, lock.ErrDeposed) {
		t.Errorf("commit on another history = %v, want ErrDeposed", err)
	}
	checkJournal(t, f.Reopen(), line, held)
}

// checkJournal loads a store and checks its leases, its head, and all of its segments.
func checkJournal(t *testing.T, s journal.Store, line Line, rows ...lock.Row) {
	t.Helper()
	snap := Load(t, s)
	CheckLeases(t, snap, rows...)
	if snap.Head != line.Head {
		t.Errorf("head = %v, want %v", snap.Head, line.Head)
	}
	checkChain(t, s, line.Head)
	if all, err := Drain(t.Context(), s, line.Head.Seq, 10); err != nil || len(all) > 0 {
		t.Errorf("%d segments behind the head, %v", len(all), err)
	}
}

func deposed(t *testing.T, s journal.Store, b *lock.Batch) {
	t.Helper()
	if err := s.Commit(t.Context(), b); !errors.Is(err, lock.ErrDeposed) {
		t.Errorf("the commit of a former owner = %v, want ErrDeposed", err)
	}
}

func testTwoOwners(t *testing.T, f Fixture) {
	if f.Take == nil {
		t.Log("this store keeps others out")
		return
	}
	first := f.Store
	Load(t, first)
	var line Line
	held := Row("held", 1, time.Minute)
	line.Commit(t, first, 1, held)

	second := f.Take()
	stale := line
	Load(t, second)
	deposed(t, first, stale.Batch(1, Free("held"))) // before the second has written
	next := Row("next", 2, time.Minute)
	line.Commit(t, second, 1, next)
	deposed(t, first, stale.Batch(1, Free("held")))
	deposed(t, first, line.Batch(1, Free("held")))

	third := f.Take()
	checkJournal(t, third, line, held, next)
	line.Commit(t, third, 1, Free("held"))
	deposed(t, second, line.Batch(1, held))
	checkJournal(t, f.Reopen(), line, next)
}

func testUnanswered(t *testing.T, f Fixture) {
	if f.Lose == nil {
		t.Log("no write of this store gets lost")
		return
	}
	Load(t, f.Store)
	var line Line
	var rows []lock.Row
	for i, applied := range []bool{true, false, false, true} {
		f.Lose(applied, func() {})
		rows = append(rows, Row(lock.Name(rune('a'+i)), lock.Token(i+1), time.Minute))
		line.Commit(t, f.Store, 1, rows[i])
	}
	checkChain(t, f.Store, line.Head)
	checkJournal(t, f.Reopen(), line, rows...)
}

// Once with nothing committed by the next owner, once with its head over that of the commit.
func testUnansweredApplied(t *testing.T, f Fixture) {
	if f.Lose == nil || f.Take == nil {
		t.Log("no write of this store gets lost")
		return
	}
	s := f.Store
	Load(t, s)
	var line Line
	var rows []lock.Row
	for _, commits := range []int{0, 1, 3} {
		var next journal.Store
		row := Row(lock.Name(rune('a'+len(rows))), line.Head.Seq+1, time.Minute)
		rows = append(rows, row)
		b := line.Batch(1, row)
		f.Lose(true, func() {
			line.Head = b.Next
			next = f.Take()
			Load(t, next)
			for range commits {
				line.Commit(t, next, 2)
			}
		})
		if err := s.Commit(t.Context(), b); err != nil {
			t.Errorf("the commit was applied, and %d more of the next owner; it says %v", commits, err)
		}
		deposed(t, s, line.Batch(1, Free("a")))
		s = next
	}
	checkJournal(t, f.Reopen(), line, rows...)
}

func testUnansweredLost(t *testing.T, f Fixture) {
	if f.Lose == nil || f.Take == nil {
		t.Log("no write of this store gets lost")
		return
	}
	s := f.Store
	Load(t, s)
	var line Line
	held := Row("held", 1, time.Minute)
	line.Commit(t, s, 1, held)
	for _, commits := range []int{0, 1, 3} {
		var next journal.Store
		b := line.Batch(1, Free("held"))
		f.Lose(false, func() {
			next = f.Take()
			Load(t, next)
			for range commits { // the first has the number of the lost one
				line.Commit(t, next, 2)
			}
		})
		deposed(t, s, b)
		s = next
	}
	checkJournal(t, f.Reopen(), line, held)
}

func testLateCopy(t *testing.T, f Fixture) {
	if f.Hold == nil || f.Take == nil {
		t.Log("no write of this store is late")
		return
	}
	s := f.Store
	Load(t, s)
	var line Line
	deliver := f.Hold()
	held := Row("a/held", 1, time.Minute)
	line.Commit(t, s, 1, held)
	deliver() // at once
	line.Commit(t, s, 1)
	again := f.Hold()
	line.Commit(t, s, 1, Free("a/held"))
	line.Commit(t, s, 1, held)
	again() // after another commit
	deliver()

	late := f.Hold()
	deposed := Row("b/deposed", line.Head.Seq+1, time.Minute)
	line.Commit(t, s, 1, deposed)
	s = f.Take()
	Load(t, s)
	late() // under another owner
	line.Commit(t, s, 1, Free("b/deposed"))
	late()
	deliver()
	checkJournal(t, f.Reopen(), line, held)
}

// A token that was revoked stays revoked, whatever was still on its way.
func testLateTokens(t *testing.T, f Fixture) {
	if f.Hold == nil || f.Take == nil {
		t.Log("no write of this store is late")
		return
	}
	Load(t, f.Store)
	s := tokens(t, f.Store)
	a := token(t, "a", "admin")
	put := f.Hold()
	if err := s.PutTokens(t.Context(), a); err != nil {
		t.Fatal(err)
	}
	touch := f.Hold()
	if err := s.TouchTokens(t.Context(), map[string]time.Time{"a": a.Created.Add(time.Minute)}); err != nil {
		t.Fatal(err)
	}
	a.Revoked, a.Used = a.Created.Add(time.Hour), a.Created.Add(time.Minute)
	revoke := f.Hold()
	if err := s.PutTokens(t.Context(), a); err != nil {
		t.Fatal(err)
	}
	put()
	touch()
	checkTokens(t, s, a)
	if err := s.PruneTokens(t.Context(), []string{"a", "b"}); err != nil {
		t.Fatal(err)
	}

	next := f.Take()
	Load(t, next)
	s = tokens(t, next)
	b := token(t, "b", "admin")
	if err := s.PutTokens(t.Context(), b); err != nil {
		t.Fatal(err)
	}
	if err := s.PruneTokens(t.Context(), []string{"a"}); err != nil {
		t.Fatal(err)
	}
	put()
	touch()
	revoke()
	checkTokens(t, s, b)
	if err := tokens(t, f.Store).PutTokens(t.Context(), a); !errors.Is(err, lock.ErrDeposed) {
		t.Errorf("a former owner writes tokens: %v", err)
	}
	checkTokens(t, s, b)
}

// How long ago a row was written is not known to another owner, so its lease has all that it
// had then: more than its ttl, if it was renewed for less.
func testTakenRemaining(t *testing.T, f Fixture) {
	if f.Take == nil {
		t.Log("this store keeps others out")
		return
	}
	Load(t, f.Store)
	long, plain, unconfirmed := Row("a", 1, time.Hour), Row("b", 2, time.Minute), Row("c", 3, time.Hour)
	renewed := *long.Lease
	renewed.TTL = 10 * time.Second // its end stays
	unconfirmed.Lease.ConfirmWithin = 15 * time.Second
	unconfirmed.Lease.ExpiresAt = time.Now().Add(15 * time.Second)
	var line Line
	line.Commit(t, f.Store, 3, long, plain, unconfirmed)
	line.Commit(t, f.Store, 1, lock.Row{Name: "a", Lease: &renewed})
	for range 2 {
		snap := Load(t, f.Take())
		CheckLeases(t, snap, lock.Row{Name: "a", Lease: &renewed}, plain, unconfirmed)
		for i, least := range []time.Duration{time.Hour - time.Minute, time.Minute, 15 * time.Second} {
			if got := snap.Leases[i].Remaining; got < least {
				t.Errorf("%s has %s left under another owner, want at least %s", snap.Leases[i].Lease.Name, got, least)
			}
		}
	}
}
