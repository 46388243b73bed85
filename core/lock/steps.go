package lock

import "time"

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

// upcoming reports whether there is another step for this batch. If the step may give a free
// lock to a waiter that can be called, it returns the name of the lock: the caller of step
// says whether that has to be done. Each step is about one lock only.
func (m *Machine) Next() (name Name, more bool) {
	k := &m.work
	switch {
	case k.departs():
		return "", !m.full() // departures alone give nothing to anybody
	case k.handed < len(m.freed):
		return m.mayCall(m.freed[k.handed]), true
	case m.hasDue():
		return m.mayCall(m.schedule.first().entry), true
	case k.taken < len(k.commands) && !m.full():
		return m.mayGive(k.commands[k.taken]), true
	}
	return "", false
}

// mayCall returns the name of e, or none if nobody waits there.
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

// Step does the next thing. recheck is the answer to what Next asked: a waiter that can
// be called is called before it is given the lock. That answer may come true or false
// later; what counts is that it was so at an instant between the previous step and this.
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
		if t := m.schedule.first(); t.waiter != nil {
			m.patienceOver(t.waiter)
		} else {
			m.settle(t.entry)
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
	t := m.schedule.first()
	return t != nil && !t.at.After(m.now)
}
