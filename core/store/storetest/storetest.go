// Package storetest is the conformance suite of stores. A store's own tests call [Run] and
// add what only that store promises.
package storetest

import (
	"bytes"
	"context"
	"crypto/sha256"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/octostore/octostore/core/journal"
	"github.com/octostore/octostore/core/lock"
)

// Fixture is a store under test.
type Fixture struct {
	// Store is empty and has not been loaded.
	Store journal.Store
	// Reopen stops the store cleanly, starts it again on the same data, and returns it, not
	// loaded yet.
	Reopen func() journal.Store
	// Fill takes all space from the store, or returns it. It is nil if the store cannot be
	// filled.
	Fill func(full bool)
	// Take makes another store the owner of the same data, as another process would, and
	// returns it, not loaded yet. The one before goes on and knows nothing of it. It is nil
	// if a store keeps others out for as long as it lives.
	Take func() journal.Store
	// Lose makes the next write of the newest store get no answer the first time it is sent:
	// it is applied all the same, or it is not. Meanwhile runs before it can be sent again.
	// It is nil if writes cannot get lost.
	Lose func(applied bool, meanwhile func())
	// Hold makes the next write of the newest store get no answer the first time it is sent,
	// and returns what delivers it: much later, or never. It is nil as Lose is.
	Hold func() (deliver func())
}

// Run checks that the stores made by open keep every promise of [journal.Store]. Each call
// of open makes a new store, which is cleaned up with the test.
func Run(t *testing.T, open func(t *testing.T) Fixture) {
	for _, test := range []struct {
		name string
		run  func(*testing.T, Fixture)
	}{
		{"a new store is empty and has a secret", testEmpty},
		{"the secret stays", testSecret},
		{"every field of a lease comes back", testFields},
		{"rows are replaced and forgotten", testRows},
		{"a batch may be large", testLargeBatch},
		{"a batch without rows moves the head", testNoRows},
		{"the head is the last line of the newest segment", testHead},
		{"a batch that builds on another head changes nothing", testDeposed},
		{"a batch that builds on another history changes nothing", testOtherHistory},
		{"of two owners the later one commits", testTwoOwners},
		{"a commit without an answer is finished, applied or not", testUnanswered},
		{"a commit without an answer is not lost when another owner comes", testUnansweredApplied},
		{"a commit that did not arrive is surely not applied when another owner comes", testUnansweredLost},
		{"a copy of a commit that arrives late changes nothing", testLateCopy},
		{"a write of tokens that arrives late changes nothing", testLateTokens},
		{"a lease has all it may have left under another owner", testTakenRemaining},
		{"a commit is finished whatever becomes of its context", testCanceled},
		{"a batch there is no space for changes nothing", testFull},
		{"segments are read by cursor, whole", testSegments},
		{"what is read at a time is bounded by its bytes", testPages},
		{"segments can be read while commits go on", testConcurrentReads},
		{"the signing key stays", testKey},
		{"the cursors of observers stay", testObserverCursors},
		{"what is pruned is gone, and what is left is whole", testPrune},
		{"tokens are kept beside the journal", testTokens},
		{"a pruned token is gone, and the last one stays", testTokensPruned},
		{"a token there is no space for changes nothing", testTokensFull},
		{"a lease has left what it was promised", testRemaining},
		{"a lease that was renewed for less keeps its end", testRemainingBeyondTTL},
		{"an unconfirmed lease has no more left than the time to confirm it", testRemainingUnconfirmed},
		{"a store equals a plain model", testModel},
		{"segments are read over the jumps between two runs", testJumps},
		{"segments are read from the end as from the beginning", testBackward},
	} {
		t.Run(test.name, func(t *testing.T) { test.run(t, open(t)) })
	}
}

// Line makes batches as a table and its journal do, but with short lines. The zero Line
// begins an empty journal.
type Line struct{ Head lock.Head }

// Batch returns the next batch with the given number of events and rows.
func (l *Line) Batch(events int, rows ...lock.Row) *lock.Batch {
	b := &lock.Batch{Prev: l.Head, Rows: rows}
	now := time.Now()
	head := l.Head
	var text bytes.Buffer
	for range events {
		head.Seq++
		line := fmt.Appendf(nil, `{"seq":%d,"kind":"granted","prev":"%x"}`, head.Seq, head.Hash)
		head.Hash = sha256.Sum256(line)
		text.Write(append(line, '\n'))
		b.Events = append(b.Events, lock.Event{Seq: head.Seq, Time: now, Kind: lock.Granted})
	}
	b.Next = head
	b.Segment = lock.Segment{First: l.Head.Seq + 1, Last: head.Seq, Count: events, Time: now, Bytes: text.Bytes()}
	return b
}

// Commit commits the next batch of the line.
func (l *Line) Commit(t testing.TB, s journal.Store, events int, rows ...lock.Row) *lock.Batch {
	t.Helper()
	b := l.Batch(events, rows...)
	if err := s.Commit(t.Context(), b); err != nil {
		t.Fatalf("commit: %v", err)
	}
	l.Head = b.Next
	return b
}

// Load loads the store.
func Load(t testing.TB, s journal.Store) lock.Snapshot {
	t.Helper()
	snap, err := s.Load(t.Context())
	if err != nil {
		t.Fatalf("load: %v", err)
	}
	slices.SortFunc(snap.Leases, func(a, b lock.Loaded) int {
		return strings.Compare(string(a.Lease.Name), string(b.Lease.Name))
	})
	return snap
}

// Row returns the row of a newly granted lease.
func Row(name lock.Name, token lock.Token, ttl time.Duration) lock.Row {
	now := time.Now()
	return lock.Row{Name: name, Lease: &lock.Lease{
		Name: name, Token: token, Account: "ci", Holder: "job-1", TTL: ttl, GrantedAt: now, ExpiresAt: now.Add(ttl),
	}}
}

// Free returns the row of a free name.
func Free(name lock.Name) lock.Row { return lock.Row{Name: name} }

// CheckLeases fails the test unless the snapshot holds exactly the leases of rows, ordered
// by name. Each must have at most the promised time left, and at least what is left of it.
func CheckLeases(t testing.TB, snap lock.Snapshot, rows ...lock.Row) {
	t.Helper()
	var got, want []lock.Loaded
	for _, l := range snap.Leases {
		l.Remaining = 0
		got = append(got, l)
	}
	for _, r := range rows {
		want = append(want, lock.Loaded{Lease: *r.Lease, Attempt: r.Attempt})
	}
	ignore := cmpopts.IgnoreFields(lock.Lease{}, "ExpiresAt")
	if diff := cmp.Diff(want, got, ignore); diff != "" {
		t.Fatalf("leases (-want +got):\n%s", diff)
	}
	for i, l := range snap.Leases {
		checkRemaining(t, rows[i].Lease, l.Remaining)
	}
}

// slack is the largest difference between two clocks that are read one after the other.
const slack = time.Millisecond

func checkRemaining(t testing.TB, l *lock.Lease, got time.Duration) {
	t.Helper()
	if least := time.Until(l.ExpiresAt) - slack; got < least {
		t.Errorf("%s has %s left, less than the promised %s", l.Name, got, least)
	}
	most := max(l.TTL, l.ExpiresAt.Sub(l.GrantedAt))
	if l.ConfirmWithin > 0 {
		most = l.ConfirmWithin
	}
	if got > most {
		t.Errorf("%s has %s left, more than it ever had, %s", l.Name, got, most)
	}
}

// Drain reads all segments after a cursor, in pages of at least events events.
func Drain(ctx context.Context, s journal.Store, after lock.Seq, events int) (all []lock.Segment, err error) {
	for {
		page, err := s.Segments(ctx, after, events)
		if err != nil || len(page) == 0 {
			return all, err
		}
		last := page[len(page)-1].Last
		if last <= after {
			return all, fmt.Errorf("segments after %d end at %d", after, last)
		}
		all, after = append(all, page...), last
	}
}
