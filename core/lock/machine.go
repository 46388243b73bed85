package lock

import (
	"cmp"
	"slices"
	"time"
)

// Times and bounds of the machine.
const (
	grace        = 10 * time.Second // a place, or an undelivered grant, kept for an attempt to come back
	callPatience = time.Second      // a called waiter has this long before the call is passed on
	rememberFor  = 10 * time.Minute // ended leases and attempts
	rememberMost = 1 << 18          // of each, whatever their age
	fullBackoff  = 250 * time.Millisecond

	defaultBatchEvents = 256
	defaultBatchBytes  = 256 << 10
	batchSteps         = 1024 // commands a batch may take that cause no event
)

// machine is the state of all names and the rules by which it changes. It is pure:
// step and its like take commands and instants, and leave events and answers in
// batch. Somebody else commits the batch and then says accept or takeBack.
type machine struct {
	cfg       Config
	maxEvents int
	maxBytes  int

	now      time.Time
	seq      Seq    // last one given out
	arrivals uint64 // waiters so far

	entries  map[Name]*entry
	schedule schedule
	held     int
	waiting  int
	accounts map[string]int        // holds and waits of each account
	places   map[attemptID]*waiter // waiters with a key
	over     *recent[attemptID, struct{}]
	ended    *recent[Token, ended]
	draining bool
	retryAt  time.Time // no deadline is looked at before: the disk was full

	batch batch
}

// entry is a name with something going on.
type entry struct {
	name   Name
	held   *held // nil: free
	queue  queue
	called *waiter // the lock is free and this one has been asked to claim it
	due    timed   // the end of the lease

	// In the current batch:
	dirty   bool // its view is to be published
	changed bool // before is its before-image
	before  *held
}

// held is a live lease. It is immutable, so that a pointer is a before-image.
type held struct {
	lease   *Lease
	attempt *Attempt // nil: no key
	// asks counts how often the attempt has been answered with this lease; only the
	// newest answer can be undone.
	asks int
	// undoAt, if not zero, is when the lease is undone, because its answer did not
	// arrive, unless the attempt asks again.
	undoAt time.Time
}

func (h *held) deadline() time.Time {
	if !h.undoAt.IsZero() && h.undoAt.Before(h.lease.ExpiresAt) {
		return h.undoAt
	}
	return h.lease.ExpiresAt
}

// attemptID is what an idempotency key is unique in.
type attemptID struct {
	account string
	name    Name
	key     [32]byte
}

// ended is what a repeated release is answered from.
type ended struct {
	lease *Lease
	held  time.Duration
	kind  Kind
}

// batch is what has been decided since the last commit.
type batch struct {
	events  []Event
	bytes   int // estimate
	steps   int
	answers []answer
	dirty   []*entry
	changed []*entry
	granted []*waiter // out of the queue, by a grant of this batch
	ends    int       // entries added to ended
	overs   int       // entries added to over
	undone  []*entry  // whose grant was to be undone
}

// answer is a reply on its way to whoever asked, held back until the commit.
type answer struct {
	to     *command
	reply  reply
	waiter *waiter // the reply is a hand-over to it, or its call
}

func newMachine(cfg Config, s Snapshot, now time.Time) *machine {
	m := &machine{
		cfg:       cfg,
		maxEvents: cmp.Or(s.MaxEvents, defaultBatchEvents),
		maxBytes:  cmp.Or(s.MaxBytes, defaultBatchBytes),
		now:       now,
		seq:       max(s.Head.Seq+1, Seq(max(now.Unix(), 0))<<20) - 1,
		entries:   make(map[Name]*entry, len(s.Leases)),
		accounts:  make(map[string]int),
		places:    make(map[attemptID]*waiter),
		over:      newRecent[attemptID, struct{}](rememberFor, rememberMost),
		ended:     newRecent[Token, ended](rememberFor, rememberMost),
	}
	for i := range s.Leases {
		m.load(&s.Leases[i])
	}
	return m
}

func (m *machine) load(l *Loaded) {
	lease := l.Lease
	lease.ExpiresAt = m.now.Add(l.Remaining)
	h := &held{lease: &lease}
	if !l.Attempt.IsZero() {
		attempt := l.Attempt
		h.attempt = &attempt
	}
	m.setHeld(m.entry(lease.Name), h)
}

// advance moves now forward, never back.
func (m *machine) advance(to time.Time) {
	if to.After(m.now) {
		m.now = to
	}
}

func (m *machine) entry(name Name) *entry {
	e := m.entries[name]
	if e == nil {
		e = &entry{name: name}
		e.due.entry = e
		m.entries[name] = e
		m.touch(e)
	}
	return e
}

// touch has the view of e published after the commit, and e forgotten if nothing
// goes on there any more.
func (m *machine) touch(e *entry) {
	if !e.dirty {
		e.dirty = true
		m.batch.dirty = append(m.batch.dirty, e)
	}
}

func (e *entry) idle() bool { return e.held == nil && len(e.queue) == 0 }

func (e *entry) view() view {
	var v view
	if e.held != nil {
		v.lease = e.held.lease
	}
	if n := len(e.queue); n > 0 {
		v.queue = &viewedQueue{total: n, first: e.queue.page(0, viewedWaiters)}
	}
	return v
}

// setHeld changes what is held, keeping a before-image once per batch.
func (m *machine) setHeld(e *entry, h *held) {
	if !e.changed {
		e.changed, e.before = true, e.held
		m.batch.changed = append(m.batch.changed, e)
	}
	m.touch(e)
	m.replace(e, h)
}

// replace is the only place where a lease comes or goes, with its counts and its
// deadline.
func (m *machine) replace(e *entry, h *held) {
	if e.held != nil {
		m.held--
		m.discount(e.held.lease.Account)
	}
	e.held = h
	if h == nil {
		m.schedule.cancel(&e.due)
		return
	}
	m.held++
	m.accounts[h.lease.Account]++
	m.schedule.set(&e.due, h.deadline())
}

func (m *machine) discount(account string) {
	if m.accounts[account]--; m.accounts[account] == 0 {
		delete(m.accounts, account)
	}
}

// record appends an event and gives it its sequence number, unless the audit level
// leaves it out; then the number is 0.
func (m *machine) record(e Event) Seq {
	if !m.cfg.Level.records(e.Kind) {
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
	n := 300 + len(e.Cause) + len(e.RequestID) + len(e.Actor.UserAgent)
	if l := e.Lease; l != nil {
		n += len(l.Name) + len(l.Account) + len(l.Holder) + len(l.Reason)
		for k, v := range l.Metadata {
			n += len(k) + len(v) + 6
		}
	}
	for _, note := range e.Notes {
		n += len(note.Policy) + len(note.Key) + len(note.Value) + 32
	}
	return n
}

func (m *machine) answer(c *command, r reply) {
	m.batch.answers = append(m.batch.answers, answer{to: c, reply: r})
}

func (m *machine) refuse(c *command, err error) { m.answer(c, reply{err: err}) }

// full reports whether the batch should be committed before more is decided.
func (m *machine) full() bool {
	b := &m.batch
	return len(b.events) >= m.maxEvents || b.bytes >= m.maxBytes || b.steps >= batchSteps
}

// next is the instant of the next deadline, or the zero time.
func (m *machine) next() time.Time {
	t := m.schedule.first()
	switch {
	case t == nil:
		return time.Time{}
	case t.at.Before(m.retryAt):
		return m.retryAt
	}
	return t.at
}

// settleDue lets what is due happen, as long as it fills at most half a batch.
func (m *machine) settleDue() {
	if m.now.Before(m.retryAt) {
		return
	}
	for most := max(m.maxEvents/2, 1); len(m.batch.events) < most && m.batch.steps < batchSteps; m.batch.steps++ {
		t := m.schedule.first()
		if t == nil || t.at.After(m.now) {
			return
		}
		if t.waiter != nil {
			m.patienceOver(t.waiter)
			continue
		}
		m.settle(t.entry)
	}
}

// decide fills a batch: first the departures, then what is due, then commands until
// the batch is full. It returns how many commands it took. at is an instant all of
// them arrived by; commands are in order of arrival.
func (m *machine) decide(at time.Time, left []leaving, commands []*command) int {
	if len(commands) > 0 {
		at = commands[0].at // a renewal that lies here came before what is due later
	}
	m.advance(at)
	m.departures(left)
	m.settleDue()
	n := 0
	for n < len(commands) && !m.full() {
		m.step(commands[n])
		n++
	}
	return n
}

// departures steps all departures and only then passes on what they left.
func (m *machine) departures(left []leaving) {
	if len(left) == 0 {
		return
	}
	freed := make([]*entry, 0, len(left))
	for _, l := range left {
		if e := m.depart(l.c, l.why, l.cause); e != nil {
			freed = append(freed, e)
		}
	}
	for _, e := range freed {
		m.handOver(e)
	}
}

// step decides one command.
func (m *machine) step(c *command) {
	m.batch.steps++
	m.advance(c.at)
	switch c.do {
	case doAcquire:
		m.acquire(c)
	case doClaim:
		m.claim(c)
	case doRenew:
		m.renew(c)
	case doRelease:
		m.release(c)
	case doBreak:
		m.breakLease(c)
	case doUndo:
		m.undo(c)
	case doAppend:
		m.answer(c, reply{seq: m.record(c.event)})
	case doQueue:
		m.queuePage(c)
	case doDrain:
		m.drain()
		m.answer(c, reply{})
	}
}

// rows are the final rows of the names whose lease changed in this batch.
func (m *machine) rows() []Row {
	var rows []Row
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

// accept makes the batch final: what it had for the disk is there.
func (m *machine) accept() {
	if len(m.batch.events) > 0 {
		m.retryAt = time.Time{}
	}
}

// takeBack undoes the batch in memory, because it was surely not written. Leases,
// deadlines and counts are as they were (invariant 7). Whoever was granted the lock
// out of the queue is back in their place; those who left are gone all the same.
// Sequence numbers are not given out a second time.
func (m *machine) takeBack() {
	m.retryAt = m.now.Add(fullBackoff)
	for _, e := range m.batch.changed {
		m.replace(e, e.before)
	}
	for _, w := range m.batch.granted {
		m.restore(w)
	}
	for _, e := range m.batch.changed {
		if e.held != nil && e.called != nil {
			m.withdrawCall(e.called)
		}
	}
	for _, e := range m.batch.undone {
		m.undoLater(e)
	}
	m.ended.takeBack(m.batch.ends)
	m.over.takeBack(m.batch.overs)
}

// undoLater keeps in mind that the grant of e did not arrive, although the batch
// that undid it was refused.
func (m *machine) undoLater(e *entry) {
	if e.held == nil {
		return
	}
	h := *e.held
	h.undoAt = m.retryAt
	if h.attempt != nil {
		h.undoAt = m.now.Add(grace)
	}
	m.replace(e, &h)
}

// restore puts a waiter whose grant was taken back where it stood. If its lock is
// free it is tried again in a while: nothing else would.
func (m *machine) restore(w *waiter) {
	m.enter(w)
	w.req.place = w
	if w.entry.held == nil {
		m.schedule.set(&w.due, m.retryAt)
	}
}

// outstanding reports whether an answer still stands after its batch was taken
// back: a hand-over does not, and a call only if the lock was free before.
func (a *answer) outstanding() bool {
	return a.waiter == nil || a.reply.call != nil && a.waiter.entry.called == a.waiter
}

// finish ends the batch, once it is accepted or taken back, its views are published
// and its answers sent. Entries where nothing goes on are forgotten.
func (m *machine) finish() {
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

func (m *machine) clearBatch() {
	b := &m.batch
	clear(b.answers)
	clear(b.dirty)
	clear(b.changed)
	clear(b.granted)
	clear(b.undone)
	*b = batch{
		events:  nil, // the journal may still read them
		answers: b.answers[:0],
		dirty:   b.dirty[:0],
		changed: b.changed[:0],
		granted: b.granted[:0],
		undone:  b.undone[:0],
	}
}

// drain sends every waiter away and refuses those to come.
func (m *machine) drain() {
	m.draining = true
	waiting := make([]*entry, 0, len(m.entries))
	for _, e := range m.entries {
		if len(e.queue) > 0 {
			waiting = append(waiting, e)
		}
	}
	slices.SortFunc(waiting, func(a, b *entry) int { return cmp.Compare(a.name, b.name) })
	for _, e := range waiting {
		m.dismiss(e, ErrDraining)
	}
}

// dismiss sends everybody in a queue away with err.
func (m *machine) dismiss(e *entry, err error) {
	for _, w := range slices.Clone(e.queue) {
		if w.req != nil {
			m.refuse(w.req, err)
			w.req.place = nil
		}
		m.remove(w)
	}
}

func (m *machine) queuePage(c *command) {
	var page []Waiting
	total := 0
	if e := m.entries[c.name]; e != nil {
		page, total = e.queue.page(c.skip, c.limit), len(e.queue)
	}
	m.answer(c, reply{queue: page, total: total})
}
