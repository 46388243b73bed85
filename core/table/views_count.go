package table

import (
	"strings"

	"github.com/octostore/octostore/core/lock"
)

// heldUnder counts the names with a lease that begin with prefix, of all accounts, and
// looks at no more than most names for that.
func (vs *views) heldUnder(prefix string, most int) (held, looked int) {
	for after, done := lock.Name(""), false; !done && looked < most; {
		var h, n int
		h, n, after, done = vs.countUnder(prefix, after, min(scanStep, most-looked))
		held, looked = held+h, looked+n
	}
	return held, looked
}

// countUnder looks at most names after one.
func (vs *views) countUnder(prefix string, after lock.Name, most int) (held, looked int, last lock.Name, done bool) {
	vs.mu.RLock()
	defer vs.mu.RUnlock()
	last, done = after, true
	vs.order.ascend(max(lock.Name(prefix), after), func(s *lock.Slot) bool {
		name := s.Name()
		switch {
		case name == after && after != "":
			return true
		case !strings.HasPrefix(string(name), prefix):
			return false
		}
		last = name
		looked++
		if s.Held() {
			held++
		}
		done = looked < most
		return done
	})
	return held, looked, last, done
}
