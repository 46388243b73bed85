package table

import (
	"strings"
	"sync"

	"github.com/octostore/octostore/core/lock"
	"github.com/tidwall/btree"
)

// accountIndex has the names each account holds. The first call of heldBy builds it. The
// mutex of the views guards it.
type accountIndex struct {
	names map[string]*btree.Set[lock.Name] // no account without a name; nil: it was not needed yet
	// upTo is the last name the build has reached, in order of name. The index has no later
	// names until the build reaches them.
	upTo     lock.Name
	complete bool

	building sync.Mutex // held during the build; never by the loop
}

// has reports whether the build has reached a name.
func (x *accountIndex) has(name lock.Name) bool {
	return x.complete || x.names != nil && name <= x.upTo
}

// move keeps the index up to date when the lease of a name changes.
func (x *accountIndex) move(name lock.Name, from, to *lock.Lease) {
	if from == to || !x.has(name) {
		return
	}
	if from != nil {
		names := x.names[from.Account]
		if names.Delete(name); names.Len() == 0 {
			delete(x.names, from.Account)
		}
	}
	if to != nil {
		x.add(to.Account, name)
	}
}

func (x *accountIndex) add(account string, name lock.Name) {
	names := x.names[account]
	if names == nil {
		names = new(btree.Set[lock.Name])
		x.names[account] = names
	}
	names.Insert(name)
}

// heldBy counts the locks an account holds whose names begin with prefix.
func (vs *views) heldBy(account, prefix string) (n int) {
	vs.indexAccounts()
	if prefix == "" {
		return vs.heldInAll(account)
	}
	for after, done := lock.Name(""), false; !done; {
		var some int
		some, after, done = vs.countSome(account, prefix, after)
		n += some
	}
	return n
}

func (vs *views) heldInAll(account string) int {
	vs.mu.RLock()
	defer vs.mu.RUnlock()
	if names := vs.accounts.names[account]; names != nil {
		return names.Len()
	}
	return 0
}

// countSome counts at most scanStep names after one.
func (vs *views) countSome(account, prefix string, after lock.Name) (n int, last lock.Name, done bool) {
	vs.mu.RLock()
	defer vs.mu.RUnlock()
	names := vs.accounts.names[account]
	if names == nil {
		return 0, after, true
	}
	last, done = after, true
	names.Ascend(max(lock.Name(prefix), after), func(name lock.Name) bool {
		switch {
		case name == after && after != "":
			return true
		case !strings.HasPrefix(string(name), prefix):
			return false
		}
		last = name
		n++
		done = n < scanStep
		return done
	})
	return n, last, done
}

// indexAccounts builds the index, if that has not been done.
func (vs *views) indexAccounts() {
	vs.mu.RLock()
	complete := vs.accounts.complete
	vs.mu.RUnlock()
	if complete {
		return
	}
	vs.accounts.building.Lock()
	defer vs.accounts.building.Unlock()
	for !vs.indexSome() {
	}
}

// indexSome adds at most scanStep names, and reports whether these were the last.
func (vs *views) indexSome() bool {
	vs.mu.Lock()
	defer vs.mu.Unlock()
	x := &vs.accounts
	if x.complete {
		return true
	}
	if x.names == nil {
		x.names = map[string]*btree.Set[lock.Name]{}
	}
	seen, after := 0, x.upTo
	vs.m.Ascend(after, func(name lock.Name, v view) bool {
		if name == after && after != "" {
			return true
		}
		x.upTo = name
		if v.lease != nil {
			x.add(v.lease.Account, name)
		}
		seen++
		return seen < scanStep
	})
	x.complete = seen < scanStep
	return x.complete
}
