package lock

import (
	"cmp"
	"strings"
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
	BatchSteps         = 1024 // commands a batch may take that cause no event
)

// Machine is the state of all names and the rules by which it changes. It is pure: it
// takes commands and instants ([Machine.Feed], [Machine.Step]) and leaves events and
// answers in a batch. Its owner commits the batch, calls [Machine.Accept] or
// [Machine.TakeBack], sends [Machine.Replies], and ends the batch with [Machine.Finish].
type Machine struct {
	rules     Rules
	maxEvents int
	maxBytes  int

	now      time.Time
	seq      Seq    // last one given out
	arrivals uint64 // waiters so far

	entries       map[Name]*entry
	schedule      schedule
	held          int
	waiting       int
	waitStarts    [PriorityCount]waitStarts // of all waiters, by class
	accounts      map[string]accountUse     // of each account that has one
	queued        map[attemptID]*waiter     // waiters with a key
	absent        absentees                 // of them all
	endedAttempts *recent[attemptID, Token]
	releases      *recent[Token, release]
	draining      bool
	badMoves      []string  // moves of waiters that there are not: a fault
	freed         []*entry  // by departures, to be passed on when all are stepped
	recheck       bool      // see step: the answer for the lock of the present step
	retryAt       time.Time // no deadline is looked at before: the disk was full

	work  work
	batch batch
}

// entry is a name with something going on.
type entry struct {
	name   Name
	held   *held   // nil: free
	queue  *queue  // nil until the first waiter
	called *waiter // the lock is free and this one has been asked to claim it
	due    timed   // the end of the lease
	absent *absentees

	// In the current batch:
	dirty   bool // its view is to be published
	changed bool // before is its before-image
	before  *held
}

// held is a live lease. It is immutable, so that a pointer is a before-image.
type held struct {
	lease   *Lease
	attempt *Attempt // nil: no key
	// answers counts the answers with this lease that are not known to be lost: the grant,
	// and those to the same attempt. Without one, and if it has not arrived by any, the
	// lease is undone.
	answers int32
	// arrived: the holder has the lease, or may have it from before a restart.
	arrived bool
	// undoAt, if not zero, is when the lease is undone, because no answer arrived,
	// unless the attempt asks again.
	undoAt time.Time
}

// undelivered reports whether no client can have the lease.
func (h *held) undelivered() bool { return h.answers == 0 && !h.arrived }

func (h *held) deadline() time.Time {
	if !h.undoAt.IsZero() && h.undoAt.Before(h.lease.ExpiresAt) {
		return h.undoAt
	}
	return h.lease.ExpiresAt
}

// attemptID identifies an attempt: an idempotency key is unique per account and name.
type attemptID struct {
	account string
	name    Name
	key     [32]byte
}

// release is kept to answer a repeated release.
type release struct {
	account string
	held    time.Duration
}

// NewMachine returns a machine with the leases of a snapshot. now is the instant at which the
// snapshot was loaded.
func NewMachine(rules Rules, s Snapshot, now time.Time) *Machine {
	rules.MaxWaiters = cmp.Or(rules.MaxWaiters, 50_000)
	rules.MaxWaitersPerLock = cmp.Or(rules.MaxWaitersPerLock, 10_000)
	m := &Machine{
		rules:         rules,
		maxEvents:     cmp.Or(s.MaxEvents, defaultBatchEvents),
		maxBytes:      cmp.Or(s.MaxBytes, defaultBatchBytes),
		now:           now,
		seq:           max(s.Head.Seq+1, Seq(max(now.Unix(), 0))<<20) - 1,
		entries:       make(map[Name]*entry, len(s.Leases)),
		accounts:      make(map[string]accountUse),
		queued:        make(map[attemptID]*waiter),
		endedAttempts: newRecent[attemptID, Token](rememberFor, rememberMost),
		releases:      newRecent[Token, release](rememberFor, rememberMost),
	}
	for i := range s.Leases {
		m.load(&s.Leases[i])
	}
	return m
}

func (m *Machine) load(l *Loaded) {
	lease := l.Lease
	lease.ExpiresAt = m.now.Add(l.Remaining)
	lease.GrantedAt = onClockOf(m.now, lease.GrantedAt)
	h := &held{lease: &lease, arrived: true}
	if !l.Attempt.IsZero() {
		attempt := l.Attempt
		h.attempt = &attempt
	}
	m.setHeld(m.begin(lease.Name), h)
}

// onClockOf returns the instant at with the monotonic reading it would have had in the
// process that read now. Its wall clock stays as it is.
func onClockOf(now, at time.Time) time.Time {
	if on := now.Add(at.Sub(now)); on.Round(0).Equal(at.Round(0)) {
		return on
	}
	return at // too far away for such a reading, or it has one
}

// advance moves now forward, never back.
func (m *Machine) advance(to time.Time) {
	if to.After(m.now) {
		m.now = to
	}
}

// entry returns the entry of a name, a new one if need be. All that is kept of the name,
// also after the end of its leases, is a copy: the name of a request is part of its much
// longer first line.
func (m *Machine) entry(name Name) *entry {
	if e := m.entries[name]; e != nil {
		return e
	}
	return m.begin(Name(strings.Clone(string(name))))
}

// begin adds an entry for a name that has none, and keeps the name.
func (m *Machine) begin(name Name) *entry {
	e := &entry{name: name}
	e.due.entry = e
	m.entries[name] = e
	m.touch(e)
	return e
}

// touch has the view of e published after the commit, and e forgotten if nothing
// goes on there any more.
func (m *Machine) touch(e *entry) {
	if !e.dirty {
		e.dirty = true
		m.batch.dirty = append(m.batch.dirty, e)
	}
}

func (e *entry) idle() bool { return e.held == nil && e.queue.len() == 0 }

// view returns the state of e with up to limit places of its queue.
func (e *entry) view(limit int) View {
	v := View{Name: e.name, Waiters: e.queue.len()}
	if e.held != nil {
		v.Lease = e.held.lease
	}
	v.Queue = e.queue.page(0, limit)
	v.WaitingSince = e.queue.longest()
	return v
}

// setHeld changes what is held, keeping a before-image once per batch.
func (m *Machine) setHeld(e *entry, h *held) {
	if !e.changed {
		e.changed, e.before = true, e.held
		m.batch.changed = append(m.batch.changed, e)
	}
	m.touch(e)
	m.replace(e, h)
}

// replace is the only place where a lease comes or goes, with its counts and its
// deadline.
func (m *Machine) replace(e *entry, h *held) {
	if e.held != nil {
		m.held--
		m.add(e.held.lease.Account, accountUse{holds: -1})
	}
	e.held = h
	if h == nil {
		m.schedule.cancel(&e.due)
		return
	}
	m.held++
	m.add(h.lease.Account, accountUse{holds: 1})
	m.schedule.set(&e.due, h.deadline())
}

// accountUse counts the leases and waiters of an account.
type accountUse struct{ holds, waits int }

// add changes what an account has.
func (m *Machine) add(account string, more accountUse) {
	now := m.accounts[account]
	now.holds += more.holds
	now.waits += more.waits
	if now == (accountUse{}) {
		delete(m.accounts, account)
		return
	}
	m.accounts[account] = now
}

// full reports whether the batch should be committed before more is decided.
func (m *Machine) full() bool {
	b := &m.batch
	return len(b.events) >= m.maxEvents || b.bytes >= m.maxBytes || b.steps >= BatchSteps
}

// Counts returns how many leases there are, and how many waiters.
func (m *Machine) Counts() (held, waiting int) { return m.held, m.waiting }

// Waiters returns how many wait with a priority, and since when the first of them does.
func (m *Machine) Waiters(p Priority) (waiters int, since time.Time) {
	of := &m.waitStarts[p.class()]
	_, since, _ = of.Min()
	return of.Len(), since
}

// Rules are the limits of a set of locks, and what is recorded of them. The zero value
// is useful.
type Rules struct {
	MaxWaiters        int // in all; default 50,000
	MaxWaitersPerLock int // default 10,000
	MaxPerAccount     int // locks an account may hold and wait for; default 0: no limit
	// MaxWaitersPerAccount is how many waiters an account may have, absent ones included;
	// default 0: no limit.
	MaxWaitersPerAccount int
	Unlimited            string // the account that has no limits of its own; empty: none
	Level                Level
}

// Level is how much is recorded besides the changes.
type Level int

// Levels, each with what is recorded at the one before.
const (
	Decisions Level = iota // the default: also what policies refused, and notices
	Changes                // only what changes a lease
	All                    // also refusals because a lock is held, and waiters who left
)

func (l Level) records(k Kind) bool {
	switch k {
	case Granted, Renewed, Released, Expired, Broken, Undone:
		return true
	case Conflict, Abandoned:
		return l == All
	case Denied, PolicyError:
		return l != Changes
	}
	return true
}
