package activity

import (
	"cmp"
	"container/heap"
	"slices"
	"time"

	"github.com/octostore/octostore/core/lock"
	"github.com/octostore/octostore/transport/api"
)

// The busiest locks are found by the algorithm Space-Saving: a window of ten minutes counts at
// most namesPerWindow names; a name that is new takes the place of the one with the least
// weight, and begins with that weight, so a lock that is busier than one in namesPerWindow
// always has a place. What it did before it had one is not counted. So all figures are lower
// bounds, exact where fewer names are in use, and a million names take no more memory than a
// thousand.
const (
	window         = 10 * time.Minute
	windows        = 6
	namesPerWindow = 1024
	// A grant that was waited for weighs as much as ten others: where jobs have names of their
	// own, the few locks that several jobs want are those to be seen.
	waitedWeight = 10
)

type busiest struct {
	windows []*counter // oldest first; the last is the present one
	until   time.Time  // the end of the present one
	merged  []busyLock // of the windows, the busiest first; nil: not made yet
}

// busyLock is what one lock did.
type busyLock struct {
	name                    lock.Name
	weight                  uint64
	place                   int // in the heap
	grants, waited, denials int64
	waits                   spans
}

func newBusiest() *busiest {
	return &busiest{windows: []*counter{newCounter()}}
}

func (b *busiest) granted(name []byte, waitedMS int64, waited bool) {
	weight := uint64(1)
	if waited {
		weight = waitedWeight
	}
	l := b.windows[len(b.windows)-1].add(name, weight)
	l.grants++
	if waited {
		l.waited++
		l.waits.observe(waitedMS)
	}
}

func (b *busiest) denied(name []byte) {
	b.windows[len(b.windows)-1].add(name, 1).denials++
}

// turn begins another window if it is time, at the end of a step.
func (b *busiest) turn(now time.Time) {
	b.merged = nil
	if b.until.IsZero() {
		b.until = now.Add(window)
	}
	if now.Before(b.until) {
		return
	}
	b.until = now.Add(window)
	b.windows = append(b.windows, newCounter())
	b.windows = b.windows[max(0, len(b.windows)-windows-1):]
}

// all returns what all locks of all windows did, the busiest first.
func (b *busiest) all() []busyLock {
	if b.merged != nil {
		return b.merged
	}
	of := map[lock.Name]*busyLock{}
	for _, c := range b.windows {
		for _, l := range c.heap {
			sum := of[l.name]
			if sum == nil {
				sum = &busyLock{name: l.name}
				of[l.name] = sum
			}
			sum.grants += l.grants
			sum.waited += l.waited
			sum.denials += l.denials
			sum.waits.add(&l.waits)
		}
	}
	b.merged = make([]busyLock, 0, len(of))
	for _, l := range of {
		b.merged = append(b.merged, *l)
	}
	slices.SortFunc(b.merged, func(x, y busyLock) int {
		return cmp.Or(cmp.Compare(y.load(), x.load()), cmp.Compare(x.name, y.name))
	})
	return b.merged
}

// load is how busy a lock is.
func (l *busyLock) load() int64 { return l.grants + l.denials }

// Busiest returns the locks with the most grants and denials of the last hour, until the end of
// the newest step, at most that many, of those that are visible (nil: all). Where many names are
// in use it returns lower bounds, and may leave out locks that are not among the busiest.
func (r *Recorder) Busiest(most int, visible func(lock.Name) bool) []api.BusyLock {
	found := []api.BusyLock{}
	for _, l := range r.busiestLocks() {
		if len(found) == most {
			break
		}
		if visible != nil && !visible(l.name) {
			continue
		}
		found = append(found, api.BusyLock{
			Name: string(l.name), Grants: l.grants, Waited: l.waited, Denials: l.denials, WaitP99MS: l.waits.quantile(0.99),
		})
	}
	return found
}

// busiestLocks returns the locks as they are now; nothing changes them any more.
func (r *Recorder) busiestLocks() []busyLock {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.busy.all()
}

// counter counts by name, in bounded memory.
type counter struct {
	byName map[lock.Name]*busyLock
	heap   byWeight // the least weight first
}

func newCounter() *counter { return &counter{byName: map[lock.Name]*busyLock{}} }

// add adds to the weight of a name, and returns what is counted for it.
func (c *counter) add(name []byte, weight uint64) *busyLock {
	l := c.byName[lock.Name(name)] // does not allocate
	switch {
	case l != nil:
	case len(c.heap) < namesPerWindow:
		l = &busyLock{name: lock.Name(name)}
		c.byName[l.name] = l
		heap.Push(&c.heap, l)
	default:
		l = c.heap[0]
		delete(c.byName, l.name)
		*l = busyLock{name: lock.Name(name), weight: l.weight, place: l.place}
		c.byName[l.name] = l
	}
	l.weight += weight
	heap.Fix(&c.heap, l.place)
	return l
}

// byWeight is a heap of locks.
type byWeight []*busyLock

func (h byWeight) Len() int           { return len(h) }
func (h byWeight) Less(i, j int) bool { return h[i].weight < h[j].weight }
func (h byWeight) Swap(i, j int) {
	h[i], h[j] = h[j], h[i]
	h[i].place, h[j].place = i, j
}

// Push implements [heap.Interface].
func (h *byWeight) Push(x any) {
	l := x.(*busyLock)
	l.place = len(*h)
	*h = append(*h, l)
}

// Pop implements [heap.Interface].
func (h *byWeight) Pop() any {
	last := len(*h) - 1
	l := (*h)[last]
	*h = (*h)[:last]
	return l
}
