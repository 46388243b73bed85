package table

import (
	"errors"
	"slices"
	"time"

	"github.com/octostore/octostore/core/lock"
)

// loop is the one goroutine that feeds the machine.
func (t *Table) loop() {
	defer close(t.done)
	defer t.stopBegin()
	timer := time.NewTimer(time.Hour)
	defer timer.Stop()
	for {
		t.gather(timer)
		closed := t.nextBatch()
		if t.Err() != nil || closed && len(t.pending) == 0 && len(t.left) == 0 {
			t.shut() // the waiters were surely not granted anything
			return
		}
		t.rest(timer)
	}
}

// rest sleeps until there is something to do: a command, or the next deadline.
func (t *Table) rest(timer *time.Timer) {
	if len(t.pending) > 0 || len(t.left) > 0 {
		return
	}
	next := t.m.NextDeadline()
	if next.IsZero() {
		<-t.inbox.wake
		return
	}
	timer.Reset(time.Until(next))
	select {
	case <-t.inbox.wake:
	case <-timer.C:
	}
}

// nextBatch decides and commits one batch.
func (t *Table) nextBatch() (closed bool) {
	if !t.Owns() {
		t.fail(lock.ErrDeposed)
		return true
	}
	var at time.Time
	t.pending, t.left, at, closed = t.inbox.take(t.pending, t.left)
	t.crowd.took(len(t.pending))
	t.dropGivenUp()
	t.m.Feed(at, t.left, t.pending)
	for name, more := t.m.Next(); more; name, more = t.m.Next() {
		t.m.Step(t.rechecks(name))
	}
	gone, taken := t.m.Taken()
	t.left = without(t.left, gone)
	t.pending = without(t.pending, taken)
	t.commit()
	return closed
}

// dropGivenUp drops acquires whose caller has already given up, because a grant would have
// to be undone. It looks no further than one batch can take of the others. An acquire that is
// given up later is answered, and its grant undone.
func (t *Table) dropGivenUp() {
	kept, looked := 0, 0
	for ; looked < len(t.pending) && kept < lock.BatchSteps; looked++ {
		c := t.pending[looked]
		if c.Verb == lock.DoAcquire && c.Caller.(*request).state.Load() == givenUp {
			continue
		}
		t.pending[kept] = c
		kept++
	}
	if kept < looked {
		t.pending = slices.Delete(t.pending, kept, looked)
	}
}

// rechecks reports whether a waiter for the name must be called before it gets the lock. A
// step without a name gives no lock.
func (t *Table) rechecks(name lock.Name) bool {
	return name == "" || t.cfg.Rechecks == nil || t.cfg.Rechecks(name)
}

// without returns what is left of a queue after its first n.
func without[T any](queue []T, n int) []T {
	if n == len(queue) {
		return reused(queue)
	}
	return slices.Delete(queue, 0, n)
}

// commit makes the batch durable, publishes it, and answers: in that order
// (invariant 3).
func (t *Table) commit() {
	err := t.persist()
	switch {
	case err == nil:
		t.m.Accept()
		t.count()
	case errors.Is(err, lock.ErrFull):
		t.m.TakeBack()
		t.fullCommits.Add(1)
		t.nextProbe.Store(time.Now().Add(time.Second).UnixNano())
		t.full.Store(true)
	default:
		t.fail(err)
	}
	t.publish()
	if err == nil {
		t.cfg.Published()
		err = t.lost()
	}
	t.deliver(err)
	t.m.Finish()
}

func (t *Table) persist() error {
	events := t.m.Events()
	if len(events) == 0 {
		return nil
	}
	start := time.Now()
	// The commit is not to be given up half-way, so it has no deadline. Callers have.
	// Only a drain and a Close do not wait for a commit that cannot even begin, and a
	// deposed table waits for none.
	t.rows = t.m.Rows(t.rows[:0])
	err := t.store.Commit(t.begin, &lock.Batch{Events: events, Rows: t.rows})
	t.rows = reused(t.rows)
	took := time.Since(start)
	if t.cfg.Tracer != nil {
		t.traceCommit(start, start.Add(took), err)
	}
	if err != nil {
		return err
	}
	t.commits.observeSpan(took)
	t.batches.observe(float64(len(events)))
	t.full.Store(false)
	return nil
}

// count keeps the statistics of an accepted batch.
func (t *Table) count() {
	events := t.m.Events()
	for i := range events {
		e := &events[i]
		t.events.add(e.Kind)
		switch {
		case e.Kind == lock.Granted:
			t.waits.observeSpan(e.Waited)
			if e.Waited > 0 {
				t.countHandover(events[:i], e.Lease.Name)
			}
		case e.Kind == lock.Renewed:
			t.margins.observe(e.Margin)
		case e.Kind.Ends():
			t.holds.observeSpan(e.Lease.HeldFor(e.Time))
		}
	}
}

// publish shows the present state of the machine. After a failure it shows nothing,
// because the durable state is unknown.
func (t *Table) publish() {
	if t.failed.Load() != nil {
		return
	}
	n := 0
	for t.shown = t.changes(n); len(t.shown) > 0; t.shown = t.changes(n) {
		n += len(t.shown)
		t.noteFreed()
		t.views.publish(t.shown)
	}
	if n == 0 {
		return
	}
	t.views.published()
	held, waiting := t.m.Counts()
	t.held.Store(int64(held))
	t.waiters.Store(int64(waiting))
	t.publishQueues()
}

// changes returns some of what the batch changed, after the first n changes.
func (t *Table) changes(n int) []lock.Change {
	return t.m.Changes(reused(t.shown), n, scanStep, viewedWaiters)
}

// deliver sends the answers of the batch, or err in their place.
func (t *Table) deliver(err error) {
	if err != nil && !errors.Is(err, lock.ErrFull) && !errors.Is(err, lock.ErrDeposed) {
		err = lock.ErrOutcomeUnknown
	}
	for c, r := range t.m.Replies(err) {
		t.send(c, r)
	}
}

// send hands a reply to its caller. A grant whose caller has given up is undone.
func (t *Table) send(c *lock.Command, r lock.Reply) {
	to, _ := c.Caller.(*request)
	switch {
	case to == nil:
	case r.Turn != nil:
		to.tell(r.Turn)
	case to.state.CompareAndSwap(asked, answered):
		if errors.Is(r.Err, lock.ErrDraining) {
			r.Err = t.cause(r.Err)
		}
		to.reply = r
		to.tell(nil)
	default:
		t.undo(r)
	}
}

// tell sends a call, or nil if the answer is there, and resumes a parked request.
func (c *request) tell(turn *lock.Turn) {
	var p *parked
	if c.Acquire != nil && c.Acquire.Wait > 0 {
		p = c.happens() // before the caller is told, who may use c for another request
	}
	c.replies <- turn // never blocks: there is room for one call and one answer
	if p != nil {
		go p.resume()
	}
}

func (t *Table) undo(r lock.Reply) {
	if !r.Undoable {
		return
	}
	c := &lock.Command{Verb: lock.DoUndo, Name: r.Lease.Name, Token: r.Lease.Token}
	_ = t.inbox.put(c) // closed: the lease then runs to its end
}

// shut answers all remaining requests when the loop ends.
func (t *Table) shut() {
	closed := t.cause(lock.ErrClosed)
	t.inbox.close(closed)
	t.pending, t.left, _, _ = t.inbox.take(t.pending, t.left)
	t.m.DismissAll(t.cause(lock.ErrDraining))
	t.deliver(nil)
	for _, c := range t.pending {
		t.send(c, lock.Reply{Err: closed})
	}
}
