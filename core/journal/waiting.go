package journal

import (
	"math"
	"sync/atomic"

	"github.com/octostore/octostore/core/lock"
)

// waiting are the readers that wait for events. A publication wakes them only if it has an
// event that one of them waits for: the keeper waits for thousands of events, and would
// otherwise run at every commit, before its answers leave. No mutex: the writer never waits
// for readers.
type waiting struct {
	first atomic.Uint64                 // no reader waits for an event up to this one, unless it was woken
	woken atomic.Pointer[chan struct{}] // closed when all readers are woken, to look again
}

func (w *waiting) init() {
	w.first.Store(math.MaxUint64)
	next := make(chan struct{})
	w.woken.Store(&next)
}

// forEvent returns a channel that is closed at the latest when an event after the given one
// is published. A reader looks at the head after the call, because the event may have been
// published before it.
func (w *waiting) forEvent(after lock.Seq) <-chan struct{} {
	// The channel comes first: if a wake-up forgets the number below, it closes this channel.
	woken := *w.woken.Load()
	for {
		first := w.first.Load()
		if uint64(after) >= first || w.first.CompareAndSwap(first, uint64(after)) {
			return woken
		}
	}
}

// published wakes the readers if one of them waits for an event up to head, which they
// already see.
func (w *waiting) published(head lock.Seq) {
	if uint64(head) <= w.first.Load() {
		return
	}
	w.first.Store(math.MaxUint64) // who goes on waiting says so again
	next := make(chan struct{})
	close(*w.woken.Swap(&next))
}
