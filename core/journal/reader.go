package journal

import (
	"context"
	"sort"
	"time"

	"github.com/octostore/octostore/core/journal/record"
	"github.com/octostore/octostore/core/lock"
)

// pageEvents is how many events a reader reads at a time, if they fit in [PageBytes]: few
// enough that reading them delays no one.
const pageEvents = 1000

// Reader reads a journal from a cursor on, at its own pace. One goroutine uses it.
type Reader struct {
	j     *Journal
	after lock.Seq
	buf   []byte
}

// From returns a reader of the events after the given one.
func (j *Journal) From(after lock.Seq) *Reader { return &Reader{j: j, after: after} }

// After returns the last event that has been read.
func (r *Reader) After() lock.Seq { return r.after }

// Next returns the next page: segments with the events after [Reader.After]. No segments
// means that there is nothing newer yet. The bytes may be shared, and are valid until the
// next call. Errors: [*PrunedError], [ErrClosed], and those of the store.
func (r *Reader) Next(ctx context.Context) ([]lock.Segment, error) {
	page, err := r.j.scan(ctx, r.after, pageEvents, &r.buf)
	if err != nil || len(page) == 0 {
		return nil, err
	}
	if page[0].First <= r.after {
		page[0] = linesAfter(page[0], r.after)
	}
	r.after = page[len(page)-1].Last
	return page, nil
}

// Wait returns nil as soon as there is something to read.
func (r *Reader) Wait(ctx context.Context) error { return r.j.Wait(ctx, r.after) }

// Knows reports whether a cursor belongs to this journal: it is that of an event in it,
// of the newest pruned event, or the beginning. After a database was replaced by a backup,
// the cursors of later events are unknown, since no sequence number is used twice. A
// [*PrunedError] means that the answer is not known any more.
func (j *Journal) Knows(ctx context.Context, cursor lock.Seq) (bool, error) {
	switch cursor {
	case 0, j.Head():
		return true, nil
	case j.Oldest(), j.Pruned().Seq:
		return true, nil
	}
	page, err := j.Scan(ctx, cursor-1, 1)
	if err != nil || len(page) == 0 {
		return false, err
	}
	for l := range record.Lines(page[0], cursor-1) {
		return l.Seq == cursor, nil
	}
	return false, nil
}

// linesAfter returns the part of a segment after the given event.
func linesAfter(s lock.Segment, after lock.Seq) lock.Segment {
	skipped, bytes := 0, 0
	for l := range record.Lines(s, 0) {
		if l.Seq > after {
			s.First = l.Seq
			break
		}
		skipped++
		bytes += len(l.Bytes) + 1
	}
	s.Count -= skipped
	s.Bytes = s.Bytes[bytes:]
	return s
}

// firstLines returns the first n lines of a segment.
func firstLines(s lock.Segment, n int) lock.Segment {
	bytes := 0
	left := n
	for l := range record.Lines(s, 0) {
		if left == 0 {
			break
		}
		left--
		s.Last = l.Seq
		bytes += len(l.Bytes) + 1
	}
	s.Count = n - left
	s.Bytes = s.Bytes[:bytes]
	return s
}

// Before returns the cursor from which everything recorded at t or later can be read. It
// searches a few segments only, and assumes that times grow. Where a clock was set back
// there may be several such cursors; it returns one of them.
func (j *Journal) Before(ctx context.Context, t time.Time) (lock.Seq, error) {
	oldest, newest := j.Oldest(), j.Head()
	if pruned := j.Pruned().Seq; oldest < pruned { // search the archive only if need be
		page, err := j.Scan(ctx, pruned, 1)
		if err == nil && len(page) > 0 && page[0].Time.Before(t) {
			oldest = pruned
		}
	}
	var failed error
	// Sequence numbers jump, so this looks for a number and not for an event.
	n := sort.Search(int(newest-oldest), func(i int) bool {
		page, err := j.Scan(ctx, oldest+lock.Seq(i), 1)
		if err != nil || len(page) == 0 {
			failed = err
			return true
		}
		return !page[0].Time.Before(t)
	})
	after := oldest + lock.Seq(n)
	if failed != nil || after >= newest {
		return after, failed
	}
	// The segment found ends at t or later; its first lines may be older.
	page, err := j.Scan(ctx, after, 1)
	if err != nil || len(page) == 0 {
		return after, err
	}
	for l := range record.Lines(page[0], after) {
		if string(l.Time) >= t.UTC().Format(record.TimeFormat) {
			break
		}
		after = l.Seq
	}
	return after, nil
}
