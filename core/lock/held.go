package lock

import (
	"hash/maphash"
	"maps"
	"strings"
	"time"
)

// held is a live lease, in the form that is kept: a million of them have to be small. It is
// immutable, so that a pointer is a before-image. [held.asLease] makes a [Lease] of it.
type held struct {
	token            Token
	account, holder  string
	granted, expires time.Time
	attempt          *Attempt // nil: no key
	more             *details // nil: it has none of them
	ttl              millis

	// answers counts the answers with this lease that are not known to be lost: the grant,
	// and those to the same attempt. Without one the lease is undone. It is hasArrived if the
	// holder has the lease, or may have it from before a restart.
	answers int32
}

const hasArrived int32 = -1

// details are what most leases do not have.
type details struct {
	reason        string
	metadata      map[string]string
	confirmWithin time.Duration
	// undoAt, if not zero, is when the lease is undone, because no answer arrived,
	// unless the attempt asks again.
	undoAt time.Time
}

// millis is a time in milliseconds: the longest is 49 days.
type millis uint32

func (t millis) duration() time.Duration { return time.Duration(t) * time.Millisecond }

// newHeld returns the form in which a lease is kept. It keeps the texts of the lease.
func newHeld(l *Lease, attempt Attempt) *held {
	h := &held{
		token: l.Token, account: l.Account, holder: l.Holder,
		granted: l.GrantedAt, expires: l.ExpiresAt, ttl: millis(l.TTL / time.Millisecond),
	}
	if !attempt.IsZero() {
		h.attempt = new(attempt)
	}
	h.set(details{reason: l.Reason, metadata: l.Metadata, confirmWithin: l.ConfirmWithin})
	return h
}

// set gives a new lease its details.
func (h *held) set(d details) {
	h.more = nil
	if d.reason != "" || d.metadata != nil || d.confirmWithin != 0 || !d.undoAt.IsZero() {
		h.more = new(d)
	}
}

// details are zero for a lease without them.
func (h *held) details() (d details) {
	if h.more != nil {
		d = *h.more
	}
	return d
}

// asLease returns the lease in the form that others see, of the lock with this name.
func (h *held) asLease(name Name) *Lease {
	l := &Lease{
		Name: name, Token: h.token, Account: h.account, Holder: h.holder,
		TTL: h.ttl.duration(), GrantedAt: h.granted, ExpiresAt: h.expires,
	}
	if h.more != nil {
		l.Reason, l.Metadata, l.ConfirmWithin = h.more.reason, h.more.metadata, h.more.confirmWithin
	}
	return l
}

// sameLease reports whether two states of a lock have the same lease until the same instant:
// they may differ in what is known of its answers.
func sameLease(a, b *held) bool {
	if a == nil || b == nil {
		return a == b
	}
	return a.token == b.token && a.expires == b.expires && a.ttl == b.ttl && a.confirmWithin() == b.confirmWithin()
}

func (h *held) confirmWithin() time.Duration {
	if h.more == nil {
		return 0
	}
	return h.more.confirmWithin
}

func (h *held) undoAt() time.Time {
	if h.more == nil {
		return time.Time{}
	}
	return h.more.undoAt
}

// undelivered reports whether no client can have the lease.
func (h *held) undelivered() bool { return h.answers == 0 }

func (h *held) deadline() time.Time {
	if undoAt := h.undoAt(); !undoAt.IsZero() && undoAt.Before(h.expires) {
		return undoAt
	}
	return h.expires
}

// to returns a copy to be changed before it is held: undoAt is as given.
func (h *held) to(undoAt time.Time) *held {
	now := new(*h)
	if d := h.details(); !d.undoAt.Equal(undoAt) {
		d.undoAt = undoAt
		now.set(d)
	}
	return now
}

// texts holds texts that leases share, since many have the same: it finds some of the latest.
// What it returns is not a part of a larger text, which would be kept with it.
type texts struct {
	seed  maphash.Seed
	known [256]string
}

// own returns a text that is equal.
func (t *texts) own(text string) string {
	if text == "" {
		return ""
	}
	at := &t.known[maphash.String(t.seed, text)%uint64(len(t.known))]
	if *at != text {
		*at = strings.Clone(text)
	}
	return *at
}

// ownAll returns a map that is equal, or nil if there is nothing in it.
func (t *texts) ownAll(metadata map[string]string) map[string]string {
	if len(metadata) == 0 {
		return nil
	}
	own := maps.Clone(metadata)
	clear(own)
	for k, v := range metadata {
		own[t.own(k)] = t.own(v)
	}
	return own
}

// renewed gives a new lease what a renewal changes.
func (h *held) renewed(l *Lease) {
	h.expires, h.ttl = l.ExpiresAt, millis(l.TTL/time.Millisecond)
	if h.more != nil && h.more.confirmWithin != l.ConfirmWithin {
		d := *h.more
		d.confirmWithin = l.ConfirmWithin
		h.set(d)
	}
}

// Slot is what readers share with the machine of one lock: its name, and the lease that was
// last published. The owner of the machine guards it: readers look at it under a lock, and
// [Change.Publish] is called under the same.
type Slot struct {
	name  Name
	shown *held
}

// NewSlot returns the slot of a lock, for views without a machine.
func NewSlot(name Name) *Slot { return &Slot{name: name} }

// Name returns the name of the lock. It never changes.
func (s *Slot) Name() Name { return s.name }

// Shown is what a slot had when it was looked at. It does not change.
type Shown struct {
	name Name
	held *held
}

// Shown returns what was published.
func (s *Slot) Shown() Shown { return Shown{s.name, s.shown} }

// Lease returns the lease, or nil.
func (s Shown) Lease() *Lease {
	if s.held == nil {
		return nil
	}
	return s.held.asLease(s.name)
}

// Held reports whether the lock was held when it was last published.
func (s *Slot) Held() bool { return s.shown != nil }

// Lease returns the published lease, or nil.
func (s *Slot) Lease() *Lease { return s.Shown().Lease() }

// Account returns the account of the published lease, or no account.
func (s *Slot) Account() string {
	if s.shown == nil {
		return ""
	}
	return s.shown.account
}

// TTL returns the ttl of the published lease, or 0.
func (s *Slot) TTL() time.Duration {
	if s.shown == nil {
		return 0
	}
	return s.shown.ttl.duration()
}

// Change is the present state of a lock that a batch touched.
type Change struct {
	*Slot
	now *held

	Waiters      int       // all of them
	Queue        []Waiting // the first of them
	WaitingSince time.Time // see [View]
}

// NewChange returns the change that gives a slot a lease, or none, for views without a machine.
func NewChange(s *Slot, l *Lease) Change {
	c := Change{Slot: s}
	if l != nil {
		c.now = newHeld(l, Attempt{})
	}
	return c
}

// Free reports whether the lock is free.
func (c *Change) Free() bool { return c.now == nil }

// Publish makes the state that of the slot.
func (c *Change) Publish() { c.shown = c.now }

// Changes appends the present state of every name that the batch touched, from one of them
// on and at most so many, each with up to limit waiters of its queue.
func (m *Machine) Changes(changes []Change, from, most, limit int) []Change {
	dirty := m.batch.dirty[min(from, len(m.batch.dirty)):]
	for _, e := range dirty[:min(most, len(dirty))] {
		changes = append(changes, Change{
			Slot: &e.Slot, now: e.held,
			Waiters: e.queue.len(), Queue: e.queue.firstPage(limit), WaitingSince: e.queue.longest(),
		})
	}
	return changes
}
