package lock

// liveLease returns the entry whose live lease the command's token and account
// prove a hold of, or nil (invariant 9). A client with the lease id has got an answer with
// it, whatever comes of its request: the lease is not undone any more. An idempotency key
// shows nothing of that kind, as the client made it itself.
func (m *Machine) liveLease(c *Command) *entry {
	e := m.entries[c.Name]
	if e == nil {
		return nil
	}
	m.settle(e)
	if c.Acquire == nil {
		m.note(delivery{entry: e, token: c.Token, arrived: true, account: c.Origin.Actor.Account})
	}
	if e.held == nil || e.held.token != c.Token || e.held.account != c.Origin.Actor.Account {
		return nil
	}
	return e
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
	lease := h.asLease(e.name)
	if c.OnlyConfirm && lease.ConfirmWithin == 0 {
		m.setHeld(e, h, lease)
		m.answer(c, Reply{Lease: lease})
		return
	}
	margin := lease.left(m.now)
	ttl := c.TTL
	if ttl == 0 || lease.ConfirmWithin > 0 {
		ttl = max(ttl, lease.TTL)
	}
	lease.ConfirmWithin = 0
	if end := m.now.Add(ttl); end.After(lease.ExpiresAt) {
		lease.ExpiresAt, lease.TTL = end, ttl
	}
	h.renewed(lease)
	m.record(Event{
		Kind: Renewed, Lease: lease, Margin: margin, Actor: c.Origin.Actor, RequestID: c.Origin.RequestID, TraceID: c.Origin.TraceID,
		Notes: c.Opinion.Notes, Verdicts: c.Opinion.Verdicts, PolicySet: c.Opinion.PolicySet,
	})
	m.setHeld(e, h, lease)
	m.answer(c, Reply{Lease: lease})
}

// release gives a lock back, or answers again how that went. The hold is proven by a token
// or, if the command has an attempt, by its key.
func (m *Machine) release(c *Command) {
	if c.Acquire != nil {
		c.Token = m.attemptToken(c)
	}
	if e := m.liveLease(c); e != nil {
		m.answer(c, Reply{Ended: m.end(e, Released, c)})
		return
	}
	past, ok := m.releases.get(m.now, c.Token)
	if ok && past.account == c.Origin.Actor.Account {
		lease := &Lease{Name: c.Name, Token: c.Token, Account: past.account}
		m.answer(c, Reply{Ended: EndedLease{Lease: lease, Held: past.held}})
		return
	}
	m.refuse(c, ErrNotHeld)
}

// attemptToken returns the token of the lease that the attempt of a command has, or had as
// long as that is remembered, else 0.
func (m *Machine) attemptToken(c *Command) Token {
	if e := m.entries[c.Name]; e != nil {
		m.settle(e)
		if e.held != nil && e.held.is(c) {
			return e.held.token
		}
	}
	token, _ := m.endedAttempts.get(m.now, c.attemptID())
	return token
}

// breakLease ends a lease without proof of the hold.
func (m *Machine) breakLease(c *Command) {
	e := m.entries[c.Name]
	if e != nil {
		m.settle(e)
	}
	if e == nil || e.held == nil {
		m.refuse(c, ErrFree)
		return
	}
	if c.Token != 0 && e.held.token != c.Token {
		m.refuse(c, ErrTokenChanged)
		return
	}
	if c.Acquire != nil {
		m.take(e, c)
		return
	}
	m.answer(c, Reply{Ended: m.end(e, Broken, c)})
}

// take breaks a lease and gives the lock to the account that broke it, ahead of all
// waiters. It is for emergencies.
func (m *Machine) take(e *entry, c *Command) {
	switch {
	case m.draining:
		m.refuse(c, ErrDraining)
		return
	case e.held.account != c.Acquire.Actor.Account && m.overQuota(c.Acquire.Actor.Account):
		m.refuse(c, ErrQuota)
		return
	}
	over := m.endOnly(e, Broken, c)
	lease := m.grant(e, c.Acquire, queueTime{}, c.Acquire.Opinion)
	m.answer(c, Reply{Ended: over, Lease: lease, Undoable: true})
}
