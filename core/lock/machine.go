package lock

import (
	"cmp"
	"hash/maphash"
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
	accounts      map[string]*accountUse    // of each account that has one
	texts         texts
	queued        map[attemptID]*waiter // waiters with a key
	absent        absentees             // of them all
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
// There is one for each lock, and a lock without waiters needs little else, so its size
// counts.
type entry struct {
	Slot
	held   *held   // nil: free
	queue  *queue  // nil until the first waiter
	called *waiter // the lock is free and this one has been asked to claim it
	absent *absentees
	place  int32 // of the end of the lease in the schedule from 1; 0: it is free
	// inBatch is 0 if the batch has not touched it. Else its view is to be published, and if
	// there is a before-image, this is its place from 1.
	inBatch int32
}

// touchedOnly is the inBatch of an entry without a before-image.
const touchedOnly = -1

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
		accounts:      make(map[string]*accountUse),
		texts:         texts{seed: maphash.MakeSeed()},
		schedule:      schedule{start: now},
		queued:        make(map[attemptID]*waiter),
		endedAttempts: newRecent[attemptID, Token](rememberFor, rememberMost),
		releases:      newRecent[Token, release](rememberFor, rememberMost),
	}
	m.batch.dirty = make([]*entry, 0, len(s.Leases))
	for i := range s.Leases {
		m.load(&s.Leases[i])
	}
	return m
}

func (m *Machine) load(l *Loaded) {
	lease := &l.Lease
	lease.ExpiresAt = m.now.Add(l.Remaining)
	lease.GrantedAt = onClockOf(m.now, lease.GrantedAt)
	h := m.newHeld(lease, l.Attempt)
	h.answers = hasArrived
	m.replace(m.begin(lease.Name), h)
}

// newHeld returns the form in which a lease is kept, with texts that are not parts of a
// request.
func (m *Machine) newHeld(l *Lease, attempt Attempt) *held {
	h := newHeld(l, attempt)
	h.account = m.ownAccount(l.Account)
	h.holder = m.texts.own(l.Holder)
	if h.more != nil {
		h.more.reason, h.more.metadata = m.texts.own(l.Reason), m.texts.ownAll(l.Metadata)
	}
	return h
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
	e := &entry{Slot: Slot{name: name}}
	m.entries[name] = e
	m.touch(e)
	return e
}

// touch has the view of e published after the commit, and e forgotten if nothing
// goes on there any more.
func (m *Machine) touch(e *entry) {
	if e.inBatch == 0 {
		e.inBatch = touchedOnly
		m.batch.dirty = append(m.batch.dirty, e)
	}
}

func (e *entry) idle() bool { return e.held == nil && e.queue.len() == 0 }

// setHeld changes what is held, keeping a before-image once per batch. lease is h in the form
// that others see, or nil.
func (m *Machine) setHeld(e *entry, h *held, lease *Lease) {
	m.touch(e)
	if e.inBatch == touchedOnly {
		m.batch.changed = append(m.batch.changed, change{entry: e, before: e.held})
		e.inBatch = int32(len(m.batch.changed))
	}
	m.batch.changed[e.inBatch-1].lease = lease
	m.replace(e, h)
}

// replace is the only place where a lease comes or goes, with its counts and its
// deadline.
func (m *Machine) replace(e *entry, h *held) {
	if e.held != nil {
		m.held--
		m.add(e.held.account, -1, 0)
	}
	e.held = h
	if h == nil {
		m.schedule.cancelEnd(e)
		return
	}
	m.held++
	m.add(h.account, 1, 0)
	m.schedule.setEnd(e, h.deadline())
}

// accountUse counts the leases and waiters of an account.
type accountUse struct {
	account      string
	holds, waits int
}

// ownAccount returns the name of an account, the same text for all its leases.
func (m *Machine) ownAccount(account string) string {
	if use := m.accounts[account]; use != nil {
		return use.account
	}
	return strings.Clone(account)
}

// use returns what an account has.
func (m *Machine) use(account string) accountUse {
	if use := m.accounts[account]; use != nil {
		return *use
	}
	return accountUse{}
}

// add changes what an account has.
func (m *Machine) add(account string, holds, waits int) {
	use := m.accounts[account]
	if use == nil {
		use = &accountUse{account: account}
		m.accounts[account] = use
	}
	use.holds += holds
	use.waits += waits
	if use.holds == 0 && use.waits == 0 {
		delete(m.accounts, account)
	}
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
