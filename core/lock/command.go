package lock

import "time"

// Verb is the operation of a command.
type Verb uint8

// Verbs.
const (
	DoAcquire  Verb = iota // give the lock, or a place in its queue
	DoRepeat               // an acquire, but only if the attempt has a lease
	DoClaim                // the yes of a called waiter
	DoRenew                // move the end of a lease away
	DoRelease              // end a lease, asked by its holder
	DoBreak                // end a lease without proof of the hold
	DoUndo                 // an answer with a lease did not reach its client
	DoReceived             // the holder showed its lease id
	DoAppend               // record an event that changes no lease
	DoQueue                // show a page of a queue
	DoDrain                // send all waiters away, and refuse those to come
)

// Command is one request to the machine: plain values, decided before it is handed over.
type Command struct {
	Verb Verb
	At   time.Time // of arrival
	Name Name

	// Acquire: DoAcquire, DoRepeat. DoBreak: the lock is to be taken, too. DoRelease: the
	// lease of this attempt is meant, in place of Token.
	Acquire *Acquisition
	Origin  Origin // the others
	Token   Token  // proven by the lease id, or asked for by a break
	TTL     time.Duration
	Cause   string
	Opinion Opinion
	Event   *Event   // DoAppend
	Called  *Command // DoClaim: the acquire that was called
	// Rechecks: DoAcquire, the request can be called when its turn comes. Without it the
	// lock is given at once.
	Rechecks bool
	// OnlyConfirm: DoRenew, see [RenewRequest].
	OnlyConfirm bool
	// OnlyRepeat: there is no space for a new lease, but the attempt may have one.
	OnlyRepeat bool

	Skip, Limit int // DoQueue

	// Caller is a value of the sender. The machine does not look at it.
	Caller any

	// The machine's own.
	waiter   *waiter // where it waits; nil: not yet, or answered
	departed LeaveReason
}

// Reply is a call or an answer.
type Reply struct {
	Turn *Turn // it is your turn: ask the policies, then claim

	Err      error
	Lease    *Lease
	Waited   time.Duration
	Repeat   bool
	Undoable bool // one more answer with the lease, see held
	Ended    EndedLease
	Seq      Seq
	Queue    []Waiting
	Total    int
}

// work is what lies before the machine for one batch, and how far it has come.
type work struct {
	left     []Departure
	commands []*Command
	gone     int // of left
	handed   int // of the names that departures freed
	dueOver  bool
	taken    int // of commands
}

// departs reports whether a departure is next.
func (k *work) departs() bool { return k.gone < len(k.left) }

// Feed gives the machine the work of a batch: first the departures, then what is due,
// then commands in order of arrival, until the batch is full. at is an instant all of
// them arrived by. The machine does the work in steps, see [Machine.Next] and
// [Machine.Step].
func (m *Machine) Feed(at time.Time, left []Departure, commands []*Command) {
	if len(commands) > 0 {
		at = commands[0].At // a renewal that lies here came before what is due later
	}
	m.advance(at)
	m.work = work{left: left, commands: commands}
}

// Taken returns how many departures and commands the steps of a batch took.
func (m *Machine) Taken() (gone, taken int) {
	gone, taken = m.work.gone, m.work.taken
	m.work = work{}
	return gone, taken
}

// Next reports whether there is another step for this batch. If the step may give a free
// lock to a waiter that can be called, it returns the name of the lock: the caller of step
// says whether that has to be done. Each step is about one lock only.
func (m *Machine) Next() (name Name, more bool) {
	k := &m.work
	switch {
	case k.departs():
		return "", !m.full() // a departure alone gives no lock away
	case k.handed < len(m.freed):
		return m.mayCall(m.freed[k.handed]), true
	case m.hasDue():
		next, _ := m.schedule.first()
		return m.mayCall(next.entry), true
	case k.taken < len(k.commands) && !m.full():
		return m.mayGive(k.commands[k.taken]), true
	}
	return "", false
}

// mayCall returns the name of e, or no name if it has no waiters.
func (m *Machine) mayCall(e *entry) Name {
	if e.queue.len() == 0 {
		return ""
	}
	return e.name
}

// mayGive returns the name of the lock that the command may give to a waiter, or none.
func (m *Machine) mayGive(c *Command) Name {
	if m.waiting == 0 || c.Name == "" || c.Verb == DoQueue {
		return ""
	}
	e := m.entries[c.Name]
	if e == nil || e.held != nil && !c.Verb.ends() && e.held.deadline().After(c.At) && e.held.deadline().After(m.now) {
		return ""
	}
	return m.mayCall(e)
}

// ends reports whether a command may end a live lease.
func (v Verb) ends() bool { return v == DoRelease || v == DoBreak || v == DoUndo }

// Step does the next step. recheck is the answer to what Next asked: true if a waiter that
// can be called has to be called before it gets the lock. The answer has to be right at
// some instant after the previous step; if it changes later, that counts for later steps.
func (m *Machine) Step(recheck bool) {
	m.recheck = recheck
	k := &m.work
	switch {
	case k.departs():
		l := k.left[k.gone]
		k.gone++
		if e := m.depart(l.Command, l.Why, l.Cause); e != nil {
			m.freed = append(m.freed, e)
		}
	case k.handed < len(m.freed):
		e := m.freed[k.handed]
		if k.handed++; k.handed == len(m.freed) {
			m.freed, k.handed = emptied(m.freed), 0
		}
		m.handOver(e)
	case m.hasDue():
		m.batch.steps++
		if next, _ := m.schedule.first(); next.waiter != nil {
			m.waiterDue(next.waiter)
		} else {
			m.settle(next.entry)
		}
	default:
		k.dueOver = true // what comes due by the commands waits for the next batch
		c := k.commands[k.taken]
		k.taken++
		m.do(c)
	}
}

// hasDue reports whether something that is due is to happen in this batch. It fills at
// most half of it.
func (m *Machine) hasDue() bool {
	if m.work.dueOver || m.now.Before(m.retryAt) {
		return false
	}
	if len(m.batch.events) >= max(m.maxEvents/2, 1) || m.batch.steps >= BatchSteps {
		return false
	}
	next, ok := m.schedule.first()
	return ok && !next.at.After(m.now)
}

// do decides one command.
func (m *Machine) do(c *Command) {
	m.batch.steps++
	m.advance(c.At)
	switch c.Verb {
	case DoAcquire:
		m.acquire(c)
	case DoRepeat:
		m.repeatLease(c)
	case DoClaim:
		m.claim(c)
	case DoRenew:
		m.renew(c)
	case DoRelease:
		m.release(c)
	case DoBreak:
		m.breakLease(c)
	case DoUndo:
		m.undo(c)
	case DoReceived:
		m.received(c)
	case DoAppend:
		m.answer(c, Reply{Seq: m.record(*c.Event)})
	case DoQueue:
		m.queuePage(c)
	case DoDrain:
		m.drain()
		m.answer(c, Reply{})
	}
}
