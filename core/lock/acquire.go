package lock

import "time"

// departure says why a request stopped listening.
type LeaveReason int

const (
	listening LeaveReason = iota
	WaitOver              // it will take no for an answer now
	HungUp                // nobody is left to answer
	Declined              // policies said no at its turn
)

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
func (c *Command) waits() bool { return c.Acquire.Wait > 0 && c.departed == listening }

func (c *Command) attemptID() attemptID {
	return attemptID{account: c.Acquire.Actor.Account, name: c.Name, key: c.Acquire.Attempt.Key}
}

// sameAttempt answers a request whose key has been seen before.
func (m *Machine) sameAttempt(e *entry, c *Command) bool {
	if c.Acquire.Attempt.IsZero() {
		return false
	}
	if w := m.places[c.attemptID()]; w != nil {
		m.rejoin(w, c)
		return true
	}
	if h := e.held; h != nil && h.is(c) {
		m.repeat(e, c)
		return true
	}
	if _, over := m.over.get(m.now, c.attemptID()); over {
		m.refuse(c, ErrAttemptOver)
		return true
	}
	return false
}

// repeatLease answers an attempt that has a live lease, and nobody else.
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
	return h.attempt != nil && h.attempt.Key == c.Acquire.Attempt.Key && h.lease.Account == c.Acquire.Actor.Account
}

// repeat gives an attempt the lease it already has.
func (m *Machine) repeat(e *entry, c *Command) {
	if e.held.attempt.Params != c.Acquire.Attempt.Params {
		m.refuse(c, ErrKeyMismatch)
		return
	}
	h := *e.held
	h.answers++
	h.undoAt = time.Time{}
	m.setHeld(e, &h)
	m.answer(c, Reply{Lease: h.lease, Repeat: true, Undoable: true})
}

// rejoin lets a newer request stand in the place its attempt already has.
func (m *Machine) rejoin(w *waiter, c *Command) {
	if w.ask.Attempt.Params != c.Acquire.Attempt.Params {
		m.refuse(c, ErrKeyMismatch)
		return
	}
	if w.req != nil {
		w.req.place = nil
		m.refuse(w.req, ErrSuperseded)
	}
	e := w.entry
	m.withdrawCall(w)
	m.schedule.cancel(&w.due)
	m.back(w)
	w.req, w.ask = c, c.Acquire
	c.place = w
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
	lease := m.grant(e, c.Acquire, stay{}, c.Acquire.Opinion)
	m.answer(c, Reply{Lease: lease, Undoable: true})
}

// join gives c the last place of its class in the queue, if need be at the cost of absent
// waiters.
func (m *Machine) join(e *entry, c *Command) {
	room, ok := m.room(e)
	switch {
	case !ok:
		m.refuse(c, ErrQueueFull)
		return
	case m.overQuota(c.Acquire.Actor.Account):
		m.refuse(c, ErrQuota)
		return
	case m.waitsEnough(c.Acquire.Actor.Account):
		m.refuse(c, ErrWaitsEnough)
		return
	}
	m.makeRoom(e, room)
	m.arrivals++
	w := &waiter{entry: e, order: m.arrivals, class: c.Acquire.Priority, req: c, ask: c.Acquire, since: m.now}
	w.due.entry, w.due.waiter = e, w
	c.place = w
	m.enter(w)
	if m.canHave(w) { // all before it are still thinking after their call was passed on
		m.grantWaiter(w, c.Acquire.Opinion)
	}
}

func (m *Machine) overQuota(account string) bool {
	has := m.accounts[account]
	return m.rules.MaxPerAccount > 0 && has.holds+has.waits >= m.rules.MaxPerAccount && account != m.rules.Unlimited
}

func (m *Machine) waitsEnough(account string) bool {
	most := m.rules.MaxWaitersPerAccount
	return most > 0 && m.accounts[account].waits >= most && account != m.rules.Unlimited
}

// enter puts a waiter into its queue; remove takes it out. They are the only places
// where the counts of waiters change.
func (m *Machine) enter(w *waiter) {
	if w.entry.queue == nil {
		w.entry.queue = new(queue)
	}
	w.entry.queue.insert(w)
	m.waiting++
	m.sinces[w.class.class()].Set(w.order, w.since)
	m.add(w.ask.Actor.Account, share{waits: 1})
	if !w.ask.Attempt.IsZero() {
		m.places[w.attemptID()] = w
	}
	m.touch(w.entry)
}

func (m *Machine) remove(w *waiter) {
	m.withdrawCall(w)
	m.schedule.cancel(&w.due)
	m.back(w)
	w.entry.queue.remove(w)
	m.waiting--
	m.sinces[w.class.class()].Delete(w.order)
	m.add(w.ask.Actor.Account, share{waits: -1})
	if !w.ask.Attempt.IsZero() {
		delete(m.places, w.attemptID())
	}
	m.touch(w.entry)
}

func (w *waiter) attemptID() attemptID {
	return attemptID{account: w.ask.Actor.Account, name: w.entry.name, key: w.ask.Attempt.Key}
}

// stay is what is recorded of a request's time in the queue; zero: it did not wait.
type stay struct {
	waited time.Duration
	class  Priority
}

func (m *Machine) stayOf(w *waiter) stay { return stay{m.now.Sub(w.since), w.class} }

// grant begins a lease (invariant 1: only on a free name).
func (m *Machine) grant(e *entry, a *Acquisition, queued stay, said Opinion) *Lease {
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
	h := &held{lease: lease, answers: 1}
	if !a.Attempt.IsZero() {
		attempt := a.Attempt // not a pointer into the request, which would stay with it
		h.attempt = &attempt
	}
	m.setHeld(e, h)
	return lease
}

// handOver gives a free lock to the first who may have it, or calls them.
func (m *Machine) handOver(e *entry) {
	if e.held != nil || e.called != nil {
		return
	}
	w := e.queue.first()
	if w == nil {
		return
	}
	if !w.req.Rechecks || !m.recheck {
		m.grantWaiter(w, w.ask.Opinion)
		return
	}
	m.call(w)
}

func (m *Machine) grantWaiter(w *waiter, said Opinion) {
	m.remove(w)
	w.req.place = nil
	m.batch.granted = append(m.batch.granted, w)
	queued := m.stayOf(w)
	lease := m.grant(w.entry, w.ask, queued, said)
	m.batch.answers = append(m.batch.answers, answer{
		to: w.req, waiter: w, reply: Reply{Lease: lease, Waited: queued.waited, Undoable: true},
	})
}

// call asks a waiter to have its policies look again and then to claim the lock.
func (m *Machine) call(w *waiter) {
	w.entry.called, w.thinking = w, true
	m.schedule.set(&w.due, m.now.Add(callPatience))
	turn := &Turn{Waited: m.now.Sub(w.since), Queue: w.entry.queue.len()}
	m.batch.answers = append(m.batch.answers, answer{to: w.req, waiter: w, reply: Reply{Turn: turn}})
	m.touch(w.entry)
}

// withdrawCall forgets that w was called, if it was. What it then claims is nothing.
func (m *Machine) withdrawCall(w *waiter) {
	if w.thinking {
		m.schedule.cancel(&w.due)
	}
	w.thinking = false
	if w.entry.called == w {
		w.entry.called = nil
	}
}

// claim is a called waiter's yes. It counts also after its call was passed on,
// provided nobody before it can have the lock: else two whose policies take long
// could be called in turns for ever.
func (m *Machine) claim(c *Command) {
	w := c.Called.place
	if w == nil || !w.thinking {
		return
	}
	e := w.entry
	m.settle(e)
	m.withdrawCall(w)
	if e.called != nil && w.before(e.called) {
		m.passOver(e)
	}
	if m.canHave(w) {
		m.grantWaiter(w, c.Opinion)
		return
	}
	m.handOver(e)
}

// passOver ends the call of an entry. The one who was called goes on thinking, and
// what it then claims counts like any late claim.
func (m *Machine) passOver(e *entry) {
	m.schedule.cancel(&e.called.due)
	e.called = nil
	m.touch(e)
}

// canHave reports whether the lock is free and w is the first who may have it.
func (m *Machine) canHave(w *waiter) bool {
	e := w.entry
	return e.held == nil && e.called == nil && e.queue.first() == w
}

// patienceOver is what is due for a waiter: a called one has said nothing for too
// long, an absent one has not come back.
func (m *Machine) patienceOver(w *waiter) {
	e := w.entry
	m.schedule.cancel(&w.due)
	if w.req == nil {
		m.remove(w)
		return
	}
	if e.called == w {
		m.passOver(e)
	}
	m.handOver(e)
}

// depart is a request's word that it no longer listens. Departures are stepped
// before everything that arrived with them, so that nobody known to be gone is
// granted (invariant 6); the caller then lets freed calls pass on with handOver.
func (m *Machine) depart(c *Command, why LeaveReason, cause error) *entry {
	m.batch.steps++
	c.departed = why
	w := c.place
	if w == nil {
		return nil // answered already, or not stepped yet
	}
	if why == Declined {
		c.place = nil
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
	w := c.place
	e := w.entry
	position := e.queue.position(w)
	c.place, w.req = nil, nil
	if w.ask.Attempt.IsZero() {
		m.remove(w)
	} else {
		m.withdrawCall(w)
		m.away(w)
		m.touch(e)
	}
	if why == HungUp {
		queued := m.stayOf(w)
		m.record(Event{
			Kind: Abandoned, Lease: w.ask.wish(e.name), Actor: w.ask.Actor, RequestID: w.ask.RequestID, TraceID: w.ask.TraceID,
			Waited: queued.waited, Priority: queued.class,
		})
		m.refuse(c, ErrGone)
		return
	}
	m.refuseHeld(e, c, position)
}

// refuseHeld says no to a request, and who has the lock.
func (m *Machine) refuseHeld(e *entry, c *Command, position int) {
	a := c.Acquire
	m.record(Event{Kind: Conflict, Lease: a.wish(e.name), Actor: a.Actor, RequestID: a.RequestID, TraceID: a.TraceID})
	err := &HeldError{Position: position, Waiters: e.queue.len()}
	if e.held != nil {
		err.Lease = e.held.lease
	}
	m.refuse(c, err)
}

// wish is the lease somebody asked for and did not get.
func (a *Acquisition) wish(name Name) *Lease {
	return &Lease{Name: name, Account: a.Actor.Account, Holder: a.Holder, Reason: a.Reason, Metadata: a.Metadata, TTL: a.TTL}
}
