package lock

import (
	"slices"
	"time"
)

// waiter is a place in a queue. The request that stands there may change (the same
// attempt asking again) or be absent for a while.
type waiter struct {
	entry *entry
	order uint64   // of arrival; the queue is sorted by it
	req   *command // who listens; nil: absent, the place is kept until due
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

// queue holds the waiters of one name in the order they came.
type queue []*waiter

func (q queue) find(w *waiter) (int, bool) {
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
func (q queue) insert(w *waiter) queue {
	if len(q) == 0 || q[len(q)-1].order < w.order {
		return append(q, w)
	}
	i, _ := q.find(w)
	return slices.Insert(q, i, w)
}

func (q queue) remove(w *waiter) queue {
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

// position is the place of w, from 1.
func (q queue) position(w *waiter) int {
	i, _ := q.find(w)
	return i + 1
}

// first returns the first waiter a free lock may go to, or nil.
func (q queue) first() *waiter {
	for _, w := range q {
		if w.eligible() {
			return w
		}
	}
	return nil
}

// page returns up to limit places after the first skip ones, as others may see them.
func (q queue) page(skip, limit int) []Waiting {
	q = q[min(skip, len(q)):]
	q = q[:min(limit, len(q))]
	if len(q) == 0 {
		return nil
	}
	page := make([]Waiting, len(q))
	for i, w := range q {
		page[i] = Waiting{
			Position: skip + i + 1,
			Account:  w.ask.Actor.Account,
			Holder:   w.ask.Holder,
			Reason:   w.ask.Reason,
			Metadata: w.ask.Metadata,
			Since:    w.since,
		}
		if w.req == nil {
			page[i].KeptUntil = w.due.at
		}
	}
	return page
}
