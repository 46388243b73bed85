package lock

import (
	"iter"
	"slices"
	"time"
)

// waiter is a place in a queue. The request that stands there may change (the same
// attempt asking again) or be absent for a while.
type waiter struct {
	entry *entry
	order uint64   // of arrival; its class of the queue is sorted by it
	class Priority // of the attempt's first request: a later one does not change the place
	req   *Command // who listens; nil: absent, the place is kept until due
	ask   *Acquisition
	since time.Time
	// thinking: it has been called and its policies have not answered yet. It may be
	// so after its call was passed on.
	thinking bool
	due      timed // absent: end of its grace. Called: end of our patience
	absence  absence
}

// eligible reports whether a free lock may go to w now.
func (w *waiter) eligible() bool { return w.req != nil && !w.thinking }

// before reports whether w is served before another waiter of its queue.
func (w *waiter) before(other *waiter) bool {
	if w.class != other.class {
		return w.class > other.class
	}
	return w.order < other.order
}

// queue holds the waiters of one name, class by class in the order in which they are
// served. A nil queue is empty: it is allocated for the first waiter.
type queue [PriorityCount]fifo

// len returns how many wait, of all classes.
func (q *queue) len() int {
	if q == nil {
		return 0
	}
	return len(q[0]) + len(q[1]) + len(q[2])
}

// all returns the waiters in the order in which they would be served. The queue must not
// be changed meanwhile.
func (q *queue) all() iter.Seq[*waiter] {
	return func(yield func(*waiter) bool) {
		if q == nil {
			return
		}
		for _, line := range q {
			for _, w := range line {
				if !yield(w) {
					return
				}
			}
		}
	}
}

func (q *queue) insert(w *waiter) {
	line := &q[w.class.class()]
	*line = line.insert(w)
}

func (q *queue) remove(w *waiter) {
	line := &q[w.class.class()]
	*line = line.remove(w)
}

// position is the place of w, from 1, counted as they would be served.
func (q *queue) position(w *waiter) int {
	ahead := 0
	for _, line := range q[:w.class.class()] {
		ahead += len(line)
	}
	return ahead + q[w.class.class()].position(w)
}

// first returns the first waiter a free lock may go to, or nil.
func (q *queue) first() *waiter {
	if q == nil {
		return nil
	}
	for _, line := range q {
		if w := line.first(); w != nil {
			return w
		}
	}
	return nil
}

// page returns up to limit places after the first skip ones, as others may see them.
func (q *queue) page(skip, limit int) []Waiting {
	n := min(q.len()-skip, limit)
	if n <= 0 {
		return nil
	}
	page := make([]Waiting, 0, n)
	ahead := 0
	for _, line := range q {
		from := min(max(skip-ahead, 0), len(line))
		for i, w := range line[from:min(len(line), from+n-len(page))] {
			page = append(page, w.shown(ahead+from+i+1))
		}
		ahead += len(line)
	}
	return page
}

// shown is a waiter at a position as others may see it.
func (w *waiter) shown(position int) Waiting {
	place := Waiting{
		Position: position,
		Priority: w.class,
		Account:  w.ask.Actor.Account,
		Holder:   w.ask.Holder,
		Reason:   w.ask.Reason,
		Metadata: w.ask.Metadata,
		Since:    w.since,
	}
	if w.req == nil {
		place.KeptUntil = w.due.at
	}
	return place
}

// fifo holds the waiters of one class in the order they came.
type fifo []*waiter

func (q fifo) find(w *waiter) (int, bool) {
	return slices.BinarySearchFunc(q, w.order, func(x *waiter, order uint64) int {
		switch {
		case x.order < order:
			return -1
		case x.order > order:
			return 1
		}
		return 0
	})
}

// insert puts w where its order says: at the end, or back where it was.
func (q fifo) insert(w *waiter) fifo {
	if len(q) == 0 || q[len(q)-1].order < w.order {
		return append(q, w)
	}
	i, _ := q.find(w)
	return slices.Insert(q, i, w)
}

func (q fifo) remove(w *waiter) fifo {
	i, ok := q.find(w)
	switch {
	case !ok:
		return q
	case i == 0:
		q[0] = nil
		return q[1:] // the usual case, and cheap however long the queue is
	}
	return slices.Delete(q, i, i+1)
}

// position is the place of w in its class, from 1.
func (q fifo) position(w *waiter) int {
	i, _ := q.find(w)
	return i + 1
}

// first returns the first waiter of the class a free lock may go to, or nil.
func (q fifo) first() *waiter {
	for _, w := range q {
		if w.eligible() {
			return w
		}
	}
	return nil
}
