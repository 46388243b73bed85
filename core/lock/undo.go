package lock

import "time"

// received takes note that the holder has its lease, and does nothing else.
func (m *Machine) received(c *Command) {
	if e := m.liveLease(c); e != nil {
		m.setHeld(e, e.held.delivered(), nil)
	}
}

// delivered is h once its lease is known to have arrived.
func (h *held) delivered() *held {
	now := h.to(time.Time{})
	now.answers = hasArrived
	return now
}

// undo takes note that an answer with a lease did not reach its client. Another answer
// with the same lease, or what its holder asked for since, means that a client has it or
// may have it (invariant 10): then nothing is undone. A grant with a key is kept for a
// while, for the attempt to come back.
func (m *Machine) undo(c *Command) {
	e := m.entries[c.Name]
	if e == nil {
		return
	}
	m.settle(e)
	lost := delivery{entry: e, token: c.Token}
	m.note(lost)
	if e.held == nil || e.held.token != c.Token {
		return
	}
	m.setHeld(e, lost.after(m.now.Add(grace)), nil)
	if h := e.held; h.undelivered() && h.attempt == nil {
		m.end(e, Undone, &byTime)
	}
}

// delivery is what became known of an answer with a lease: it was lost, or it arrived. The
// answer is older than the batch, and so this is true whether that is accepted or not.
type delivery struct {
	entry   *entry
	token   Token
	arrived bool
	account string // that the answer arrived at
}

// note keeps a delivery for the case that the batch is refused. The lease may be one that the
// batch has ended, which it then has not.
func (m *Machine) note(w delivery) {
	h := w.entry.held
	news := h != nil && h.token == w.token && !(w.arrived && h.answers == hasArrived)
	if news || w.entry.inBatch > 0 {
		m.batch.deliveries = append(m.batch.deliveries, w)
	}
}

// after is the lease once the delivery is known; undoAt is for a lease that no client can
// have then.
func (w delivery) after(undoAt time.Time) *held {
	if w.arrived {
		return w.entry.held.delivered()
	}
	h := w.entry.held
	if h.answers <= 0 {
		return h // it has arrived, or is known to be lost
	}
	if h.answers > 1 {
		undoAt = h.undoAt()
	}
	now := h.to(undoAt)
	now.answers--
	return now
}

// keepDelivery keeps a delivery although its batch was refused, so that the next batch undoes
// the lease again.
func (m *Machine) keepDelivery(w delivery) {
	e := w.entry
	if e.held == nil || e.held.token != w.token || w.arrived && e.held.account != w.account {
		return
	}
	undoAt := m.retryAt
	if e.held.attempt != nil {
		undoAt = m.now.Add(grace)
	}
	m.replace(e, w.after(undoAt))
}
