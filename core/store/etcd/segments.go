package etcd

import (
	"context"
	"fmt"
	"slices"

	clientv3 "go.etcd.io/etcd/client/v3"

	"github.com/octostore/octostore/core/journal"
	"github.com/octostore/octostore/core/lock"
)

// A range of etcd is cheap only from its beginning: asked for the last keys of a range, it
// reads all of it. So a segment before a number is looked for in ranges of numbers that are
// no longer than the segments can be, and over the jumps between two terms each segment
// tells where the one before it ended.
//
// What is cut off may still be there, and not all of it: see [records.Prune]. Nothing of it is
// returned, so what is returned has no gaps.

// Segments returns committed segments; see [journal.Store].
func (r *records) Segments(ctx context.Context, after lock.Seq, events int) ([]lock.Segment, error) {
	found, err := r.segmentsAfter(ctx, after, events)
	if err != nil {
		return nil, fmt.Errorf("read the segments after %d: %w", after, err)
	}
	return found, nil
}

func (r *records) segmentsAfter(ctx context.Context, after lock.Seq, events int) ([]lock.Segment, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	cut, newest, err := r.extent(ctx)
	if after = max(after, cut); err != nil || after >= newest {
		return nil, err
	}
	var page page
	from, to := after+1, newest
	found, more, err := r.scan(ctx, from, to, page.lacks(events))
	if err != nil {
		return nil, err
	}
	if len(found) == 0 || found[0].prev > after {
		// The number is within a segment.
		g, err := r.before(ctx, from)
		if err != nil {
			return nil, err
		}
		if g != nil && g.Last > after {
			page.add(g, events)
		}
	}
	for {
		for i := range found {
			if !page.add(&found[i], events) {
				return page.segments, nil
			}
			from = found[i].First + 1
		}
		if !more || page.events >= events {
			return page.segments, nil
		}
		if found, more, err = r.scan(ctx, from, to, page.lacks(events)); err != nil {
			return nil, err
		}
	}
}

// page are segments to be returned together.
type page struct {
	segments      []lock.Segment
	events, bytes int
	cut           lock.Seq // it has nothing up to this
}

// add adds a segment, or reports that the page ends before it.
func (p *page) add(g *segment, events int) bool {
	if g.Last <= p.cut {
		return false
	}
	if len(p.segments) > 0 && (p.events >= events || p.bytes+len(g.Bytes) > journal.PageBytes) {
		return false
	}
	p.segments = append(p.segments, g.Segment)
	p.events += g.Count
	p.bytes += len(g.Bytes)
	return true
}

// lacks returns how many segments to read next, when that many events are wanted. Each has
// one event or more; they need not fit into the page, but should not be far too many.
func (p *page) lacks(events int) int {
	room := 16
	if p.bytes > 0 {
		room = (journal.PageBytes-p.bytes)*len(p.segments)/p.bytes + 1
	}
	return min(max(events-p.events, 1), max(room, 1), 128)
}

// scan reads up to so many segments that begin from one number to another, in order, and
// reports whether there are more.
func (r *records) scan(ctx context.Context, from, to lock.Seq, most int) ([]segment, bool, error) {
	found, err := r.get(ctx, r.keys.segment(from), clientv3.WithRange(afterKey(r.keys.segment(to))), clientv3.WithLimit(int64(most)))
	if err != nil {
		return nil, false, err
	}
	all, err := r.readSegments(found)
	return all, found.More, err
}

func (r *records) readSegments(found *clientv3.GetResponse) ([]segment, error) {
	all := make([]segment, len(found.Kvs))
	for i, kv := range found.Kvs {
		var err error
		if all[i], err = r.sums.segment(string(kv.Key), kv.Value); err != nil {
			return nil, err
		}
	}
	return all, nil
}

// SegmentsBefore returns committed segments from the end: those that begin before an event,
// the newest first, as many as Segments would return.
func (r *records) SegmentsBefore(ctx context.Context, before lock.Seq, events int) ([]lock.Segment, error) {
	found, err := r.segmentsBefore(ctx, before, events)
	if err != nil {
		return nil, fmt.Errorf("read the segments before %d: %w", before, err)
	}
	return found, nil
}

func (r *records) segmentsBefore(ctx context.Context, before lock.Seq, events int) ([]lock.Segment, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	cut, newest, err := r.extent(ctx)
	if err != nil {
		return nil, err
	}
	page := page{cut: cut}
	g, err := r.before(ctx, min(before, newest+1))
	for err == nil && g != nil && page.add(g, events) {
		var chunk []segment
		if chunk, err = r.window(ctx, g.First, max(64, page.lacks(events))); err != nil {
			return nil, err
		}
		for i := range chunk {
			g = &chunk[i]
			if !page.add(g, events) {
				return page.segments, nil
			}
		}
		if page.events >= events {
			return page.segments, nil
		}
		g, err = r.ending(ctx, g.prev)
	}
	return page.segments, err
}

// window reads the segments that begin in the numbers just before one, the newest first.
func (r *records) window(ctx context.Context, before lock.Seq, numbers int) ([]segment, error) {
	from := before - min(before, lock.Seq(numbers))
	found, err := r.get(ctx, r.keys.segment(from), clientv3.WithRange(r.keys.segment(before)))
	if err != nil {
		return nil, err
	}
	all, err := r.readSegments(found)
	slices.Reverse(all)
	return all, err
}

// before returns the last segment that begins before a number, or nil.
func (r *records) before(ctx context.Context, before lock.Seq) (*segment, error) {
	if g, err := r.near(ctx, before); g != nil || err != nil {
		return g, err
	}
	// There is none in reach: a jump, or the beginning. The next one knows.
	next, _, err := r.scan(ctx, before, 1<<63, 1)
	if err != nil || len(next) == 0 {
		return nil, err
	}
	return r.ending(ctx, next[0].prev)
}

// ending returns the segment with the last event that a number names, or nil if it was
// pruned.
func (r *records) ending(ctx context.Context, last lock.Seq) (*segment, error) {
	if last == 0 {
		return nil, nil
	}
	return r.near(ctx, last+1)
}

// near returns the last segment that begins before a number, if it begins at most as far
// before it as a segment can be long, or nil.
func (r *records) near(ctx context.Context, before lock.Seq) (*segment, error) {
	end := before
	for _, reach := range []lock.Seq{128, 2048, mostSpan} {
		from := before - min(before, reach)
		found, err := r.get(ctx, r.keys.segment(from), clientv3.WithRange(r.keys.segment(end)),
			clientv3.WithSort(clientv3.SortByKey, clientv3.SortDescend), clientv3.WithLimit(1))
		if err != nil {
			return nil, err
		}
		if len(found.Kvs) == 1 {
			g, err := r.sums.segment(string(found.Kvs[0].Key), found.Kvs[0].Value)
			return &g, err
		}
		if end = from; end == 0 {
			break
		}
	}
	return nil, nil
}

// extent returns the numbers of the cut and of the head.
func (r *records) extent(ctx context.Context) (cut, newest lock.Seq, err error) {
	pruned, err := r.Cut(ctx)
	if err != nil {
		return 0, 0, err
	}
	newest, err = r.newestSeq(ctx)
	return pruned.Seq, newest, err
}

// newestSeq returns the number of the head.
func (r *records) newestSeq(ctx context.Context) (lock.Seq, error) {
	if r.loaded.Load() {
		return lock.Seq(r.newest.Load()), nil
	}
	found, err := r.get(ctx, r.keys.head())
	if err != nil || len(found.Kvs) == 0 {
		return 0, err
	}
	h, err := r.sums.head(found.Kvs[0].Value)
	return h.Seq, err
}
