package lock

import (
	"container/heap"
	"time"
)

// timed is something that happens to a waiter at an instant unless it is called off: its
// patience or grace is over.
type timed struct {
	at     time.Time
	entry  *entry
	waiter *waiter
	order  uint64 // of two at one instant the one planned first comes first
	index  int    // in the schedule from 1; 0: not scheduled
}

// schedule orders what is to come by instant: of waiters in a heap, and the ends of leases
// in another, which is compact. There is no ticker: the loop sleeps until the first of it.
type schedule struct {
	start time.Time
	items []*timed // of waiters
	ends  leaseEnds
	sets  uint64
}

// len returns how much is planned.
func (s *schedule) len() int { return len(s.items) + s.ends.n }

// setEnd plans the end of a lease, or moves it.
func (s *schedule) setEnd(e *entry, at time.Time) {
	s.sets++
	s.ends.set(leaseEnd{at: at.Sub(s.start), order: s.sets, entry: e})
}

// cancelEnd takes the end of a lease out, if it is in.
func (s *schedule) cancelEnd(e *entry) {
	if e.place > 0 {
		s.ends.remove(int(e.place) - 1)
	}
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

// planned is something that is to happen.
type planned struct {
	at     time.Time
	entry  *entry
	waiter *waiter // nil: it is the end of the entry's lease
}

// first returns the earliest; ok is false if there is nothing.
func (s *schedule) first() (first planned, ok bool) {
	switch {
	case s.len() == 0:
		return planned{}, false
	case s.ends.n > 0 && (len(s.items) == 0 || s.endsFirst()):
		e := s.ends.at(0).entry
		return planned{at: e.held.deadline(), entry: e}, true
	}
	t := s.items[0]
	return planned{at: t.at, entry: t.entry, waiter: t.waiter}, true
}

// endsFirst reports whether a lease ends before something happens to a waiter.
func (s *schedule) endsFirst() bool {
	end, t := s.ends.at(0), s.items[0]
	if at := t.at.Sub(s.start); end.at != at {
		return end.at < at
	}
	return end.order < t.order
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

// settle lets the lease of e end if its time has come, and hands the lock on.
func (m *Machine) settle(e *entry) {
	if e.held == nil || e.held.deadline().After(m.now) {
		return
	}
	switch h := e.held; {
	case h.expires.After(m.now):
		m.end(e, Undone, &byTime)
	case h.confirmWithin() > 0:
		m.end(e, Expired, &byUnconfirmed)
	default:
		m.end(e, Expired, &byTime)
	}
}

// The commands that end a lease when its time is over. They have no origin; only the end
// of a lease that was not confirmed has a cause.
var (
	byTime        Command
	byUnconfirmed = Command{Cause: "not confirmed: the lease was not renewed in the time its holder gave itself for that"}
)

// end ends the lease of e, as a command wants it or by itself, and hands the lock on
// in the same batch.
func (m *Machine) end(e *entry, kind Kind, by *Command) EndedLease {
	over := m.endOnly(e, kind, by)
	m.handOver(e)
	return over
}

// endOnly ends the lease of e and leaves the lock free: the caller gives it away in the
// same batch.
func (m *Machine) endOnly(e *entry, kind Kind, by *Command) EndedLease {
	h := e.held
	lease := h.asLease(e.name)
	m.record(Event{
		Kind: kind, Lease: lease, Actor: by.Origin.Actor, RequestID: by.Origin.RequestID, TraceID: by.Origin.TraceID, Cause: by.Cause,
		Notes: by.Opinion.Notes, Verdicts: by.Opinion.Verdicts, PolicySet: by.Opinion.PolicySet,
	})
	over := EndedLease{Lease: lease, Held: lease.HeldFor(m.now)}
	if kind == Released {
		m.releases.add(m.now, h.token, release{account: h.account, held: over.Held})
		m.batch.ends++
	}
	if h.attempt != nil {
		m.endedAttempts.add(m.now, attemptID{account: h.account, name: e.name, key: h.attempt.Key}, h.token)
		m.batch.overs++
	}
	m.setHeld(e, nil, nil)
	return over
}

// waiterDue does what is due for a waiter, see waiterState.
func (m *Machine) waiterDue(w *waiter) {
	switch w.state {
	case absent:
		m.remove(w)
		return
	case called:
		m.passOn(w)
	default: // a retry after a refused batch
		m.move(w, listening)
	}
	m.handOver(w.entry)
}

// NextDeadline is the instant of the next deadline, or the zero time.
func (m *Machine) NextDeadline() time.Time {
	next, ok := m.schedule.first()
	switch {
	case !ok:
		return time.Time{}
	case next.at.Before(m.retryAt):
		return m.retryAt
	}
	return next.at
}
