package table

import (
	"slices"
	"sync/atomic"

	"github.com/octostore/octostore/core/lock"
)

// kinds are the kinds of events, in the order in which they are counted.
var kinds = lock.Kinds()

// eventCounts counts events by kind. One goroutine writes, any reads.
type eventCounts struct{ counts []atomic.Uint64 }

func newEventCounts() eventCounts { return eventCounts{counts: make([]atomic.Uint64, len(kinds))} }

// add counts one event. The kinds of busy servers are the first ones.
func (c eventCounts) add(k lock.Kind) {
	if i := slices.Index(kinds, k); i >= 0 {
		c.counts[i].Add(1)
	}
}

func (c eventCounts) snapshot() []uint64 {
	all := make([]uint64, len(c.counts))
	for i := range c.counts {
		all[i] = c.counts[i].Load()
	}
	return all
}
