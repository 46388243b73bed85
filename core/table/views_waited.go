package table

import (
	"strings"
	"time"

	"github.com/octostore/octostore/core/lock"
	"github.com/tidwall/btree"
)

// Order is the order of a listing.
type Order int

// Orders. All but [ByName] are of the locks with waiters only.
const (
	ByName    Order = iota
	ByWaiters       // most waiters first
	ByWait          // longest wait first
)

// waitedIndex has the locks with waiters in the orders of listings. A lock that has no waiters,
// and had none before, costs it nothing. The mutex of the views guards it.
type waitedIndex struct {
	byWaiters, byWait *btree.BTreeG[waitedLock] // nil until the first waiter
}

// waitedLock is a lock with waiters.
type waitedLock struct {
	name    lock.Name
	waiters int
	since   time.Time // when the longest wait began
}

func moreWaiters(a, b waitedLock) bool {
	if a.waiters != b.waiters {
		return a.waiters > b.waiters
	}
	return a.name < b.name
}

func longerWait(a, b waitedLock) bool {
	if !a.since.Equal(b.since) {
		return a.since.Before(b.since)
	}
	return a.name < b.name
}

// move keeps the index up to date when the queue of a name changes; nil is an empty one.
func (x *waitedIndex) move(name lock.Name, from, to *viewedQueue) {
	if from == nil && to == nil {
		return // the usual case
	}
	if x.byWaiters == nil {
		x.byWaiters = btree.NewBTreeGOptions(moreWaiters, btree.Options{NoLocks: true})
		x.byWait = btree.NewBTreeGOptions(longerWait, btree.Options{NoLocks: true})
	}
	if from != nil {
		old := waitedLock{name, from.total, from.since}
		x.byWaiters.Delete(old)
		x.byWait.Delete(old)
	}
	if to != nil {
		now := waitedLock{name, to.total, to.since}
		x.byWaiters.Set(now)
		x.byWait.Set(now)
	}
}

// in returns the index in that order; nil if no lock ever had a waiter.
func (x *waitedIndex) in(order Order) *btree.BTreeG[waitedLock] {
	if order == ByWaiters {
		return x.byWaiters
	}
	return x.byWait
}

// listWaited returns up to q.Limit views of locks with waiters, in the order of q. A lock whose
// place changes meanwhile may be left out, and never comes twice.
func (vs *views) listWaited(q Query) (found []lock.View) {
	var last *waitedLock
	listed := map[lock.Name]bool{}
	for done := false; !done; {
		last, done = vs.scanWaited(q, last, listed, &found)
	}
	return found
}

// scanWaited looks at no more than scanStep locks after one.
func (vs *views) scanWaited(q Query, after *waitedLock, listed map[lock.Name]bool, found *[]lock.View) (last *waitedLock, done bool) {
	vs.mu.RLock()
	defer vs.mu.RUnlock()
	index := vs.waited.in(q.Order)
	if index == nil {
		return nil, true
	}
	done = true
	seen := 0
	look := func(w waitedLock) bool {
		if after != nil && w == *after {
			return true
		}
		last = &w
		s := vs.order.get(w.name)
		if !listed[w.name] && strings.HasPrefix(string(w.name), q.Prefix) && q.selects(s) {
			listed[w.name] = true
			*found = append(*found, vs.of(s))
		}
		seen++
		full := len(*found) == q.Limit
		done = seen < scanStep || full
		return !full && seen < scanStep
	}
	if after == nil {
		index.Scan(look)
	} else {
		index.Ascend(*after, look)
	}
	return last, done
}
