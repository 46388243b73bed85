package table

import (
	"sync/atomic"
	"time"

	"github.com/octostore/octostore/core/lock"
)

// priorities are all priorities, the first served first.
var priorities = lock.Priorities()

// QueueStats are the waiters of one priority, in all queues.
type QueueStats struct {
	Priority lock.Priority
	Waiters  int           // now, including absent ones that keep a place
	Longest  time.Duration // how long the first of them has waited; 0: none waits
}

// publishedQueue is the published state of one priority.
type publishedQueue struct {
	waiters atomic.Int64
	since   atomic.Int64 // of the first, in nanoseconds since the table was opened
}

// publishQueues shows how many wait with each priority, and since when.
func (t *Table) publishQueues() {
	for i, p := range priorities {
		waiters, since := t.m.Waiters(p)
		q := &t.queues[i]
		if waiters == 0 && q.waiters.Load() == 0 {
			continue // the usual case
		}
		q.waiters.Store(int64(waiters))
		if waiters > 0 {
			q.since.Store(int64(since.Sub(t.opened)))
		}
	}
}

// queueStats reads the numbers from publishQueues. During a publication the two numbers of
// a priority may be from different batches.
func (t *Table) queueStats() (all [lock.PriorityCount]QueueStats) {
	for i, p := range priorities {
		q := &t.queues[i]
		all[i] = QueueStats{Priority: p, Waiters: int(q.waiters.Load())}
		if all[i].Waiters > 0 {
			all[i].Longest = max(0, time.Since(t.opened)-time.Duration(q.since.Load()))
		}
	}
	return all
}
