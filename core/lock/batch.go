package lock

import (
	"errors"
	"iter"
	"time"
)

// batch holds the decisions since the last commit.
type batch struct {
	events     []Event
	bytes      int // estimate
	steps      int
	answers    []answer
	dirty      []*entry
	changed    []change
	granted    []*waiter // out of the queue, by a grant of this batch
	ends       int       // entries added to released
	overs      int       // entries added to over
	deliveries []delivery
}

// change is a lock whose lease changed in the batch, or what is known of its answers.
type change struct {
	entry  *entry
	before *held
	lease  *Lease // the present one for others; nil: to be made, if there is one
}

// answer is a reply that is held back until the commit.
type answer struct {
	to     *Command
	reply  Reply
	waiter *waiter // the reply is a hand-over to it, or its call
}

// record appends an event and gives it its sequence number, unless the audit level
// leaves it out; then the number is 0.
func (m *Machine) record(e Event) Seq {
	if !m.rules.Level.records(e.Kind) {
		return 0
	}
	m.seq++
	e.Seq = m.seq
	e.Time = m.now
	m.batch.events = append(m.batch.events, e)
	m.batch.bytes += e.size()
	return e.Seq
}

// size estimates the bytes of the event's line.
func (e *Event) size() int {
	n := 300 + len(e.Cause) + len(e.RequestID) + len(e.TraceID) + len(e.Actor.UserAgent)
	if l := e.Lease; l != nil {
		n += len(l.Name) + len(l.Account) + len(l.Holder) + len(l.Reason)
		for k, v := range l.Metadata {
			n += len(k) + len(v) + 6
		}
	}
	for _, note := range e.Notes {
		n += len(note.Policy) + len(note.Key) + len(note.Value) + 32
	}
	for _, v := range e.Verdicts {
		n += len(v.Policy) + len(v.Reason) + len(v.Priority) + 192
	}
	if e.PolicySet != "" || e.SetAtGrant != "" {
		n += 80
	}
	return n + e.Loaded.size() + e.Replaced.size()
}

func (s *PolicySet) size() int {
	if s == nil {
		return 0
	}
	n := 64
	for i := range s.Policies {
		p := &s.Policies[i]
		n += len(p.Name) + len(p.Digest) + 96
		for _, text := range p.Match {
			n += len(text) + 3
		}
	}
	return n
}

func (m *Machine) answer(c *Command, r Reply) {
	m.batch.answers = append(m.batch.answers, answer{to: c, reply: r})
}

func (m *Machine) refuse(c *Command, err error) { m.answer(c, Reply{Err: err}) }

// Events returns the events of the batch. They must be durable before its answers leave.
func (m *Machine) Events() []Event { return m.batch.events }

// Rows appends the final rows of the names whose lease changed in this batch.
func (m *Machine) Rows(rows []Row) []Row {
	for _, c := range m.batch.changed {
		if !sameLease(c.before, c.entry.held) {
			rows = append(rows, c.row())
		}
	}
	return rows
}

func (c *change) row() Row {
	e := c.entry
	row := Row{Name: e.name, Lease: c.lease}
	if e.held == nil {
		return row
	}
	if row.Lease == nil {
		row.Lease = e.held.asLease(e.name)
	}
	if e.held.attempt != nil {
		row.Attempt = *e.held.attempt
	}
	return row
}

// Accept makes the batch final: its events are durable.
func (m *Machine) Accept() {
	if len(m.batch.events) > 0 {
		m.retryAt = time.Time{}
	}
}

// TakeBack undoes the batch in memory, because the store refused it and wrote nothing.
// Leases, deadlines and counts are as before (invariant 7). Waiters that were granted the
// lock are back in their places; waiters that left stay gone. No sequence number is used
// twice.
func (m *Machine) TakeBack() {
	m.retryAt = m.now.Add(fullBackoff)
	for _, c := range m.batch.changed {
		m.replace(c.entry, c.before)
	}
	for _, w := range m.batch.granted {
		m.restore(w)
	}
	for _, c := range m.batch.changed {
		if e := c.entry; e.held != nil && e.called != nil {
			m.move(e.called, listening)
		}
	}
	m.forgetCalls()
	m.readAgain()
	for _, w := range m.batch.deliveries {
		m.keepDelivery(w)
	}
	for _, e := range m.batch.dirty {
		m.retryLater(e)
	}
	m.releases.takeBack(m.batch.ends)
	m.endedAttempts.takeBack(m.batch.overs)
}

// readAgain answers queue reads again from the state without the batch: reads need no disk
// space, so they do not fail with it.
func (m *Machine) readAgain() {
	for i := range m.batch.answers {
		if a := &m.batch.answers[i]; a.to.Verb == DoQueue {
			a.reply.Queue, a.reply.Total = m.queueOf(a.to)
		}
	}
}

// forgetCalls makes late waiters listen again if their call was in this batch: the call is
// not sent, so they cannot claim.
func (m *Machine) forgetCalls() {
	for i := range m.batch.answers {
		a := &m.batch.answers[i]
		if a.reply.Turn != nil && a.waiter.listener == a.to && a.waiter.state == late {
			m.move(a.waiter, listening)
		}
	}
}

// retryLater schedules another hand-over of a free lock with waiters after its batch was
// taken back. Without it the waiters would wait for an event that may never come.
func (m *Machine) retryLater(e *entry) {
	if e.held != nil || e.called != nil {
		return
	}
	if w := e.queue.first(); w != nil {
		m.schedule.set(&w.due, m.retryAt)
	}
}

// restore puts a waiter whose grant was taken back into its old place. If its wait is over,
// its attempt keeps the place without a listener. While draining no waiter is put back.
func (m *Machine) restore(w *waiter) {
	if m.draining {
		w.listener = nil // it is told why it did not get the lock
		return
	}
	m.enter(w)
	if !w.listener.waits() {
		w.listener = nil
		m.move(w, absent)
		return
	}
	w.listener.waiter = w
}

// refused returns the reply to send after the batch was taken back, or false if none is
// sent: for a hand-over to a waiter that goes on waiting, or a call for a lock that is not
// free after all.
func (a *answer) refused(err error) (Reply, bool) {
	switch {
	case a.to.Verb == DoQueue && errors.Is(err, ErrFull):
		return a.reply, true
	case a.reply.Turn != nil:
		return a.reply, a.waiter.entry.called == a.waiter
	case a.waiter != nil && a.waiter.listener == a.to:
		return Reply{}, false
	}
	return Reply{Err: err}, true
}

// Replies returns the commands of the batch with their replies, in order. err is nil if
// the batch was accepted and [ErrFull] if it was taken back; any other error replaces the
// answers.
func (m *Machine) Replies(err error) iter.Seq2[*Command, Reply] {
	return func(yield func(*Command, Reply) bool) {
		for i := range m.batch.answers {
			a := &m.batch.answers[i]
			if r, ok := m.says(a, err); ok && !yield(a.to, r) {
				return
			}
		}
	}
}

// says returns the reply to send for an answer, or false if none is sent.
func (m *Machine) says(a *answer, err error) (Reply, bool) {
	switch {
	case err == nil:
		return m.told(a), true
	case errors.Is(err, ErrFull):
		return a.refused(err)
	case a.reply.Turn != nil:
		return Reply{}, false // it waits still, and is answered when the loop ends
	}
	return Reply{Err: err}, true
}

// told returns the reply for an accepted answer. A lease that a later command of the same
// batch ended is not sent: the client would take it for live.
func (m *Machine) told(a *answer) Reply {
	l := a.reply.Lease
	if l == nil {
		return a.reply
	}
	if e := m.entries[l.Name]; e != nil && e.held != nil && e.held.token == l.Token {
		return a.reply
	}
	if a.to.Verb == DoRenew {
		return Reply{Err: ErrNotHeld}
	}
	return Reply{Err: ErrTooLate}
}

// Finish ends the batch, after it is accepted or taken back, its views are published and
// its answers are sent. It forgets idle entries.
func (m *Machine) Finish() {
	for _, e := range m.batch.dirty {
		e.inBatch = 0
		if e.idle() {
			delete(m.entries, e.name)
		}
	}
	m.clearBatch()
}

func (m *Machine) clearBatch() {
	b := &m.batch
	*b = batch{
		events:     emptied(b.events),
		answers:    emptied(b.answers),
		dirty:      emptied(b.dirty),
		changed:    emptied(b.changed),
		granted:    emptied(b.granted),
		deliveries: emptied(b.deliveries),
	}
}

// mostKept is the largest capacity of a buffer that is used again. Only the batches of a
// start or a drain need more.
const mostKept = 4 * BatchSteps

// emptied returns a buffer to be used again without what was in it, or nil if it has
// grown too large to be kept.
func emptied[T any](buffer []T) []T {
	if cap(buffer) > mostKept {
		return nil
	}
	clear(buffer)
	return buffer[:0]
}

// LargestBuffer returns the largest capacity among the buffers that batches share.
func (m *Machine) LargestBuffer() int {
	b := &m.batch
	return max(cap(b.events), cap(b.answers), cap(b.dirty), cap(b.changed), cap(b.granted), cap(b.deliveries), cap(m.freed))
}
