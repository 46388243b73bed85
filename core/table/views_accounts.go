package table

import (
	"strings"
	"sync"

	"github.com/octostore/octostore/core/lock"
)

// accountIndex has the locks each account holds. The first call of heldBy builds it. The
// mutex of the views guards it.
type accountIndex struct {
	names map[string]*nameOrder // no account without a name; nil: it was not needed yet
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

// move keeps the index up to date after a lock was published, which an account held before
// if it was held.
func (x *accountIndex) move(s *lock.Slot, held bool, account string) {
	if held == s.Held() && account == s.Account() || !x.has(s.Name()) {
		return
	}
	if held {
		names := x.names[account]
		if names.remove(s.Name()); names.len() == 0 {
			delete(x.names, account)
		}
	}
	if s.Held() {
		x.add(s)
	}
}

func (x *accountIndex) add(s *lock.Slot) {
	names := x.names[s.Account()]
	if names == nil {
		names = new(nameOrder)
		x.names[s.Account()] = names
	}
	names.add(s)
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
	return vs.accounts.names[account].len()
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
	names.ascend(max(lock.Name(prefix), after), func(s *lock.Slot) bool {
		name := s.Name()
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
		x.names = map[string]*nameOrder{}
	}
	seen, after := 0, x.upTo
	vs.order.ascend(after, func(s *lock.Slot) bool {
		name := s.Name()
		if name == after && after != "" {
			return true
		}
		x.upTo = name
		if s.Held() {
			x.add(s)
		}
		seen++
		return seen < scanStep
	})
	x.complete = seen < scanStep
	return x.complete
}
