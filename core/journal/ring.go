package journal

import (
	"slices"

	"github.com/octostore/octostore/core/lock"
)

// ring holds the newest segments, about RingEvents events or ringBytes in all. Copies
// share one array: add appends behind the segments that older copies see. A dropped
// segment is garbage once the array is.
type ring struct {
	base     lock.Seq // every event after this one is in segments
	segments []lock.Segment
	events   int
	bytes    int
}

// ringBytes bounds the memory of a ring where records are large.
const ringBytes = 8 << 20

func (r *ring) add(s lock.Segment) {
	r.segments = append(r.segments, s)
	r.events += s.Count
	r.bytes += len(s.Bytes)
	drop := 0
	for ; drop < len(r.segments)-1; drop++ {
		oldest := &r.segments[drop]
		if r.events-oldest.Count < RingEvents && r.bytes <= ringBytes {
			break
		}
		r.events -= oldest.Count
		r.bytes -= len(oldest.Bytes)
		r.base = oldest.Last
	}
	r.segments = r.segments[drop:]
}

// after answers a scan, or returns false if the scan begins before the ring.
func (r *ring) after(after lock.Seq, events int) ([]lock.Segment, bool) {
	if after < r.base {
		return nil, false
	}
	from := r.first(after)
	to, count, bytes := from, 0, 0
	for ; to < len(r.segments); to++ {
		s := &r.segments[to]
		if to > from && (count >= events || bytes+len(s.Bytes) > PageBytes) {
			break
		}
		count += s.Count
		bytes += len(s.Bytes)
	}
	return slices.Clone(r.segments[from:to]), true
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
