package lock

import (
	"iter"
	"slices"
	"time"

	"github.com/tidwall/btree"
)

// Priority is the class of a waiter. The queue of a lock is served class by class, from
// [Front] to [Back], and within a class first come, first served. It never takes a lease
// away from its holder, and a request that does not wait has none. The zero value is
// [Normal]; other values than the three are not allowed.
type Priority int8

// Priorities. The words for them are part of the audit format.
const (
	Front  Priority = 1
	Normal Priority = 0
	Back   Priority = -1
)

// classes is how many priorities there are.
const PriorityCount = 3

// Priorities returns all priorities in the order in which they are served.
func Priorities() []Priority { return []Priority{Front, Normal, Back} }

// String returns front, normal or back.
func (p Priority) String() string {
	switch {
	case p > Normal:
		return "front"
	case p < Normal:
		return "back"
	}
	return "normal"
}

// class is the index of a priority among those of a queue, the first served first.
func (p Priority) class() int { return int(Front - p) }

// waitStarts are the instants since which the waiters of one class wait, by their order of
// arrival: that of the first is the start of the longest wait. A waiter that was put back
// has its old place here, too.
type waitStarts struct {
	btree.Map[uint64, time.Time]
}

// queue holds the waiters of one name, class by class in the order in which they are
// served. A nil queue is empty: it is allocated for the first waiter.
type queue struct {
	lines [PriorityCount]fifo
	shown []Waiting // what firstPage has returned last
}

// len returns how many wait, of all classes.
func (q *queue) len() int {
	if q == nil {
		return 0
	}
	return len(q.lines[0]) + len(q.lines[1]) + len(q.lines[2])
}

// all returns the waiters in the order in which they would be served. The queue must not
// be changed meanwhile.
func (q *queue) all() iter.Seq[*waiter] {
	return func(yield func(*waiter) bool) {
		if q == nil {
			return
		}
		for _, line := range q.lines {
			for _, w := range line {
				if !yield(w) {
					return
				}
			}
		}
	}
}

func (q *queue) insert(w *waiter) {
	line := &q.lines[w.class.class()]
	*line = line.insert(w)
}

func (q *queue) remove(w *waiter) {
	line := &q.lines[w.class.class()]
	*line = line.remove(w)
}

// position is the place of w, from 1, counted as they would be served.
func (q *queue) position(w *waiter) int {
	ahead := 0
	for _, line := range q.lines[:w.class.class()] {
		ahead += len(line)
	}
	return ahead + q.lines[w.class.class()].position(w)
}

// first returns the first waiter a free lock may go to, or nil.
func (q *queue) first() *waiter {
	if q == nil {
		return nil
	}
	for _, line := range q.lines {
		if w := line.first(); w != nil {
			return w
		}
	}
	return nil
}

// longest returns when the longest wait began; zero: there are no waiters. Only the first of
// a class can wait longest.
func (q *queue) longest() (since time.Time) {
	if q == nil {
		return since
	}
	for _, line := range q.lines {
		if len(line) > 0 && (since.IsZero() || line[0].since.Before(since)) {
			since = line[0].since
		}
	}
	return since
}

// page returns up to limit places after the first skip ones, as others may see them.
func (q *queue) page(skip, limit int) []Waiting {
	n := min(q.len()-skip, limit)
	if n <= 0 {
		return nil
	}
	page := make([]Waiting, 0, n)
	ahead := 0
	for _, line := range q.lines {
		from := min(max(skip-ahead, 0), len(line))
		for i, w := range line[from:min(len(line), from+n-len(page))] {
			page = append(page, w.shown(ahead+from+i+1))
		}
		ahead += len(line)
	}
	return page
}

// firstPage is page(0, limit), and the same slice as the last time as long as nothing in it has
// changed: most waiters join behind it.
func (q *queue) firstPage(limit int) []Waiting {
	switch {
	case q == nil:
		return nil
	case !q.showsFirst(limit):
		q.shown = q.page(0, limit)
	}
	return q.shown
}

// showsFirst reports whether what was shown last is the first page.
func (q *queue) showsFirst(limit int) bool {
	if len(q.shown) != min(q.len(), limit) {
		return false
	}
	i := 0
	for w := range q.all() {
		if i == len(q.shown) {
			break
		}
		if now := w.shown(i + 1); !now.equals(&q.shown[i]) {
			return false
		}
		i++
	}
	return true
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
		if w.state == listening {
			return w
		}
	}
	return nil
}

func (m *Machine) queuePage(c *Command) {
	page, total := m.queueOf(c)
	m.answer(c, Reply{Queue: page, Total: total})
}

func (m *Machine) queueOf(c *Command) (page []Waiting, total int) {
	if e := m.entries[c.Name]; e != nil {
		return e.queue.page(c.Skip, c.Limit), e.queue.len()
	}
	return nil, 0
}
