package journal

import (
	"context"
	"sort"
	"time"

	"github.com/octostore/octostore/core/journal/record"
	"github.com/octostore/octostore/core/lock"
)

// pageEvents is how many events a reader takes at a time, if they are not more than
// [PageBytes]: few enough that reading them holds nobody up.
const pageEvents = 1000

// Reader reads a journal from one place on, at its own pace. It is used by one
// goroutine.
type Reader struct {
	j     *Journal
	after lock.Seq
	buf   []byte
}

// From returns a reader of what comes after the given event.
func (j *Journal) From(after lock.Seq) *Reader { return &Reader{j: j, after: after} }

// After returns the newest event that has been read.
func (r *Reader) After() lock.Seq { return r.after }

// Next returns the next page: segments whose lines all come after what was read
// before. None means that there is nothing newer yet. The bytes may be shared, and are good until the next
// call. Errors:
// [*PrunedError], [ErrClosed], and those of the store.
func (r *Reader) Next(ctx context.Context) ([]lock.Segment, error) {
	page, err := r.j.scan(ctx, r.after, pageEvents, &r.buf)
	if err != nil || len(page) == 0 {
		return nil, err
	}
	if page[0].First <= r.after {
		page[0] = tail(page[0], r.after)
	}
	r.after = page[len(page)-1].Last
	return page, nil
}

// Wait returns nil as soon as there is something to read.
func (r *Reader) Wait(ctx context.Context) error { return r.j.Wait(ctx, r.after) }

// Knows reports whether a cursor is of this journal: of an event that is there, the
// newest that is not there any more, or the beginning. A database that was replaced by
// a backup does not know what happened after the backup, for numbers are not given
// twice. A [*PrunedError] means that it cannot tell.
func (j *Journal) Knows(ctx context.Context, cursor lock.Seq) (bool, error) {
	switch cursor {
	case 0, j.Head():
		return true, nil
	case j.Oldest():
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

// tail is what is in a segment after the given event.
func tail(s lock.Segment, after lock.Seq) lock.Segment {
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

// head is the beginning of a segment: its first n lines.
func head(s lock.Segment, n int) lock.Segment {
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

// Before returns the cursor from which everything recorded at t or later can be read.
// It looks only at a few segments, as if time had never gone back; where a clock was
// set back, t may be found at more than one place, and the cursor is that of any.
func (j *Journal) Before(ctx context.Context, t time.Time) (lock.Seq, error) {
	oldest, newest := j.Oldest(), j.Head()
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
