package table

import (
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/octostore/octostore/core/lock"
)

// viewedWaiters is the number of waiters that a view shows.
const viewedWaiters = 16

// scanStep is the number of names that are read, published or counted under the mutex at a
// time, so that the time under it does not grow with the number of locks.
const scanStep = 256

// views are the committed states of all names with a lease or a waiter, in order of name.
// The loop writes them after each commit; all goroutines may read them. The leases are those
// of the machine: a lock without waiters costs the views no more than its place in order.
type views struct {
	mu       sync.RWMutex  // held for at most scanStep names; guards the slots, too
	version  atomic.Uint64 // counts publications
	order    nameOrder     // of all names with a lease or a waiter
	queues   map[*lock.Slot]*viewedQueue
	accounts accountIndex
	waited   waitedIndex
}

type viewedQueue struct {
	total int
	first []lock.Waiting
	since time.Time // when the longest wait began
}

// has reports whether the order has a slot.
func (vs *views) has(s *lock.Slot) bool { return s.Held() || vs.queues[s] != nil }

func (vs *views) of(s *lock.Slot) lock.View {
	v := vs.queues[s].view(s.Name())
	v.Lease = s.Lease()
	return v
}

// view is that of a lock with this queue, but for the lease. A nil queue has no waiters.
func (q *viewedQueue) view(name lock.Name) lock.View {
	if q == nil {
		return lock.View{Name: name}
	}
	return lock.View{Name: name, Waiters: q.total, Queue: q.first, WaitingSince: q.since}
}

// publish shows the state of at most scanStep names. Only the loop calls it, and then
// [views.published].
func (vs *views) publish(changed []lock.Change) {
	vs.mu.Lock()
	defer vs.mu.Unlock()
	for i := range changed {
		vs.publishOne(&changed[i])
	}
}

// published tells readers that something was published.
func (vs *views) published() { vs.version.Add(1) }

func (vs *views) publishOne(c *lock.Change) {
	s := c.Slot
	had, held, account := vs.has(s), s.Held(), s.Account()
	c.Publish()
	vs.setQueue(c)
	vs.accounts.move(s, held, account)
	switch has := vs.has(s); {
	case has && !had:
		vs.order.add(s)
	case had && !has:
		vs.order.remove(s.Name())
	}
}

func (vs *views) setQueue(c *lock.Change) {
	old := vs.queues[c.Slot]
	if c.Waiters == 0 {
		if old != nil {
			delete(vs.queues, c.Slot)
			vs.waited.move(c.Name(), old, nil)
		}
		return
	}
	queue := &viewedQueue{total: c.Waiters, first: c.Queue, since: c.WaitingSince}
	if vs.queues == nil {
		vs.queues = map[*lock.Slot]*viewedQueue{}
	}
	vs.queues[c.Slot] = queue
	vs.waited.move(c.Name(), old, queue)
}

func (vs *views) get(name lock.Name) lock.View {
	shown, queue := vs.look(name)
	v := queue.view(name)
	v.Lease = shown.Lease()
	return v
}

func (vs *views) look(name lock.Name) (shown lock.Shown, queue *viewedQueue) {
	vs.mu.RLock()
	defer vs.mu.RUnlock()
	if s := vs.order.get(name); s != nil {
		shown, queue = s.Shown(), vs.queues[s]
	}
	return shown, queue
}

// list returns up to q.Limit views in order of name, and the last name if there may
// be more.
func (vs *views) list(q Query) (found []lock.View, next lock.Name) {
	after := q.After
	for {
		last, done := vs.scan(q, after, &found)
		if len(found) > q.Limit {
			found = found[:q.Limit]
			return found, found[q.Limit-1].Name
		}
		if done {
			return found, ""
		}
		after = last
	}
}

// scan looks at no more than scanStep names after one, appends what q selects, and
// stops at one more than q.Limit.
func (vs *views) scan(q Query, after lock.Name, found *[]lock.View) (last lock.Name, done bool) {
	vs.mu.RLock()
	defer vs.mu.RUnlock()
	done = true
	seen := 0
	vs.order.ascend(max(lock.Name(q.Prefix), after), func(s *lock.Slot) bool {
		name := s.Name()
		if name <= after && after != "" {
			return true
		}
		if !strings.HasPrefix(string(name), q.Prefix) {
			return false
		}
		last = name
		if q.selects(s) {
			*found = append(*found, vs.of(s))
		}
		seen++
		done = seen < scanStep && len(*found) <= q.Limit
		return done
	})
	return last, done
}

func (q Query) selects(s *lock.Slot) bool {
	if q.Account != "" && s.Account() != q.Account {
		return false
	}
	return q.Visible == nil || q.Visible(s.Name())
}

// longestTTL returns the longest ttl of all leases.
func (vs *views) longestTTL() (longest time.Duration) {
	for after, done := lock.Name(""), false; !done; {
		var some time.Duration
		some, after, done = vs.longestOfSome(after)
		longest = max(longest, some)
	}
	return longest
}

// longestOfSome looks at scanStep names from one on.
func (vs *views) longestOfSome(from lock.Name) (longest time.Duration, last lock.Name, done bool) {
	vs.mu.RLock()
	defer vs.mu.RUnlock()
	seen := 0
	vs.order.ascend(from, func(s *lock.Slot) bool {
		longest, last = max(longest, s.TTL()), s.Name()
		seen++
		return seen < scanStep
	})
	return longest, last, seen < scanStep
}
