// Package memory keeps the lock table and its journal in memory: a real store for tests,
// demonstrations and benchmarks without a disk. It keeps every promise of [journal.Store]
// except the one about power cuts.
package memory

import (
	"context"
	"crypto/ed25519"
	"crypto/rand"
	"fmt"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/octostore/octostore/core/auth"
	"github.com/octostore/octostore/core/journal"
	"github.com/octostore/octostore/core/lock"
)

var (
	_ journal.Store = (*Store)(nil)
	_ auth.Store    = (*Store)(nil)
)

// Store is a store in memory. Create one with [New]; it is safe for use by many goroutines.
// It lives as long as something refers to it: a closed table can be opened again on the
// same store.
type Store struct {
	secret []byte
	key    ed25519.PrivateKey

	mu        sync.Mutex
	head      lock.Head
	cut       lock.Head
	rows      map[lock.Name]lock.Row
	segments  []lock.Segment
	tokens    map[string]auth.Token // by id
	observers map[string]journal.ObserverCursor
}

// New returns an empty store with a secret and a key of its own.
func New() *Store {
	secret, seed := make([]byte, 32), make([]byte, ed25519.SeedSize)
	rand.Read(secret)
	rand.Read(seed)
	return &Store{
		secret: secret, key: ed25519.NewKeyFromSeed(seed),
		rows: make(map[lock.Name]lock.Row), observers: make(map[string]journal.ObserverCursor), tokens: make(map[string]auth.Token),
	}
}

// Load returns the state as of the last commit.
func (s *Store) Load(context.Context) (lock.Snapshot, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	snap := lock.Snapshot{
		Head:   s.head,
		Secret: slices.Clone(s.secret),
		Leases: make([]lock.Loaded, 0, len(s.rows)),
	}
	now := time.Now()
	for _, r := range s.rows {
		snap.Leases = append(snap.Leases, loaded(r, now))
	}
	return snap, nil
}

// loaded returns a row as a restarted process would load it. It copies the metadata: a
// lease that comes out of a store shares nothing with the one that went in.
func loaded(r lock.Row, now time.Time) lock.Loaded {
	l := *r.Lease
	l.Metadata = maps.Clone(l.Metadata)
	l.ExpiresAt = time.Time{}
	return lock.Loaded{Lease: l, Attempt: r.Attempt, Remaining: r.Lease.ExpiresAt.Sub(now)}
}

// Commit applies the batch, or returns [lock.ErrDeposed] if it does not build on
// the head of this store.
func (s *Store) Commit(_ context.Context, b *lock.Batch) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if b.Prev != s.head {
		return lock.ErrDeposed
	}
	for _, r := range b.Rows {
		if r.Lease == nil {
			delete(s.rows, r.Name)
			continue
		}
		s.rows[r.Name] = r
	}
	s.segments = append(s.segments, b.Segment)
	s.head = b.Next
	return nil
}

// Segments returns committed segments; see [journal.Store].
func (s *Store) Segments(ctx context.Context, after lock.Seq, events int) ([]lock.Segment, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	from, _ := slices.BinarySearchFunc(s.segments, after, func(g lock.Segment, after lock.Seq) int {
		if g.Last <= after {
			return -1
		}
		return 1
	})
	to, n, bytes := from, 0, 0
	for ; to < len(s.segments); to++ {
		g := &s.segments[to]
		if to > from && (n >= events || bytes+len(g.Bytes) > journal.PageBytes) {
			break
		}
		n += g.Count
		bytes += len(g.Bytes)
	}
	return slices.Clone(s.segments[from:to]), nil
}

// SegmentsBefore returns committed segments from the end; see journal.backwardReader.
func (s *Store) SegmentsBefore(ctx context.Context, before lock.Seq, events int) (found []lock.Segment, err error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	n, bytes := 0, 0
	for _, g := range slices.Backward(s.segments) {
		if g.First >= before {
			continue
		}
		if len(found) > 0 && (n >= events || bytes+len(g.Bytes) > journal.PageBytes) {
			break
		}
		found = append(found, g)
		n += g.Count
		bytes += len(g.Bytes)
	}
	return found, nil
}

// Key returns the key that signs the journal.
func (s *Store) Key(context.Context) (ed25519.PrivateKey, error) { return s.key, nil }

// Cut returns the argument of the newest Prune.
func (s *Store) Cut(context.Context) (lock.Head, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.cut, nil
}

// Prune deletes the oldest segments; see [journal.Store].
func (s *Store) Prune(_ context.Context, cut lock.Head) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if cut.Seq >= s.head.Seq {
		return fmt.Errorf("prune up to %d, which is not before the newest segment", cut.Seq)
	}
	n := 0
	for n < len(s.segments)-1 && s.segments[n].Last <= cut.Seq {
		n++
	}
	s.segments = slices.Delete(s.segments, 0, n)
	if cut.Seq > s.cut.Seq {
		s.cut = cut
	}
	return nil
}
