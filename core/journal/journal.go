// Package journal keeps the audit log: it seals each batch of events into a segment of
// hash-chained lines (package record), has a [Store] make the segment durable, and gives
// the same bytes to any number of readers, each at its own pace.
//
// A [Journal] stands between a table.Table and its store. The goroutine of the table
// writes (Load, Commit, Publish); any goroutine may read (Head, Scan, Wait). Readers see
// only published events. A slow reader reads from the store and delays no one else.
//
// A [Keeper] signs checkpoints and prunes the oldest segments; an [Export] is a part of
// the journal on its way to an auditor.
package journal

import (
	"context"
	"crypto/ed25519"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"github.com/octostore/octostore/core/journal/record"
	"github.com/octostore/octostore/core/lock"
)

// ErrClosed is returned to readers once the journal is closed.
var ErrClosed = errors.New("the journal is closed")

// PrunedError is returned to a reader whose next event has been pruned.
type PrunedError struct {
	Oldest lock.Seq // cursor from which everything that is left can be read
}

func (e *PrunedError) Error() string {
	return fmt.Sprintf("what came next has been pruned; the oldest cursor is %s", record.FormatCursor(e.Oldest))
}

// RingEvents is how many of the newest events are kept in memory, fewer if they are very
// large. Readers of recent events need no query then.
const RingEvents = 4096

// Journal is a log of events in a [Store]. Make one with [New].
type Journal struct {
	store Store

	// Used by the writer only, one goroutine at a time.
	head         lock.Head
	committed    []lock.Segment     // not published yet
	checkpoint   Mark               // the newest that is committed
	key          ed25519.PrivateKey // signs checkpoints and exports; set by Load
	newestAtLoad time.Time          // time of the newest event at Load; zero: there was none

	// Readers take no mutex, so the writer never waits for them.
	view   atomic.Pointer[view]
	pruned atomic.Pointer[lock.Head] // the newest event that was pruned from the store

	archive atomic.Pointer[Archive] // nil: there is none
	begins  atomic.Pointer[Mark]    // the oldest record, as last seen; nil: not seen yet

	waiting waiting

	found found // results of State that are expensive

	closing sync.Once
	closed  chan struct{}
}

// view is the state that readers see. It is immutable; the next one replaces it.
type view struct {
	head lock.Seq
	// checkpoint is the newest one since Load; the zero Mark: none was made.
	checkpoint Mark
	ring       ring
}

// New returns a journal kept in store. The caller closes the store, after the
// journal.
func New(store Store) *Journal {
	j := &Journal{store: store, closed: make(chan struct{})}
	j.pruned.Store(new(lock.Head))
	j.view.Store(new(view))
	j.waiting.init()
	return j
}

// Load returns the store's snapshot. Part of table.Store.
func (j *Journal) Load(ctx context.Context) (lock.Snapshot, error) {
	s, err := j.store.Load(ctx)
	if err != nil {
		return lock.Snapshot{}, err
	}
	if j.key, err = j.store.Key(ctx); err != nil {
		return lock.Snapshot{}, err
	}
	cut, err := j.store.Cut(ctx)
	if err != nil {
		return lock.Snapshot{}, err
	}
	if s.Head.Seq > 0 {
		newest, err := j.store.Segments(ctx, s.Head.Seq-1, 1)
		if err != nil {
			return lock.Snapshot{}, err
		}
		for i := range newest {
			j.newestAtLoad = newest[i].Time
		}
	}
	j.pruned.Store(&cut)
	j.head = s.Head
	j.publishView(ring{base: s.Head.Seq})
	return s, nil
}

// Commit seals the batch and has the store make it durable, with the errors of
// table.Store. Readers do not see it before [Journal.Publish]. Part of table.Store.
func (j *Journal) Commit(ctx context.Context, b *lock.Batch) error {
	b.Prev = j.head
	record.Seal(b, j.key)
	if err := j.store.Commit(ctx, b); err != nil {
		return err
	}
	j.head = b.Next
	j.committed = append(j.committed, b.Segment)
	for i := range b.Events {
		if e := &b.Events[i]; e.Kind == lock.Checkpoint {
			j.checkpoint = Mark{Seq: e.Seq, Time: e.Time}
		}
	}
	return nil
}

// Publish shows readers the committed events and wakes waiting readers. The table calls
// it once its own views show the change.
func (j *Journal) Publish() {
	if len(j.committed) == 0 {
		return
	}
	recent := j.view.Load().ring
	for _, s := range j.committed {
		recent.add(s)
	}
	j.publishView(recent)
	clear(j.committed)
	j.committed = j.committed[:0]
}

// publishView shows readers the events up to the head, and wakes those that wait for one of
// them.
func (j *Journal) publishView(recent ring) {
	j.view.Store(&view{head: j.head.Seq, checkpoint: j.checkpoint, ring: recent})
	j.waiting.published(j.head.Seq)
}

// Head returns the sequence number of the newest published event, 0 for none.
func (j *Journal) Head() lock.Seq { return j.view.Load().head }

// PublicKey returns the key that verifies checkpoints and exports.
func (j *Journal) PublicKey() ed25519.PublicKey { return j.key.Public().(ed25519.PublicKey) }

// Scan returns published segments in order, starting with the one that holds the
// first event after the given one. It stops when they have at least events events, when
// one more would exceed [PageBytes], or at the newest event. No segments means that
// there is nothing newer yet. The segments are shared: do not change their bytes. A
// [*PrunedError] means that the next event has been pruned.
func (j *Journal) Scan(ctx context.Context, after lock.Seq, events int) ([]lock.Segment, error) {
	return j.scan(ctx, after, events, nil)
}

// scan is Scan, but a store that can reads into buf, unless that is nil.
func (j *Journal) scan(ctx context.Context, after lock.Seq, events int, buf *[]byte) ([]lock.Segment, error) {
	v := j.view.Load()
	if after >= v.head {
		return nil, nil
	}
	if after < j.Pruned().Seq {
		return j.scanPruned(ctx, after, events)
	}
	found, err := j.read(ctx, v, after, events, buf)
	if err != nil {
		return nil, err
	}
	// Pruning moves the mark before it removes anything. If the mark is still behind the
	// reader now, the read was complete.
	if after < j.Pruned().Seq {
		return j.scanPruned(ctx, after, events)
	}
	for i, s := range found {
		if s.First > v.head {
			return found[:i], nil
		}
	}
	return found, nil
}

// scanPruned is scan for events that are not in the store any more. Records get into the
// archive before they are pruned.
func (j *Journal) scanPruned(ctx context.Context, after lock.Seq, events int) ([]lock.Segment, error) {
	found, err := j.archived(ctx, after, events)
	if err == nil && len(found) == 0 {
		err = &PrunedError{Oldest: j.Oldest()}
	}
	return found, err
}

func (j *Journal) read(ctx context.Context, v *view, after lock.Seq, events int, buf *[]byte) ([]lock.Segment, error) {
	if recent, ok := v.ring.after(after, events); ok {
		return recent, nil
	}
	if store, ok := j.store.(bufferReader); ok && buf != nil {
		return store.SegmentsInto(ctx, after, events, buf)
	}
	return j.store.Segments(ctx, after, events)
}

// Wait returns nil as soon as there is a published event after the given one, ctx's
// error if ctx ends first, or [ErrClosed] if the journal is closed first.
func (j *Journal) Wait(ctx context.Context, after lock.Seq) error {
	for j.Head() <= after {
		woken := j.waiting.forEvent(after)
		if j.Head() > after {
			break
		}
		select {
		case <-woken:
		case <-j.closed:
			return ErrClosed
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	return nil
}

// Close ends the waiting of all readers. It does not close the store.
func (j *Journal) Close() error {
	j.closing.Do(func() { close(j.closed) })
	return nil
}
