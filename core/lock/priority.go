package lock

import (
	"sync/atomic"
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
const classes = 3

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

// sinces are the instants since which the waiters of one class wait, by their order of
// arrival: that of the first is the start of the longest wait. A waiter that was put back
// has its old place here, too.
type sinces struct {
	btree.Map[uint64, time.Time]
}

// QueueStats are the waiters of one priority, in all queues.
type QueueStats struct {
	Priority Priority
	Waiters  int           // now, the absent ones who keep a place included
	Longest  time.Duration // how long the first of them has waited; 0: none waits
}

// publishedQueue is the state of one class as readers see it.
type publishedQueue struct {
	waiters atomic.Int64
	since   atomic.Int64 // of the first, in nanoseconds since the table was opened
}

// publishQueues shows how many wait with each priority, and since when.
func (t *Table) publishQueues() {
	for i := range t.m.sinces {
		class, q := &t.m.sinces[i], &t.queues[i]
		if class.Len() == 0 && q.waiters.Load() == 0 {
			continue // the usual case
		}
		q.waiters.Store(int64(class.Len()))
		if _, since, ok := class.Min(); ok {
			q.since.Store(int64(since.Sub(t.opened)))
		}
	}
}

// queueStats reads what publishQueues wrote. Beside a publication the two numbers of a
// class may be of different batches.
func (t *Table) queueStats() (all [classes]QueueStats) {
	for i, p := range Priorities() {
		q := &t.queues[i]
		all[i] = QueueStats{Priority: p, Waiters: int(q.waiters.Load())}
		if all[i].Waiters > 0 {
			all[i].Longest = max(0, time.Since(t.opened)-time.Duration(q.since.Load()))
		}
	}
	return all
}
