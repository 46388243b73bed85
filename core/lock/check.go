package lock

import (
	"fmt"
	"slices"
	"time"
)

// faults are the broken invariants of a machine.
type faults []string

func (f *faults) add(format string, args ...any) { *f = append(*f, fmt.Sprintf(format, args...)) }

// Faults returns what is wrong with the machine between two batches; there must be
// nothing. It recounts everything that is counted and follows every link both ways, so it
// is for tests.
func (m *Machine) Faults() []string {
	t := faults(slices.Clone(m.badMoves))
	held, waiting, away, scheduled := 0, 0, 0, 0
	since := [PriorityCount]map[uint64]time.Time{{}, {}, {}}
	accounts := map[string]accountUse{} // without their names
	for name, e := range m.entries {
		if e.name != name || e.idle() || e.inBatch != 0 {
			t.add("entry %s: named %s, idle %v, in the batch %v", name, e.name, e.idle(), e.inBatch)
		}
		if e.held != nil {
			held++
			scheduled++
			has := accounts[e.held.account]
			accounts[e.held.account] = accountUse{holds: has.holds + 1, waits: has.waits}
			m.checkHeld(&t, e)
		}
		waiting += e.queue.len()
		for w := range e.queue.all() {
			since[w.class.class()][w.order] = w.since
		}
		away += e.absent.count()
		scheduled += m.checkQueue(&t, e, accounts)
	}
	if held != m.held || waiting != m.waiting {
		t.add("invariant 11: counted %d held, %d waiting; the machine says %d, %d", held, waiting, m.held, m.waiting)
	}
	for i, p := range Priorities() {
		if m.waitStarts[i].Len() != len(since[i]) {
			t.add("invariant 11: counted %d waiters of priority %s; the machine says %d", len(since[i]), p, m.waitStarts[i].Len())
		}
		for order, at := range since[i] {
			if known, ok := m.waitStarts[i].Get(order); !ok || !known.Equal(at) {
				t.add("invariant 11: a waiter of priority %s waits since %v; the machine says %v", p, at, known)
			}
		}
	}
	if away != m.absent.count() {
		t.add("%d absent in all locks; the machine says %d", away, m.absent.count())
	}
	if m.schedule.len() != scheduled {
		t.add("%d deadlines for %d things that end", m.schedule.len(), scheduled)
	}
	for account, n := range accounts {
		if has := m.use(account); has.holds != n.holds || has.waits != n.waits {
			t.add("invariant 11: account %s has %+v; the machine says %+v", account, n, has)
		}
	}
	if len(accounts) != len(m.accounts) {
		t.add("invariant 11: %d accounts; the machine says %d", len(accounts), len(m.accounts))
	}
	return t
}

func (m *Machine) checkHeld(t *faults, e *entry) {
	switch h := e.held; {
	case e.called != nil:
		t.add("invariant 1: %s is held and a waiter is called", e.name)
	case !m.schedule.has(e, h.deadline()):
		t.add("invariant 4: %s ends at %v but is not due then (%d)", e.name, h.deadline(), e.place)
	case h.answers < hasArrived || h.undoAt().IsZero() == h.undelivered():
		t.add("invariant 10: %s has %d answers, and is to be undone at %v", e.name, h.answers, h.undoAt())
	case h.token == 0 || h.token > m.seq:
		t.add("invariant 2: %s has token %d, the sequence is at %d", e.name, h.token, m.seq)
	}
}

// checkQueue returns how many of its waiters are scheduled for something.
func (m *Machine) checkQueue(t *faults, e *entry, accounts map[string]accountUse) int {
	scheduled, away := 0, 0
	var before *waiter
	for w := range e.queue.all() {
		has := accounts[w.request.Actor.Account]
		accounts[w.request.Actor.Account] = accountUse{holds: has.holds, waits: has.waits + 1}
		if w.due.index > 0 {
			scheduled++
		}
		if w.state == absent {
			away++
		}
		switch {
		case w.entry != e || before != nil && (w.class > before.class || w.class == before.class && w.order <= before.order):
			t.add("invariant 5: the queue of %s is out of order", e.name)
		case w.listener != nil && w.listener.waiter != w:
			t.add("invariant 6: a waiter of %s and its request do not know each other", e.name)
		case w.state == absent && w.request.Attempt.IsZero():
			t.add("invariant 6: %s keeps the place of a request without a key", e.name)
		case !w.request.Attempt.IsZero() && m.queued[w.attemptID()] != w:
			t.add("invariant 8: an attempt does not know its place in %s", e.name)
		default:
			w.checkState(t)
		}
		before = w
	}
	if away != e.absent.count() {
		t.add("%d waiters of %s are absent; the entry says %d", away, e.name, e.absent.count())
	}
	if w := e.called; w != nil && w.state != called {
		t.add("invariant 5: %s waits for the answer of a waiter that is not called", e.name)
	}
	if e.held == nil && e.called == nil {
		if w := e.queue.first(); w != nil && w.due.index == 0 {
			t.add("invariant 5: %s is free, has waiters, and nothing will wake them", e.name)
		}
	}
	return scheduled
}

// checkState checks that a waiter in a queue has what its state says, and nothing else.
func (w *waiter) checkState(t *faults) {
	due := w.due.index > 0
	switch {
	case w.state == outside:
		t.add("a waiter of %s is in the queue and outside", w.entry.name)
	case (w.listener == nil) != (w.state == absent):
		t.add("invariant 6: a waiter of %s is %s; it has a listener: %t", w.entry.name, w.state, w.listener != nil)
	case (w.absence != absence{}) != (w.state == absent):
		t.add("invariant 5: a waiter of %s is %s, and counts as the other", w.entry.name, w.state)
	case (w.entry.called == w) != (w.state == called):
		t.add("invariant 5: a waiter of %s is %s; it is the one called: %t", w.entry.name, w.state, w.entry.called == w)
	case due && w.state == late || !due && (w.state == called || w.state == absent):
		t.add("invariant 6: a waiter of %s is %s; something is due: %t", w.entry.name, w.state, due)
	}
}
