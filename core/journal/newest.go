package journal

import (
	"context"
	"errors"
	"slices"
	"strconv"

	"github.com/octostore/octostore/core/journal/record"
	"github.com/octostore/octostore/core/lock"
)

// NewestSearched is how many records a search from the end looks at, about: it stops after
// the page in which it gets there.
const NewestSearched = 200_000

// errForwardOnly is the error of a store that cannot be read from the end.
var errForwardOnly = errors.New("this store cannot be read from its end")

// String returns the query in the form of a URL query, for people.
func (q *Query) String() string {
	filter := q.Filter.String()
	switch {
	case q.Newest == 0:
		return filter
	case filter == "":
		return "last=" + strconv.Itoa(q.Newest)
	}
	return "last=" + strconv.Itoa(q.Newest) + "&" + filter
}

// Seek moves the beginning of an export of the newest records to the first of them. It reads
// from the end, down to After, and stops early when it has looked at [NewestSearched]
// records: the work is bounded however few of them match. Call it before Opening. Errors:
// those of [Reader.Next].
func (e *Export) Seek(ctx context.Context) error {
	end, err := e.end(ctx)
	if err != nil {
		return err
	}
	found, after := 0, end
	e.incomplete, err = e.j.searchBack(ctx, end, e.q.After, NewestSearched, func(l *record.Line) bool {
		e.searched++
		if e.q.Filter.Selects(l) {
			found++
			after = l.Seq - 1
		}
		return found == e.q.Newest
	})
	if err != nil {
		return err
	}
	e.q.After, e.reader.after = after, after
	e.q.Limit = int64(found) // pages may have records that were committed since; 0: there are none to read
	return nil
}

// Searched returns how many records [Export.Seek] has looked at.
func (e *Export) Searched() int64 { return e.searched }

// Incomplete reports whether [Export.Seek] stopped early: older records may match.
func (e *Export) Incomplete() bool { return e.incomplete }

// end returns the newest event that the export may have.
func (e *Export) end(ctx context.Context) (lock.Seq, error) {
	if e.until == "" {
		return e.upTo, nil
	}
	before, err := e.j.Before(ctx, e.q.Until)
	return min(e.upTo, before), err
}

// searchBack calls found with the records up to end and after oldest, the newest first, until
// it returns true. stopped means that it gave up before that, after about most records.
func (j *Journal) searchBack(
	ctx context.Context, end, oldest lock.Seq, most int, found func(*record.Line) bool,
) (stopped bool, err error) {
	oldest = max(oldest, j.Oldest())
	for before, looked := end+1, 0; before > oldest+1; {
		if looked >= most {
			return true, nil
		}
		page, err := j.segmentsBefore(ctx, before)
		if err == nil && len(page) == 0 {
			page, err = j.archivedBefore(ctx, before)
		}
		if err != nil || len(page) == 0 {
			return false, err
		}
		for _, s := range page {
			before = s.First
			for _, l := range slices.Backward(slices.Collect(record.Lines(s, oldest))) {
				if l.Seq > end {
					continue
				}
				looked++
				if found(&l) {
					return false, nil
				}
			}
		}
	}
	return false, nil
}

// archivedBefore returns a page of records before an event that were pruned from the store,
// the newest first.
func (j *Journal) archivedBefore(ctx context.Context, before lock.Seq) ([]lock.Segment, error) {
	a := j.Archive()
	if a == nil || j.Pruned().Seq == 0 {
		return nil, nil
	}
	return a.SegmentsBefore(ctx, before, pageEvents)
}

// segmentsBefore returns a page of published segments that begin before an event, the newest
// first.
func (j *Journal) segmentsBefore(ctx context.Context, before lock.Seq) ([]lock.Segment, error) {
	v := j.view.Load()
	if recent := v.ring.before(before); len(recent) > 0 {
		return recent, nil
	}
	store, ok := j.store.(backwardReader)
	if !ok {
		return nil, errForwardOnly
	}
	return store.SegmentsBefore(ctx, min(before, v.head+1), pageEvents)
}

// before returns the segments that begin before an event, the newest first.
func (r *ring) before(before lock.Seq) []lock.Segment {
	n := r.first(before - 1)
	for n < len(r.segments) && r.segments[n].First < before {
		n++
	}
	recent := slices.Clone(r.segments[:n])
	slices.Reverse(recent)
	return recent
}
