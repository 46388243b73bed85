// Package journal keeps what happens to locks as a log: it seals each batch of
// events into a segment of hash-chained lines, has a [Store] make it durable, and
// hands the same bytes to any number of readers, each at its own pace.
//
// A [Journal] stands between a lock.Table and its Store, as a lock.Store. The
// table's goroutine writes (Load, Commit, Publish); readers (Head, Scan, Wait) may
// be anywhere. A reader sees nothing before it is published, and a reader that
// lags reads from the store without holding anybody up.
//
// # The chain
//
// Each event is one line: a JSON object without insignificant space, its members
// in fixed order, ended by a newline. Its last member, "prev", is the SHA-256 of
// the line before (without the newline) in unpadded base64url; the first line of
// a journal has the empty string there. Whoever has the lines can check them with
// nothing else at hand.
package journal

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"

	"github.com/octostore/octostore/core/lock"
)

// ErrClosed is what readers get once the journal is closed.
var ErrClosed = errors.New("the journal is closed")

// RingEvents is how many of the newest events are kept in memory, so that readers
// at the tip need no query.
const RingEvents = 4096

// Journal is a log of events in a [Store]. Make one with [New].
type Journal struct {
	store Store

	// The writer's own: one goroutine at a time.
	head      lock.Head
	committed []lock.Segment // not published yet

	published atomic.Uint64

	mu     sync.Mutex // held for moments only
	ring   ring
	wake   chan struct{} // closed to wake readers; nil while nobody waits
	closed bool
}

// New returns a journal kept in store. The caller closes the store, after the
// journal.
func New(store Store) *Journal { return &Journal{store: store} }

// Load returns the store's snapshot. Part of lock.Store.
func (j *Journal) Load(ctx context.Context) (lock.Snapshot, error) {
	s, err := j.store.Load(ctx)
	if err != nil {
		return lock.Snapshot{}, err
	}
	j.head = s.Head
	j.published.Store(uint64(s.Head.Seq))
	j.mu.Lock()
	j.ring.reset(s.Head.Seq)
	j.mu.Unlock()
	return s, nil
}

// Commit seals the batch and has the store make it durable, with the errors of
// lock.Store. Readers do not see it before [Journal.Publish]. Part of lock.Store.
func (j *Journal) Commit(ctx context.Context, b *lock.Batch) error {
	b.Prev = j.head
	Seal(b)
	if err := j.store.Commit(ctx, b); err != nil {
		return err
	}
	j.head = b.Next
	j.committed = append(j.committed, b.Segment)
	return nil
}

// Publish shows readers what has been committed and wakes those who wait. The
// table calls it once its own views show the change.
func (j *Journal) Publish() {
	if len(j.committed) == 0 {
		return
	}
	j.mu.Lock()
	for _, s := range j.committed {
		j.ring.add(s)
	}
	j.published.Store(uint64(j.head.Seq))
	j.wakeReaders()
	j.mu.Unlock()
	clear(j.committed)
	j.committed = j.committed[:0]
}

// wakeReaders needs mu.
func (j *Journal) wakeReaders() {
	if j.wake != nil {
		close(j.wake)
		j.wake = nil
	}
}

// Head returns the sequence number of the newest published event, 0 for none.
func (j *Journal) Head() lock.Seq { return lock.Seq(j.published.Load()) }

// Scan returns published segments in order, starting with the one that holds the
// first event after the given one, until they hold at least events events or the
// newest is reached; none means there is nothing newer yet. The segments are
// shared: do not change their bytes.
func (j *Journal) Scan(ctx context.Context, after lock.Seq, events int) ([]lock.Segment, error) {
	head := j.Head()
	if after >= head {
		return nil, nil
	}
	j.mu.Lock()
	recent, ok := j.ring.after(after, events)
	j.mu.Unlock()
	if ok {
		return recent, nil
	}
	stored, err := j.store.Segments(ctx, after, events)
	if err != nil {
		return nil, err
	}
	for i, s := range stored {
		if s.First > head {
			return stored[:i], nil
		}
	}
	return stored, nil
}

// Wait returns nil as soon as there is a published event after the given one,
// ctx's error if it ends first, [ErrClosed] if the journal does.
func (j *Journal) Wait(ctx context.Context, after lock.Seq) error {
	for {
		j.mu.Lock()
		if j.Head() > after {
			j.mu.Unlock()
			return nil
		}
		if j.closed {
			j.mu.Unlock()
			return ErrClosed
		}
		if j.wake == nil {
			j.wake = make(chan struct{})
		}
		wake := j.wake
		j.mu.Unlock()

		select {
		case <-wake:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// Close wakes all readers for good. It does not close the store.
func (j *Journal) Close() error {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.closed = true
	j.wakeReaders()
	return nil
}

// ring holds the newest segments, about RingEvents events in all.
type ring struct {
	base     lock.Seq // everything after this one is in segments
	segments []lock.Segment
	events   int
}

func (r *ring) reset(head lock.Seq) { *r = ring{base: head} }

func (r *ring) add(s lock.Segment) {
	r.segments = append(r.segments, s)
	r.events += s.Count
	drop := 0
	for r.events-r.segments[drop].Count >= RingEvents {
		r.events -= r.segments[drop].Count
		r.base = r.segments[drop].Last
		drop++
	}
	if drop > 0 {
		clear(r.segments[:drop]) // let the bytes go
		r.segments = r.segments[drop:]
	}
}

// after answers a scan, or false if it has to go further back than the ring.
func (r *ring) after(after lock.Seq, events int) ([]lock.Segment, bool) {
	if after < r.base {
		return nil, false
	}
	var found []lock.Segment
	count := 0
	for i := r.first(after); i < len(r.segments) && (count == 0 || count < events); i++ {
		found = append(found, r.segments[i])
		count += r.segments[i].Count
	}
	return found, true
}

// first is the index of the segment that holds the first event after the given one.
func (r *ring) first(after lock.Seq) int {
	lo, hi := 0, len(r.segments)
	for lo < hi {
		mid := int(uint(lo+hi) >> 1)
		if r.segments[mid].Last > after {
			hi = mid
		} else {
			lo = mid + 1
		}
	}
	return lo
}
