package lock

import "time"

// settle lets the lease of e end if its time has come, and hands the lock on.
func (m *Machine) settle(e *entry) {
	if e.held == nil || e.held.deadline().After(m.now) {
		return
	}
	switch l := e.held.lease; {
	case l.ExpiresAt.After(m.now):
		m.end(e, Undone, &nobody)
	case l.ConfirmWithin > 0:
		m.end(e, Expired, &unconfirmed)
	default:
		m.end(e, Expired, &nobody)
	}
}

// What time itself does is caused by nobody. Only the end of a lease that was not
// confirmed in time says why.
var (
	nobody      Command
	unconfirmed = Command{Cause: "not confirmed: the lease was not renewed in the time its holder gave itself for that"}
)

// end ends the lease of e, as a command wants it or by itself, and hands the lock on
// in the same batch.
func (m *Machine) end(e *entry, kind Kind, by *Command) Ended {
	over := m.endOnly(e, kind, by)
	m.handOver(e)
	return over
}

// endOnly leaves the lock free, for whoever is to have it in this very batch.
func (m *Machine) endOnly(e *entry, kind Kind, by *Command) Ended {
	h := e.held
	m.record(Event{
		Kind: kind, Lease: h.lease, Actor: by.Origin.Actor, RequestID: by.Origin.RequestID, TraceID: by.Origin.TraceID, Cause: by.Cause,
		Notes: by.Opinion.Notes, Verdicts: by.Opinion.Verdicts, PolicySet: by.Opinion.PolicySet,
	})
	over := Ended{Lease: h.lease, Held: h.lease.HeldFor(m.now)}
	if kind == Released {
		m.released.add(m.now, h.lease.Token, release{account: h.lease.Account, held: over.Held})
		m.batch.ends++
	}
	if h.attempt != nil {
		m.over.add(m.now, attemptID{account: h.lease.Account, name: e.name, key: h.attempt.Key}, struct{}{})
		m.batch.overs++
	}
	m.setHeld(e, nil)
	return over
}

// liveLease returns the entry whose live lease the command's token and account
// prove a hold of, or nil (invariant 9). A client that proves it has got an answer with
// the lease id, whatever comes of its request: the lease is not undone any more.
func (m *Machine) liveLease(c *Command) *entry {
	e := m.entries[c.Name]
	if e == nil {
		return nil
	}
	m.settle(e)
	if e.held == nil || e.held.lease.Token != c.Token || e.held.lease.Account != c.Origin.Actor.Account {
		return nil
	}
	if !e.held.arrived {
		m.batch.words = append(m.batch.words, word{entry: e, token: c.Token, arrived: true})
	}
	return e
}

// received takes note that the holder has its lease, and does nothing else.
func (m *Machine) received(c *Command) {
	if e := m.liveLease(c); e != nil {
		m.setHeld(e, e.held.delivered())
	}
}

// delivered is h once its lease is known to have arrived.
func (h *held) delivered() *held {
	now := *h
	now.arrived, now.undoAt = true, time.Time{}
	return &now
}

// renew moves the end of a lease away, never nearer (invariant 4). The first renewal
// of an unconfirmed lease gives it the ttl it was granted with, or more.
func (m *Machine) renew(c *Command) {
	e := m.liveLease(c)
	if e == nil {
		m.refuse(c, ErrNotHeld)
		return
	}
	h := e.held.delivered()
	if c.OnlyConfirm && h.lease.ConfirmWithin == 0 {
		m.setHeld(e, h)
		m.answer(c, Reply{Lease: h.lease})
		return
	}
	lease := *h.lease
	ttl := c.TTL
	if ttl == 0 || lease.ConfirmWithin > 0 {
		ttl = max(ttl, lease.TTL)
	}
	lease.ConfirmWithin = 0
	if end := m.now.Add(ttl); end.After(lease.ExpiresAt) {
		lease.ExpiresAt, lease.TTL = end, ttl
	}
	h.lease = &lease
	m.record(Event{
		Kind: Renewed, Lease: &lease, Actor: c.Origin.Actor, RequestID: c.Origin.RequestID, TraceID: c.Origin.TraceID,
		Notes: c.Opinion.Notes, Verdicts: c.Opinion.Verdicts, PolicySet: c.Opinion.PolicySet,
	})
	m.setHeld(e, h)
	m.answer(c, Reply{Lease: &lease})
}

// release gives a lock back, or answers again how that went.
func (m *Machine) release(c *Command) {
	if e := m.liveLease(c); e != nil {
		m.answer(c, Reply{Ended: m.end(e, Released, c)})
		return
	}
	past, ok := m.released.get(m.now, c.Token)
	if ok && past.account == c.Origin.Actor.Account {
		lease := &Lease{Name: c.Name, Token: c.Token, Account: past.account}
		m.answer(c, Reply{Ended: Ended{Lease: lease, Held: past.held}})
		return
	}
	m.refuse(c, ErrNotHeld)
}

// breakLease ends a lease for somebody who has the right to.
func (m *Machine) breakLease(c *Command) {
	e := m.entries[c.Name]
	if e != nil {
		m.settle(e)
	}
	if e == nil || e.held == nil {
		m.refuse(c, ErrFree)
		return
	}
	if c.Token != 0 && e.held.lease.Token != c.Token {
		m.refuse(c, ErrTokenChanged)
		return
	}
	if c.Acquire != nil {
		m.take(e, c)
		return
	}
	m.answer(c, Reply{Ended: m.end(e, Broken, c)})
}

// take breaks a lease and gives the lock to who broke it, ahead of all who wait: it is
// for emergencies.
func (m *Machine) take(e *entry, c *Command) {
	switch {
	case m.draining:
		m.refuse(c, ErrDraining)
		return
	case e.held.lease.Account != c.Acquire.Actor.Account && m.overQuota(c.Acquire.Actor.Account):
		m.refuse(c, ErrQuota)
		return
	}
	over := m.endOnly(e, Broken, c)
	lease := m.grant(e, c.Acquire, stay{}, c.Acquire.Opinion)
	m.answer(c, Reply{Ended: over, Lease: lease, Undoable: true})
}

// undo takes note that an answer with a lease did not reach its client. Another answer
// with the same lease, or what its holder asked for since, means that somebody has it or
// may have it (invariant 10): then nothing is undone. A grant with a key is kept for a
// while, for the attempt to come back.
func (m *Machine) undo(c *Command) {
	e := m.entries[c.Name]
	if e == nil {
		return
	}
	m.settle(e)
	if e.held == nil || e.held.lease.Token != c.Token {
		return
	}
	lost := word{entry: e, token: c.Token}
	m.batch.words = append(m.batch.words, lost)
	m.setHeld(e, lost.after(m.now.Add(grace)))
	if h := e.held; h.undelivered() && h.attempt == nil {
		m.end(e, Undone, &nobody)
	}
}
