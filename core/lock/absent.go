package lock

import "container/list"

// absentees are waiters who are not there, the longest absent first. Their places are
// kept only as long as nobody who is there needs the room: else a client that opens
// and cuts connections could fill every queue with places nobody stands in.
type absentees struct{ list.List }

// absence is where an absent waiter stands in the lists of its lock and of all; of
// one who is there it is zero.
type absence struct{ here, all *list.Element }

// longest returns who has been absent for longest; there must be somebody.
func (a *absentees) longest() *waiter { return a.Front().Value.(*waiter) }

// count is 0 for an entry that never had any.
func (a *absentees) count() int {
	if a == nil {
		return 0
	}
	return a.Len()
}

// listening reports whether anybody is there who must not be passed.
func (e *entry) listening() bool { return e.queue.len() > e.absent.count() }

// away keeps the place of a waiter who does not listen any more for a while.
func (m *Machine) away(w *waiter) {
	e := w.entry
	if e.absent == nil {
		e.absent = new(absentees)
	}
	w.absence = absence{here: e.absent.PushBack(w), all: m.absent.PushBack(w)}
	m.schedule.set(&w.due, m.now.Add(grace))
}

// back ends the absence of a waiter, if it is absent.
func (m *Machine) back(w *waiter) {
	if w.absence.all == nil {
		return
	}
	w.entry.absent.Remove(w.absence.here)
	m.absent.Remove(w.absence.all)
	w.absence = absence{}
}

// room is how many places have to be given up for one more waiter.
type room struct{ here, all int }

// room returns what one more waiter of e takes, and whether enough of those who
// would have to go are absent.
func (m *Machine) room(e *entry) (need room, ok bool) {
	need = room{
		here: max(0, e.queue.len()+1-m.rules.MaxWaitersPerLock),
		all:  max(0, m.waiting+1-m.rules.MaxWaiters),
	}
	return need, need.here <= e.absent.count() && need.all <= m.absent.count()
}

// makeRoom takes the places of the longest absent away: of this lock as many as its
// own limit asks for, then of any. They are not put back if the batch is refused,
// for the newcomer then stays.
func (m *Machine) makeRoom(e *entry, need room) {
	for range need.here {
		m.remove(e.absent.longest())
	}
	for range need.all - need.here {
		m.remove(m.absent.longest())
	}
}
