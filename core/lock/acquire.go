package lock

import "time"

// acquire gives the lock, or a place in the queue, or a refusal.
func (m *Machine) acquire(c *Command) {
	if c.departed == HungUp {
		m.refuse(c, ErrGone)
		return
	}
	e := m.entry(c.Name)
	m.settle(e)
	if m.draining {
		m.refuse(c, ErrDraining)
		return
	}
	if m.sameAttempt(e, c) {
		return
	}
	if c.OnlyRepeat {
		m.refuse(c, ErrFull)
		return
	}
	if e.held == nil && !e.listening() {
		m.acquireFree(e, c)
		return
	}
	if !c.waits() {
		m.refuseHeld(e, c, 0)
		return
	}
	m.join(e, c)
}

// waits reports whether the request is (still) willing to stand in the queue.
func (c *Command) waits() bool { return c.Acquire.Wait > 0 && c.departed == stays }

func (c *Command) attemptID() attemptID {
	return attemptID{account: c.Acquire.Actor.Account, name: c.Name, key: c.Acquire.Attempt.Key}
}

// sameAttempt answers a request whose key has been seen before.
func (m *Machine) sameAttempt(e *entry, c *Command) bool {
	if c.Acquire.Attempt.IsZero() {
		return false
	}
	if w := m.queued[c.attemptID()]; w != nil {
		m.rejoin(w, c)
		return true
	}
	if h := e.held; h != nil && h.is(c) {
		m.repeat(e, c)
		return true
	}
	if _, over := m.endedAttempts.get(m.now, c.attemptID()); over {
		m.refuse(c, ErrAttemptOver)
		return true
	}
	return false
}

// repeatLease answers an attempt with the live lease it has, or with no lease.
func (m *Machine) repeatLease(c *Command) {
	if e := m.entries[c.Name]; e != nil && !m.draining {
		m.settle(e)
		if e.held != nil && e.held.is(c) {
			m.repeat(e, c)
			return
		}
	}
	m.answer(c, Reply{})
}

// is reports whether the lease was given to the attempt c belongs to.
func (h *held) is(c *Command) bool {
	return h.attempt != nil && h.attempt.Key == c.Acquire.Attempt.Key && h.account == c.Acquire.Actor.Account
}

// repeat gives an attempt the lease it already has.
func (m *Machine) repeat(e *entry, c *Command) {
	if e.held.attempt.Params != c.Acquire.Attempt.Params {
		m.refuse(c, ErrKeyMismatch)
		return
	}
	h := e.held.to(time.Time{})
	if h.answers != hasArrived {
		h.answers++
	}
	lease := h.asLease(e.name)
	m.setHeld(e, h, lease)
	m.answer(c, Reply{Lease: lease, Repeat: true, Undoable: true})
}

// rejoin lets a newer request stand in the place its attempt already has.
func (m *Machine) rejoin(w *waiter, c *Command) {
	if w.request.Attempt.Params != c.Acquire.Attempt.Params {
		m.refuse(c, ErrKeyMismatch)
		return
	}
	if w.listener != nil {
		w.listener.waiter = nil
		m.refuse(w.listener, &SupersededError{Held: *w.entry.heldError(w.entry.queue.position(w))})
	}
	e := w.entry
	m.move(w, listening)
	w.listener, w.request = c, c.Acquire
	c.waiter = w
	m.touch(e)
	if m.canHave(w) {
		m.grantWaiter(w, c.Acquire.Opinion) // the policies have looked at this very request
		return
	}
	if !c.waits() {
		m.leave(c, WaitOver)
	}
	m.handOver(e) // the call may have been withdrawn from the request before
}

func (m *Machine) acquireFree(e *entry, c *Command) {
	if m.overQuota(c.Acquire.Actor.Account) {
		m.refuse(c, ErrQuota)
		return
	}
	lease := m.grant(e, c.Acquire, queueTime{}, c.Acquire.Opinion)
	m.answer(c, Reply{Lease: lease, Undoable: true})
}

// join gives c the last place of its class in the queue, if need be at the cost of absent
// waiters.
func (m *Machine) join(e *entry, c *Command) {
	room, ok := m.shortage(e)
	switch {
	case !ok:
		m.refuse(c, ErrQueueFull)
		return
	case m.overQuota(c.Acquire.Actor.Account):
		m.refuse(c, ErrQuota)
		return
	case m.overWaiterQuota(c.Acquire.Actor.Account):
		m.refuse(c, ErrWaitsEnough)
		return
	}
	m.makeRoom(e, room)
	m.arrivals++
	w := &waiter{entry: e, order: m.arrivals, class: c.Acquire.Priority, listener: c, request: c.Acquire, since: m.now}
	w.due.entry, w.due.waiter = e, w
	c.waiter = w
	m.enter(w)
	if m.canHave(w) { // all before it are still thinking after their call was passed on
		m.grantWaiter(w, c.Acquire.Opinion)
	}
}

func (m *Machine) overQuota(account string) bool {
	has := m.use(account)
	return m.rules.MaxPerAccount > 0 && has.holds+has.waits >= m.rules.MaxPerAccount && account != m.rules.Unlimited
}

func (m *Machine) overWaiterQuota(account string) bool {
	most := m.rules.MaxWaitersPerAccount
	return most > 0 && m.use(account).waits >= most && account != m.rules.Unlimited
}

// shortage is how many places have to be given up for one more waiter.
type shortage struct{ here, all int }

// shortage returns how many places have to be given up for one more waiter of e, and
// whether as many waiters are absent.
func (m *Machine) shortage(e *entry) (need shortage, ok bool) {
	need = shortage{
		here: max(0, e.queue.len()+1-m.rules.MaxWaitersPerLock),
		all:  max(0, m.waiting+1-m.rules.MaxWaiters),
	}
	return need, need.here <= e.absent.count() && need.all <= m.absent.count()
}

// makeRoom removes the waiters that have been absent longest: of this lock as many as its
// own limit asks for, then of any lock. They do not come back if the batch is refused,
// because the newcomer stays.
func (m *Machine) makeRoom(e *entry, need shortage) {
	for range need.here {
		m.remove(e.absent.longest())
	}
	for range need.all - need.here {
		m.remove(m.absent.longest())
	}
}

// refuseHeld says no to a request, and who has the lock.
func (m *Machine) refuseHeld(e *entry, c *Command, position int) {
	a := c.Acquire
	m.record(Event{Kind: Conflict, Lease: a.asLease(e.name), Actor: a.Actor, RequestID: a.RequestID, TraceID: a.TraceID})
	m.refuse(c, e.heldError(position))
}

// heldError says who has the lock, to a request at a position of its queue.
func (e *entry) heldError(position int) *HeldError {
	err := &HeldError{Position: position, Waiters: e.queue.len()}
	if e.held != nil {
		err.Lease = e.held.asLease(e.name)
	}
	return err
}

// asLease is the lease that was asked for, to record a request that did not get it.
func (a *Acquisition) asLease(name Name) *Lease {
	return &Lease{Name: name, Account: a.Actor.Account, Holder: a.Holder, Reason: a.Reason, Metadata: a.Metadata, TTL: a.TTL}
}
