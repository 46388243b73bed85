package table

import (
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/octostore/octostore/core/lock"
	"github.com/tidwall/btree"
)

// viewedWaiters is the number of waiters that a view shows.
const viewedWaiters = 16

// scanStep is the number of names that are read, published or counted under the mutex at a
// time, so that the time under it does not grow with the number of locks.
const scanStep = 256

// views are the committed states of all names with a lease or a waiter, in order of name.
// The loop writes them after each commit; all goroutines may read them.
type views struct {
	mu       sync.RWMutex  // held for at most scanStep names
	version  atomic.Uint64 // counts publications
	m        btree.Map[lock.Name, view]
	accounts accountIndex
	waited   waitedIndex
}

type view struct {
	lease *lock.Lease
	queue *viewedQueue // nil: it has no waiters
}

type viewedQueue struct {
	total int
	first []lock.Waiting
	since time.Time // when the longest wait began
}

// viewOf is the short form of a view.
func viewOf(v lock.View) view {
	short := view{lease: v.Lease}
	if v.Waiters > 0 {
		short.queue = &viewedQueue{total: v.Waiters, first: v.Queue, since: v.WaitingSince}
	}
	return short
}

func (v view) of(name lock.Name) lock.View {
	out := lock.View{Name: name, Lease: v.lease}
	if v.queue != nil {
		out.Waiters, out.Queue, out.WaitingSince = v.queue.total, v.queue.first, v.queue.since
	}
	return out
}

// publish shows the state of some names. Only the loop calls it.
func (vs *views) publish(changed []lock.View) {
	for len(changed) > scanStep {
		vs.publishSome(changed[:scanStep])
		changed = changed[scanStep:]
	}
	vs.publishSome(changed)
	vs.version.Add(1)
}

func (vs *views) publishSome(changed []lock.View) {
	vs.mu.Lock()
	defer vs.mu.Unlock()
	for _, now := range changed {
		if now.Lease == nil && now.Waiters == 0 {
			old, _ := vs.m.Delete(now.Name)
			vs.accounts.move(now.Name, old.lease, nil)
			vs.waited.move(now.Name, old.queue, nil)
			continue
		}
		short := viewOf(now)
		old, _ := vs.m.Set(now.Name, short)
		vs.accounts.move(now.Name, old.lease, now.Lease)
		vs.waited.move(now.Name, old.queue, short.queue)
	}
}

func (vs *views) get(name lock.Name) lock.View {
	vs.mu.RLock()
	v, _ := vs.m.Get(name)
	vs.mu.RUnlock()
	return v.of(name)
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
	vs.m.Ascend(max(lock.Name(q.Prefix), after), func(name lock.Name, v view) bool {
		if name <= after && after != "" {
			return true
		}
		if !strings.HasPrefix(string(name), q.Prefix) {
			return false
		}
		last = name
		if q.selects(name, v) {
			*found = append(*found, v.of(name))
		}
		seen++
		done = seen < scanStep && len(*found) <= q.Limit
		return done
	})
	return last, done
}

func (q Query) selects(name lock.Name, v view) bool {
	if q.Account != "" && (v.lease == nil || v.lease.Account != q.Account) {
		return false
	}
	return q.Visible == nil || q.Visible(name)
}
