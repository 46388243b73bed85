package lock

import (
	"errors"
	"iter"
	"time"
)

// batch is what has been decided since the last commit.
type batch struct {
	events     []Event
	bytes      int // estimate
	steps      int
	answers    []answer
	dirty      []*entry
	changed    []*entry
	granted    []*waiter // out of the queue, by a grant of this batch
	ends       int       // entries added to released
	overs      int       // entries added to over
	deliveries []delivery
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

// Events returns what the batch has for the record, and has to be durable before its
// answers leave.
func (m *Machine) Events() []Event { return m.batch.events }

// Views appends the present state of every name that the batch touched, with up to limit
// places of its queue each.
func (m *Machine) Views(views []View, limit int) []View {
	for _, e := range m.batch.dirty {
		views = append(views, e.view(limit))
	}
	return views
}

// Rows appends the final rows of the names whose lease changed in this batch.
func (m *Machine) Rows(rows []Row) []Row {
	for _, e := range m.batch.changed {
		if row, ok := e.row(); ok {
			rows = append(rows, row)
		}
	}
	return rows
}

func (e *entry) row() (Row, bool) {
	row := Row{Name: e.name}
	if e.held != nil {
		row.Lease = e.held.lease
		if e.held.attempt != nil {
			row.Attempt = *e.held.attempt
		}
	}
	var before *Lease
	if e.before != nil {
		before = e.before.lease
	}
	return row, before != row.Lease
}

// Accept makes the batch final: what it had for the disk is there.
func (m *Machine) Accept() {
	if len(m.batch.events) > 0 {
		m.retryAt = time.Time{}
	}
}

// TakeBack undoes the batch in memory, because it was surely not written. Leases,
// deadlines and counts are as they were (invariant 7). Waiters that
// were granted the lock are back in their places; waiters that left stay gone.
// Sequence numbers are not given out a second time.
func (m *Machine) TakeBack() {
	m.retryAt = m.now.Add(fullBackoff)
	for _, e := range m.batch.changed {
		m.replace(e, e.before)
	}
	for _, w := range m.batch.granted {
		m.restore(w)
	}
	for _, e := range m.batch.changed {
		if e.held != nil && e.called != nil {
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

// readAgain answers the questions of the batch from what is true without it: they need no
// space on the disk.
func (m *Machine) readAgain() {
	for i := range m.batch.answers {
		if a := &m.batch.answers[i]; a.to.Verb == DoQueue {
			a.reply.Queue, a.reply.Total = m.queueOf(a.to)
		}
	}
}

// forgetCalls makes those whose call will not be sent eligible again: they know
// nothing of it and will not answer.
func (m *Machine) forgetCalls() {
	for i := range m.batch.answers {
		a := &m.batch.answers[i]
		if a.reply.Turn != nil && a.waiter.listener == a.to && a.waiter.state == late {
			m.move(a.waiter, listening)
		}
	}
}

// retryLater plans another hand-over of a free lock with waiters after its batch was taken
// back. Nothing else would wake it: the grant or the end it followed is undone.
func (m *Machine) retryLater(e *entry) {
	if e.held != nil || e.called != nil {
		return
	}
	if w := e.queue.first(); w != nil {
		m.schedule.set(&w.due, m.retryAt)
	}
}

// restore puts a waiter whose grant was taken back where it stood. A request whose wait is
// over does not stay there; its attempt keeps the place. While draining no waiter stays.
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

// refused is what an answer says when its batch was taken back, or false if it is
// not to be sent: a hand-over to a waiter that goes on waiting, or a call for a lock
// that turned out not to be free.
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

// Replies returns what the batch has to say, in order: to whom, and what. err is nil if
// the batch was accepted, [ErrFull] if it was taken back; any other error is what is said
// instead of an answer.
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

// says is what an answer comes to, or false if it is not sent.
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

// told is what an accepted answer says when it leaves. A lease that was given or
// renewed and then ended by a later command of the same batch must not be told.
func (m *Machine) told(a *answer) Reply {
	l := a.reply.Lease
	if l == nil {
		return a.reply
	}
	if e := m.entries[l.Name]; e != nil && e.held != nil && e.held.lease.Token == l.Token {
		return a.reply
	}
	if a.to.Verb == DoRenew {
		return Reply{Err: ErrNotHeld}
	}
	return Reply{Err: ErrTooLate}
}

// Finish ends the batch, once it is accepted or taken back, its views are published
// and its answers sent. Entries where nothing goes on are forgotten.
func (m *Machine) Finish() {
	for _, e := range m.batch.changed {
		e.changed, e.before = false, nil
	}
	for _, e := range m.batch.dirty {
		e.dirty = false
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

// mostKept is the capacity up to which a buffer is used again: more than a batch needs,
// unless it is that of a start or a drain.
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

// LargestBuffer returns the greatest capacity of what is used again from batch to batch.
func (m *Machine) LargestBuffer() int {
	b := &m.batch
	return max(cap(b.events), cap(b.answers), cap(b.dirty), cap(b.changed), cap(b.granted), cap(b.deliveries), cap(m.freed))
}
