package lock

import (
	"container/list"
	"fmt"
	"slices"
	"time"
)

// waiter is a place in a queue. The request that stands there may change (the same
// attempt asks again) or be absent for a while.
type waiter struct {
	entry   *entry
	order   uint64   // of arrival; its class of the queue is sorted by it
	class   Priority // of the attempt's first request: a later one does not change the place
	request *Acquisition
	since   time.Time

	// state says which of the following is set. Only [Machine.move] changes it.
	state    waiterState
	listener *Command // who listens; nil if absent or out of the queue
	due      timed    // what happens next by itself, see waiterState
	absence  absence  // if absent: its place among the absent
}

// waiterState is the state of a waiter. It determines the meaning of its due.
type waiterState uint8

const (
	// outside: not in the queue, before it joins and after it was granted, refused or
	// gone. Nothing is due.
	outside waiterState = iota
	// listening: it waits, and a free lock may go to it. Nothing is due, but after a
	// refused batch: then the hand-over is tried again.
	listening
	// called: the lock is free, and it has been asked to look again and claim the lock.
	// Due is the end of the time it has for that.
	called
	// late: it was called, and the call was passed on before it answered. Its claim still
	// counts if no waiter before it can have the lock. Nothing is due.
	late
	// absent: it has no listener, but its attempt keeps the place. Due is the end of that.
	absent
)

// String returns the name of a state.
func (s waiterState) String() string {
	return [...]string{outside: "outside", listening: "listening", called: "called", late: "late", absent: "absent"}[s]
}

// moves are the ways from one state to another, and what takes them.
//
//	from       to         because
//	outside    listening  a request joins; a refused batch puts a waiter back
//	listening  listening  a newer request of the attempt takes its place; a retry is due
//	listening  called     it is first in line for a free lock, and has to look again
//	listening  absent     its request leaves, and the attempt keeps the place
//	listening  outside    it is granted the lock, leaves for good, or all are sent away
//	called     listening  it claims; its attempt asks again; the batch that freed the lock is refused
//	called     late       it takes too long, or one before it claims
//	called     absent     its request leaves, and the attempt keeps the place
//	called     outside    it is denied, leaves for good, or all are sent away
//	late       listening  it claims; its attempt asks again; its call is not sent after all
//	late       absent     its request leaves, and the attempt keeps the place
//	late       outside    it is denied, leaves for good, or all are sent away
//	absent     listening  its attempt asks again
//	absent     outside    the time is over, a newcomer needs the place, or all are sent away
var moves = [...][]waiterState{
	outside:   {listening},
	listening: {listening, called, absent, outside},
	called:    {listening, late, absent, outside},
	late:      {listening, absent, outside},
	absent:    {listening, outside},
}

// move is the only place where the state of a waiter changes, with all that goes with it.
func (m *Machine) move(w *waiter, to waiterState) {
	if !slices.Contains(moves[w.state], to) {
		m.badMoves = append(m.badMoves, fmt.Sprintf("a waiter of %s went from %s to %s", w.entry.name, w.state, to))
	}
	m.schedule.cancel(&w.due)
	e := w.entry
	switch w.state {
	case called:
		e.called = nil
	case absent:
		e.absent.Remove(w.absence.here)
		m.absent.Remove(w.absence.all)
		w.absence = absence{}
	}
	w.state = to
	switch to {
	case called:
		e.called = w
		m.schedule.set(&w.due, m.now.Add(callPatience))
	case absent:
		if e.absent == nil {
			e.absent = new(absentees)
		}
		w.absence = absence{here: e.absent.PushBack(w), all: m.absent.PushBack(w)}
		m.schedule.set(&w.due, m.now.Add(grace))
	}
}

// before reports whether w is served before another waiter of its queue.
func (w *waiter) before(other *waiter) bool {
	if w.class != other.class {
		return w.class > other.class
	}
	return w.order < other.order
}

func (w *waiter) attemptID() attemptID {
	return attemptID{account: w.request.Actor.Account, name: w.entry.name, key: w.request.Attempt.Key}
}

// shown is a waiter at a position as others may see it.
func (w *waiter) shown(position int) Waiting {
	place := Waiting{
		Position: position,
		Priority: w.class,
		Account:  w.request.Actor.Account,
		Holder:   w.request.Holder,
		Reason:   w.request.Reason,
		Metadata: w.request.Metadata,
		Since:    w.since,
	}
	if w.state == absent {
		place.KeptUntil = w.due.at
	}
	return place
}

// enter puts a waiter into its queue; remove takes it out. They are the only places
// where the counts of waiters change.
func (m *Machine) enter(w *waiter) {
	if w.entry.queue == nil {
		w.entry.queue = new(queue)
	}
	m.move(w, listening)
	w.entry.queue.insert(w)
	m.waiting++
	m.waitStarts[w.class.class()].Set(w.order, w.since)
	m.add(w.request.Actor.Account, 0, 1)
	if !w.request.Attempt.IsZero() {
		m.queued[w.attemptID()] = w
	}
	m.touch(w.entry)
}

func (m *Machine) remove(w *waiter) {
	m.move(w, outside)
	w.entry.queue.remove(w)
	m.waiting--
	m.waitStarts[w.class.class()].Delete(w.order)
	m.add(w.request.Actor.Account, 0, -1)
	if !w.request.Attempt.IsZero() {
		delete(m.queued, w.attemptID())
	}
	m.touch(w.entry)
}

// absentees are the absent waiters, the longest absent first. They lose their places when
// a listening waiter needs one: otherwise a client that opens and cuts connections could
// fill every queue with absent waiters.
type absentees struct{ list.List }

// absence is where an absent waiter stands in the lists of its lock and of all; of
// one who is there it is zero.
type absence struct{ here, all *list.Element }

// longest returns the waiter that has been absent longest; there must be one.
func (a *absentees) longest() *waiter { return a.Front().Value.(*waiter) }

// count is 0 for an entry that never had any.
func (a *absentees) count() int {
	if a == nil {
		return 0
	}
	return a.Len()
}

// listening reports whether the queue has a waiter that a try must not pass.
func (e *entry) listening() bool { return e.queue.len() > e.absent.count() }
