package lock

import "time"

// departure says why a request stopped listening.
type LeaveReason int

const (
	listening LeaveReason = iota
	waitOver              // it will take no for an answer now
	hungUp                // nobody is left to answer
	declined              // policies said no at its turn
)

// acquire gives the lock, or a place in the queue, or a refusal.
func (m *machine) acquire(c *command) {
	if c.departed == hungUp {
		m.refuse(c, ErrGone)
		return
	}
	e := m.entry(c.name)
	m.settle(e)
	if m.draining {
		m.refuse(c, ErrDraining)
		return
	}
	if m.sameAttempt(e, c) {
		return
	}
	if c.onlyRepeat {
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
func (c *command) waits() bool { return c.Acquire.Wait > 0 && c.departed == listening }

func (c *command) attemptID() attemptID {
	return attemptID{account: c.Acquire.Actor.Account, name: c.name, key: c.Acquire.Attempt.Key}
}

// sameAttempt answers a request whose key has been seen before.
func (m *machine) sameAttempt(e *entry, c *command) bool {
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
func (m *machine) repeatLease(c *command) {
	if e := m.entries[c.name]; e != nil && !m.draining {
		m.settle(e)
		if e.held != nil && e.held.is(c) {
			m.repeat(e, c)
			return
		}
	}
	m.answer(c, reply{})
}

// is reports whether the lease was given to the attempt c belongs to.
func (h *held) is(c *command) bool {
	return h.attempt != nil && h.attempt.Key == c.Acquire.Attempt.Key && h.lease.Account == c.Acquire.Actor.Account
}

// repeat gives an attempt the lease it already has.
func (m *machine) repeat(e *entry, c *command) {
	if e.held.attempt.Params != c.Acquire.Attempt.Params {
		m.refuse(c, ErrKeyMismatch)
		return
	}
	h := *e.held
	h.answers++
	h.undoAt = time.Time{}
	m.setHeld(e, &h)
	m.answer(c, reply{lease: h.lease, repeat: true, undoable: true})
}

// rejoin lets a newer request stand in the place its attempt already has.
func (m *machine) rejoin(w *waiter, c *command) {
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
		m.leave(c, waitOver)
	}
	m.handOver(e) // the call may have been withdrawn from the request before
}

func (m *machine) acquireFree(e *entry, c *command) {
	if m.overQuota(c.Acquire.Actor.Account) {
		m.refuse(c, ErrQuota)
		return
	}
	lease := m.grant(e, c.Acquire, stay{}, c.Acquire.Opinion)
	m.answer(c, reply{lease: lease, undoable: true})
}

// join gives c the last place of its class in the queue, if need be at the cost of absent
// waiters.
func (m *machine) join(e *entry, c *command) {
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

func (m *machine) overQuota(account string) bool {
	has := m.accounts[account]
	return m.rules.MaxPerAccount > 0 && has.holds+has.waits >= m.rules.MaxPerAccount && account != m.rules.Unlimited
}

func (m *machine) waitsEnough(account string) bool {
	most := m.rules.MaxWaitersPerAccount
	return most > 0 && m.accounts[account].waits >= most && account != m.rules.Unlimited
}

// enter puts a waiter into its queue; remove takes it out. They are the only places
// where the counts of waiters change.
func (m *machine) enter(w *waiter) {
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

func (m *machine) remove(w *waiter) {
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

func (m *machine) stayOf(w *waiter) stay { return stay{m.now.Sub(w.since), w.class} }

// grant begins a lease (invariant 1: only on a free name).
func (m *machine) grant(e *entry, a *Acquisition, queued stay, said Opinion) *Lease {
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
func (m *machine) handOver(e *entry) {
	if e.held != nil || e.called != nil {
		return
	}
	w := e.queue.first()
	if w == nil {
		return
	}
	if !w.req.rechecks || !m.recheck {
		m.grantWaiter(w, w.ask.Opinion)
		return
	}
	m.call(w)
}

func (m *machine) grantWaiter(w *waiter, said Opinion) {
	m.remove(w)
	w.req.place = nil
	m.batch.granted = append(m.batch.granted, w)
	queued := m.stayOf(w)
	lease := m.grant(w.entry, w.ask, queued, said)
	m.batch.answers = append(m.batch.answers, answer{
		to: w.req, waiter: w, reply: reply{lease: lease, waited: queued.waited, undoable: true},
	})
}

// call asks a waiter to have its policies look again and then to claim the lock.
func (m *machine) call(w *waiter) {
	w.entry.called, w.thinking = w, true
	m.schedule.set(&w.due, m.now.Add(callPatience))
	turn := &Turn{Waited: m.now.Sub(w.since), Queue: w.entry.queue.len()}
	m.batch.answers = append(m.batch.answers, answer{to: w.req, waiter: w, reply: reply{Turn: turn}})
	m.touch(w.entry)
}

// withdrawCall forgets that w was called, if it was. What it then claims is nothing.
func (m *machine) withdrawCall(w *waiter) {
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
func (m *machine) claim(c *command) {
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
func (m *machine) passOver(e *entry) {
	m.schedule.cancel(&e.called.due)
	e.called = nil
	m.touch(e)
}

// canHave reports whether the lock is free and w is the first who may have it.
func (m *machine) canHave(w *waiter) bool {
	e := w.entry
	return e.held == nil && e.called == nil && e.queue.first() == w
}

// patienceOver is what is due for a waiter: a called one has said nothing for too
// long, an absent one has not come back.
func (m *machine) patienceOver(w *waiter) {
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
func (m *machine) depart(c *command, why LeaveReason, cause error) *entry {
	m.batch.steps++
	c.departed = why
	w := c.place
	if w == nil {
		return nil // answered already, or not stepped yet
	}
	if why == declined {
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
func (m *machine) leave(c *command, why LeaveReason) {
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
	if why == hungUp {
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
func (m *machine) refuseHeld(e *entry, c *command, position int) {
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
