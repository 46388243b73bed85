package lock

import (
	"container/heap"
	"time"
)

// timed is something that happens at an instant unless it is called off: a lease
// ends, a waiter's patience or grace is over.
type timed struct {
	at     time.Time
	entry  *entry
	waiter *waiter // nil: it is the entry's lease
	order  uint64  // of two at one instant the one planned first comes first
	index  int     // in the schedule from 1; 0: not scheduled
}

// schedule orders what is to come by instant, in a heap. There is no ticker: the
// loop sleeps until the first of it.
type schedule struct {
	items []*timed
	sets  uint64
}

// set plans t for an instant, or moves it there.
func (s *schedule) set(t *timed, at time.Time) {
	s.sets++
	t.at, t.order = at, s.sets
	if t.index > 0 {
		heap.Fix(s, t.index-1)
		return
	}
	heap.Push(s, t)
}

// cancel takes t out, if it is in.
func (s *schedule) cancel(t *timed) {
	if t.index > 0 {
		heap.Remove(s, t.index-1)
	}
}

// first returns the earliest, or nil.
func (s *schedule) first() *timed {
	if len(s.items) == 0 {
		return nil
	}
	return s.items[0]
}

// The methods of heap.Interface.

func (s *schedule) Len() int { return len(s.items) }

func (s *schedule) Less(i, j int) bool {
	a, b := s.items[i], s.items[j]
	if a.at.Equal(b.at) {
		return a.order < b.order
	}
	return a.at.Before(b.at)
}

func (s *schedule) Swap(i, j int) {
	s.items[i], s.items[j] = s.items[j], s.items[i]
	s.items[i].index, s.items[j].index = i+1, j+1
}

func (s *schedule) Push(x any) {
	t := x.(*timed)
	s.items = append(s.items, t)
	t.index = len(s.items)
}

func (s *schedule) Pop() any {
	last := len(s.items) - 1
	t := s.items[last]
	s.items[last] = nil
	s.items = s.items[:last]
	t.index = 0
	return t
}
