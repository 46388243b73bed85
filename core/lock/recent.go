package lock

import "time"

// forgetStep is how many things are forgotten at one look: after a quiet time there may
// be many, and the loop must not stand still for them.
const forgetStep = 64

// recent remembers things for a while and forgets the oldest first: when there are more
// than most, or after keep, though after a quiet time not all at once. Keys and values
// must not be parts of larger strings, which would be kept with them.
type recent[K comparable, V any] struct {
	keep  time.Duration
	most  int
	known map[K]V
	order []memory[K] // oldest first; forgotten early ones stay until their time
}

type memory[K any] struct {
	key   K
	until time.Time
}

func newRecent[K comparable, V any](keep time.Duration, most int) *recent[K, V] {
	return &recent[K, V]{keep: keep, most: most, known: make(map[K]V)}
}

func (r *recent[K, V]) add(now time.Time, k K, v V) {
	r.expire(now)
	r.known[k] = v
	r.order = append(r.order, memory[K]{k, now.Add(r.keep)})
}

func (r *recent[K, V]) get(now time.Time, k K) (V, bool) {
	r.expire(now)
	v, ok := r.known[k]
	return v, ok
}

// takeBack forgets the newest n.
func (r *recent[K, V]) takeBack(n int) {
	keep := len(r.order) - n
	for _, m := range r.order[keep:] {
		delete(r.known, m.key)
	}
	r.order = r.order[:keep]
}

func (r *recent[K, V]) expire(now time.Time) {
	for range min(forgetStep, len(r.order)) {
		if len(r.order) <= r.most && now.Before(r.order[0].until) {
			return
		}
		delete(r.known, r.order[0].key)
		r.order[0] = memory[K]{}
		r.order = r.order[1:]
	}
}
