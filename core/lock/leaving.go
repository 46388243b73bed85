package lock

import (
	"cmp"
	"slices"
)

// LeaveReason says why a request stopped listening.
type LeaveReason int

const (
	stays    LeaveReason = iota // it listens
	WaitOver                    // its wait time has passed; it takes a refusal as the answer
	HungUp                      // its client is gone
	Declined                    // policies said no at its turn
)

// Departure is the word of a request that it does not listen any more.
type Departure struct {
	Command *Command
	Why     LeaveReason
	Cause   error
}

// depart is a request's word that it no longer listens. Departures are stepped
// before everything that arrived with them, so that no waiter known to be gone is
// granted (invariant 6); the caller then lets freed calls pass on with handOver.
func (m *Machine) depart(c *Command, why LeaveReason, cause error) *entry {
	m.batch.steps++
	c.departed = why
	w := c.waiter
	if w == nil {
		return nil // answered already, or not stepped yet
	}
	if why == Declined {
		c.waiter = nil
		m.remove(w)
		m.refuse(c, cause)
		return w.entry
	}
	m.leave(c, why)
	return w.entry
}

// leave ends the listening of a waiting request. Its place is kept for a while if
// it carried a key.
func (m *Machine) leave(c *Command, why LeaveReason) {
	w := c.waiter
	e := w.entry
	position := e.queue.position(w)
	c.waiter, w.listener = nil, nil
	if w.request.Attempt.IsZero() {
		m.remove(w)
	} else {
		m.move(w, absent)
		m.touch(e)
	}
	if why == HungUp {
		queued := m.queueTime(w)
		m.record(Event{
			Kind: Abandoned, Lease: w.request.asLease(e.name), Actor: w.request.Actor, RequestID: w.request.RequestID, TraceID: w.request.TraceID,
			Waited: queued.waited, Priority: queued.class,
		})
		m.refuse(c, ErrGone)
		return
	}
	m.refuseHeld(e, c, position)
}

// drain answers every waiter with [ErrDraining] and refuses later acquires.
func (m *Machine) drain() {
	m.draining = true
	waiting := make([]*entry, 0, len(m.entries))
	for _, e := range m.entries {
		if e.queue.len() > 0 {
			waiting = append(waiting, e)
		}
	}
	slices.SortFunc(waiting, func(a, b *entry) int { return cmp.Compare(a.name, b.name) })
	for _, e := range waiting {
		m.dismiss(e, ErrDraining)
	}
}

// DismissAll answers every waiter with err and removes it. It is the end of the table.
func (m *Machine) DismissAll(err error) {
	for _, e := range m.entries {
		m.dismiss(e, err)
	}
}

// dismiss answers all waiters of a queue with err and removes them.
func (m *Machine) dismiss(e *entry, err error) {
	for _, w := range slices.Collect(e.queue.all()) {
		if w.listener != nil {
			m.refuse(w.listener, err)
			w.listener.waiter = nil
		}
		m.remove(w)
	}
}
