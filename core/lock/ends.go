package lock

import "time"

// leaseEnd is the end of a lease in the schedule.
type leaseEnd struct {
	at    time.Duration // since the start of the schedule
	order uint64        // of two at one instant the one planned first comes first
	entry *entry
}

func (a *leaseEnd) before(b *leaseEnd) bool {
	if a.at != b.at {
		return a.at < b.at
	}
	return a.order < b.order
}

const (
	endsFanOut = 4   // children of an end: flatter than two, and one cache line or two
	endsChunk  = 128 // ends that are allocated at a time
)

// leaseEnds is a heap of the ends of leases. It grows and shrinks in pieces, so that no step
// takes long and nothing is kept in advance. Each entry knows its place.
type leaseEnds struct {
	chunks []*[endsChunk]leaseEnd
	n      int
}

func (h *leaseEnds) at(i int) *leaseEnd { return &h.chunks[i/endsChunk][i%endsChunk] }

// put writes an end to a place.
func (h *leaseEnds) put(i int, end leaseEnd) {
	*h.at(i) = end
	end.entry.place = int32(i + 1)
}

// set plans an end, or moves it if the entry has one.
func (h *leaseEnds) set(end leaseEnd) {
	i := int(end.entry.place) - 1
	if i < 0 {
		i = h.n
		if h.n++; i == len(h.chunks)*endsChunk {
			h.chunks = append(h.chunks, new([endsChunk]leaseEnd))
		}
	}
	h.settle(i, end)
}

// remove takes out the end at a place. The last one takes the place.
func (h *leaseEnds) remove(i int) {
	h.at(i).entry.place = 0
	h.n--
	last := *h.at(h.n)
	*h.at(h.n) = leaseEnd{}
	if i != h.n {
		h.settle(i, last)
	}
	// One empty piece stays: else many would come and go where a number is crossed.
	if spare := len(h.chunks) - 1; spare > 0 && h.n <= (spare-1)*endsChunk {
		h.chunks[spare] = nil
		h.chunks = h.chunks[:spare]
	}
}

// settle puts an end where it belongs, from a place that is free.
func (h *leaseEnds) settle(i int, end leaseEnd) {
	for i > 0 {
		parent := (i - 1) / endsFanOut
		if !end.before(h.at(parent)) {
			break
		}
		h.put(i, *h.at(parent))
		i = parent
	}
	for {
		child := h.earliestChild(i)
		if child == 0 || !h.at(child).before(&end) {
			break
		}
		h.put(i, *h.at(child))
		i = child
	}
	h.put(i, end)
}

// earliestChild returns the place of the child that comes first, or 0 if there is none.
func (h *leaseEnds) earliestChild(i int) int {
	from := i*endsFanOut + 1
	if from >= h.n {
		return 0
	}
	first := from
	for child := from + 1; child < min(from+endsFanOut, h.n); child++ {
		if h.at(child).before(h.at(first)) {
			first = child
		}
	}
	return first
}

// has reports whether the lease of e is to end at an instant.
func (s *schedule) has(e *entry, at time.Time) bool {
	i := int(e.place) - 1
	return i >= 0 && i < s.ends.n && s.ends.at(i).entry == e && s.ends.at(i).at == at.Sub(s.start)
}
