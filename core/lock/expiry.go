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

// settle lets the lease of e end if its time has come, and hands the lock on.
func (m *Machine) settle(e *entry) {
	if e.held == nil || e.held.deadline().After(m.now) {
		return
	}
	switch l := e.held.lease; {
	case l.ExpiresAt.After(m.now):
		m.end(e, Undone, &byTime)
	case l.ConfirmWithin > 0:
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
	m.record(Event{
		Kind: kind, Lease: h.lease, Actor: by.Origin.Actor, RequestID: by.Origin.RequestID, TraceID: by.Origin.TraceID, Cause: by.Cause,
		Notes: by.Opinion.Notes, Verdicts: by.Opinion.Verdicts, PolicySet: by.Opinion.PolicySet,
	})
	over := EndedLease{Lease: h.lease, Held: h.lease.HeldFor(m.now)}
	if kind == Released {
		m.releases.add(m.now, h.lease.Token, release{account: h.lease.Account, held: over.Held})
		m.batch.ends++
	}
	if h.attempt != nil {
		m.endedAttempts.add(m.now, attemptID{account: h.lease.Account, name: e.name, key: h.attempt.Key}, h.lease.Token)
		m.batch.overs++
	}
	m.setHeld(e, nil)
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
	t := m.schedule.first()
	switch {
	case t == nil:
		return time.Time{}
	case t.at.Before(m.retryAt):
		return m.retryAt
	}
	return t.at
}
