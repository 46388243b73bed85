package table

import (
	"time"

	"github.com/octostore/octostore/core/lock"
)

// LongestTTL returns the longest ttl of the leases there are, as last committed; 0 where
// there is none. It looks at all of them, some at a time, and does not hold up the loop. A
// lease that is given meanwhile may be missed.
func (t *Table) LongestTTL() (longest time.Duration) {
	for after, more := lock.Name(""), true; more; {
		found, next := t.List(Query{After: after, Limit: scanStep})
		for _, v := range found {
			if v.Lease != nil {
				longest = max(longest, v.Lease.TTL)
			}
		}
		after, more = next, next != ""
	}
	return longest
}
