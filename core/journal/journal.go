// Package journal keeps what happens to locks as a log: it seals each batch of
// events into a segment of hash-chained lines (see package record), has a [Store] make it durable, and
// hands the same bytes to any number of readers, each at its own pace.
//
// A [Journal] stands between a table.Table and its Store, as a table.Store. The
// table's goroutine writes (Load, Commit, Publish); readers (Head, Scan, Wait) may
// be anywhere. A reader sees nothing before it is published, and a reader that
// lags reads from the store without holding anybody up.
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

// ErrClosed is what readers get once the journal is closed.
var ErrClosed = errors.New("the journal is closed")

// PrunedError is what a reader gets whose next event has been pruned away.
type PrunedError struct {
	Oldest lock.Seq // reading after this one gives everything that is left
}

func (e *PrunedError) Error() string {
	return fmt.Sprintf("what came next has been pruned; the oldest cursor is %s", record.FormatCursor(e.Oldest))
}

// RingEvents is how many of the newest events are kept in memory, unless they are very
// large, so that readers at the tip need no query.
const RingEvents = 4096

// Journal is a log of events in a [Store]. Make one with [New].
type Journal struct {
	store Store

	// The writer's own: one goroutine at a time.
	head      lock.Head
	committed []lock.Segment     // not published yet
	key       ed25519.PrivateKey // signs checkpoints and exports; set by Load
	loaded    time.Time          // when the newest event was that Load found; zero: there was none

	// Readers take no lock, so however many there are the writer never waits for one.
	view atomic.Pointer[view]
	cut  atomic.Pointer[lock.Head] // newest event that is pruned away

	closing sync.Once
	closed  chan struct{}
}

// view is what readers see. It does not change; the next one takes its place.
type view struct {
	head lock.Seq
	ring ring
	next chan struct{} // closed when the next view is there
}

// New returns a journal kept in store. The caller closes the store, after the
// journal.
func New(store Store) *Journal {
	j := &Journal{store: store, closed: make(chan struct{})}
	j.cut.Store(new(lock.Head))
	j.view.Store(&view{next: make(chan struct{})})
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
			j.loaded = newest[i].Time
		}
	}
	j.cut.Store(&cut)
	j.head = s.Head
	j.show(ring{base: s.Head.Seq})
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
	return nil
}

// Publish shows readers what has been committed and wakes those who wait. The
// table calls it once its own views show the change.
func (j *Journal) Publish() {
	if len(j.committed) == 0 {
		return
	}
	recent := j.view.Load().ring
	for _, s := range j.committed {
		recent.add(s)
	}
	j.show(recent)
	clear(j.committed)
	j.committed = j.committed[:0]
}

// show lets readers see up to the head, and wakes those who wait.
func (j *Journal) show(recent ring) {
	last := j.view.Swap(&view{head: j.head.Seq, ring: recent, next: make(chan struct{})})
	close(last.next)
}

// Head returns the sequence number of the newest published event, 0 for none.
func (j *Journal) Head() lock.Seq { return j.view.Load().head }

// Oldest returns the cursor from which everything that is left can be read: the
// newest event that was pruned away, 0 for none.
func (j *Journal) Oldest() lock.Seq { return j.cut.Load().Seq }

// PublicKey returns what checkpoints and exports can be verified with.
func (j *Journal) PublicKey() ed25519.PublicKey { return j.key.Public().(ed25519.PublicKey) }

// Scan returns published segments in order, starting with the one that holds the
// first event after the given one, until they hold at least events events, another
// would bring them over [PageBytes], or the newest is reached; none means there is
// nothing newer yet. The segments are shared: do not change their bytes. A [*PrunedError] means that what comes next is
// gone.
func (j *Journal) Scan(ctx context.Context, after lock.Seq, events int) ([]lock.Segment, error) {
	return j.scan(ctx, after, events, nil)
}

// scan is Scan, except that what it has to read is put into buf, if that is not nil, by
// stores that can.
func (j *Journal) scan(ctx context.Context, after lock.Seq, events int, buf *[]byte) ([]lock.Segment, error) {
	v := j.view.Load()
	if after >= v.head {
		return nil, nil
	}
	found, err := j.read(ctx, v, after, events, buf)
	if err != nil {
		return nil, err
	}
	// The cut is moved before anything is removed, so if it is still behind the
	// reader, nothing was missing from what it read.
	if oldest := j.Oldest(); after < oldest {
		return nil, &PrunedError{Oldest: oldest}
	}
	for i, s := range found {
		if s.First > v.head {
			return found[:i], nil
		}
	}
	return found, nil
}

func (j *Journal) read(ctx context.Context, v *view, after lock.Seq, events int, buf *[]byte) ([]lock.Segment, error) {
	if recent, ok := v.ring.after(after, events); ok {
		return recent, nil
	}
	if store, ok := j.store.(recycler); ok && buf != nil {
		return store.SegmentsInto(ctx, after, events, buf)
	}
	return j.store.Segments(ctx, after, events)
}

// Wait returns nil as soon as there is a published event after the given one,
// ctx's error if it ends first, [ErrClosed] if the journal does.
func (j *Journal) Wait(ctx context.Context, after lock.Seq) error {
	for {
		v := j.view.Load()
		if v.head > after {
			return nil
		}
		select {
		case <-v.next:
		case <-j.closed:
			return ErrClosed
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// Close wakes all readers for good. It does not close the store.
func (j *Journal) Close() error {
	j.closing.Do(func() { close(j.closed) })
	return nil
}
