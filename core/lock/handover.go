package lock

import "time"

// handOver gives a free lock to the first listening waiter, or calls that waiter.
func (m *Machine) handOver(e *entry) {
	if e.held != nil || e.called != nil {
		return
	}
	w := e.queue.first()
	if w == nil {
		return
	}
	if !w.listener.Rechecks || !m.recheck {
		m.grantWaiter(w, w.request.Opinion)
		return
	}
	m.call(w)
}

func (m *Machine) grantWaiter(w *waiter, said Opinion) {
	m.remove(w)
	w.listener.waiter = nil
	m.batch.granted = append(m.batch.granted, w)
	queued := m.queueTime(w)
	lease := m.grant(w.entry, w.request, queued, said)
	m.batch.answers = append(m.batch.answers, answer{
		to: w.listener, waiter: w, reply: Reply{Lease: lease, Waited: queued.waited, Undoable: true},
	})
}

// queueTime holds the recorded facts of a wait in the queue; zero: the request did not wait.
type queueTime struct {
	waited time.Duration
	class  Priority
}

func (m *Machine) queueTime(w *waiter) queueTime { return queueTime{m.now.Sub(w.since), w.class} }

// grant begins a lease (invariant 1: only on a free name).
func (m *Machine) grant(e *entry, a *Acquisition, queued queueTime, said Opinion) *Lease {
	lease := &Lease{
		Name:          e.name,
		Token:         m.seq + 1,
		Account:       a.Actor.Account,
		Holder:        a.Holder,
		Reason:        a.Reason,
		Metadata:      a.Metadata,
		TTL:           a.TTL,
		ConfirmWithin: min(a.ConfirmWithin, a.TTL), // policies may have cut the ttl
		GrantedAt:     m.now,
		ExpiresAt:     m.now.Add(a.TTL),
	}
	if lease.ConfirmWithin > 0 {
		lease.ExpiresAt = m.now.Add(lease.ConfirmWithin)
	}
	m.record(Event{
		Kind: Granted, Lease: lease, Actor: a.Actor, RequestID: a.RequestID, TraceID: a.TraceID,
		Waited: queued.waited, Priority: queued.class, Notes: said.Notes, Verdicts: said.Verdicts,
		PolicySet: said.PolicySet, SetAtGrant: said.SetAtGrant,
	})
	h := m.newHeld(lease, a.Attempt)
	h.answers = 1
	m.setHeld(e, h, lease)
	return lease
}

// call tells a waiter that its turn has come: its policies are asked again, and then it
// claims the lock or leaves.
func (m *Machine) call(w *waiter) {
	m.move(w, called)
	turn := &Turn{Waited: m.now.Sub(w.since), Queue: w.entry.queue.len()}
	m.batch.answers = append(m.batch.answers, answer{to: w.listener, waiter: w, reply: Reply{Turn: turn}})
	m.touch(w.entry)
}

// claim is the yes of a called waiter. It also counts after the call was passed on,
// provided no waiter before it can have the lock. Otherwise two waiters with slow
// policies could be called alternately for ever.
func (m *Machine) claim(c *Command) {
	w := c.Called.waiter
	if w == nil || w.state != called && w.state != late {
		return
	}
	e := w.entry
	m.settle(e)
	m.move(w, listening)
	if e.called != nil && w.before(e.called) {
		m.passOn(e.called)
	}
	if m.canHave(w) {
		m.grantWaiter(w, c.Opinion)
		return
	}
	m.handOver(e)
}

// passOn ends the call of a waiter. It goes on thinking, and what it then claims counts
// like any late claim.
func (m *Machine) passOn(w *waiter) {
	m.move(w, late)
	m.touch(w.entry)
}

// canHave reports whether the lock is free and w is its first listening waiter.
func (m *Machine) canHave(w *waiter) bool {
	e := w.entry
	return e.held == nil && e.called == nil && e.queue.first() == w
}
