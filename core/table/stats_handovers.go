package table

import (
	"time"

	"github.com/octostore/octostore/core/lock"
)

// handoverBounds are finer than those of commits where hand-overs usually are: one commit.
var handoverBounds = []float64{.0001, .00025, .0005, .001, .0025, .005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10}

// countHandover counts a grant to a waiter, whose batch is committed. before are the events of
// the batch before it: the end of the last lease is usually the one just before, since a lock
// goes to its first waiter as it becomes free. If it is in an earlier batch, noteFreed has
// noted it. A grant without such an end, such as the first after a start, is not counted.
func (t *Table) countHandover(before []lock.Event, name lock.Name) {
	for i := len(before) - 1; i >= 0; i-- {
		if e := &before[i]; e.Kind.Ends() && e.Lease.Name == name {
			t.handovers.observeSpan(time.Since(e.Time))
			return
		}
	}
	if since, ok := t.freed[name]; ok {
		t.handovers.observeSpan(time.Since(since))
	}
}

// noteFreed notes which of the locks that are about to be published are free and have waiters:
// the waiters are being called, or are absent. There are seldom any.
func (t *Table) noteFreed() {
	for i := range t.shown {
		v := &t.shown[i]
		if !v.Free() || v.Waiters == 0 {
			if len(t.freed) > 0 {
				delete(t.freed, v.Name())
			}
			continue
		}
		if _, noted := t.freed[v.Name()]; !noted {
			t.freed[v.Name()] = t.endOf(v.Name())
		}
	}
}

// endOf returns when the lease of a name ended in the batch, else now.
func (t *Table) endOf(name lock.Name) time.Time {
	events := t.m.Events()
	for i := len(events) - 1; i >= 0; i-- {
		if e := &events[i]; e.Kind.Ends() && e.Lease.Name == name {
			return e.Time
		}
	}
	return time.Now()
}
