package journal

import "github.com/octostore/octostore/core/lock"

// ring holds the newest segments, about RingEvents events in all. Copies share what is
// in them: a segment is added behind what older copies can see, and one that is dropped
// is let go with the array it lies in.
type ring struct {
	base     lock.Seq // everything after this one is in segments
	segments []lock.Segment
	events   int
}

func (r *ring) add(s lock.Segment) {
	r.segments = append(r.segments, s)
	r.events += s.Count
	drop := 0
	for r.events-r.segments[drop].Count >= RingEvents {
		r.events -= r.segments[drop].Count
		r.base = r.segments[drop].Last
		drop++
	}
	r.segments = r.segments[drop:]
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
