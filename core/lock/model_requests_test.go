package lock

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"
)

// do plays one line of a script and returns what comes of it.
func (m *model) do(line string) string {
	m.out = nil
	f := strings.Fields(line)
	switch f[0] {
	case "at":
		d, _ := time.ParseDuration(f[1])
		m.advance(d)
	case "limit":
		o := options(f[1:])
		m.maxHere, _ = strconv.Atoi(o["waiters"])
		m.maxAll, _ = strconv.Atoi(o["all"])
	default:
		m.client(f[0], f[1], f[2:])
	}
	var events, answers strings.Builder
	for _, s := range m.out {
		if rest, is := strings.CutPrefix(s, "\x00"); is {
			answers.WriteString(rest + "\n")
			continue
		}
		events.WriteString(s + "\n")
	}
	return events.String() + answers.String()
}

func (m *model) client(who, verb string, rest []string) {
	switch verb {
	case "acquire":
		m.acquire(who, rest[0], options(rest[1:]))
	case "hangs", "stops":
		m.leave(who, verb == "hangs")
	case "claims":
		m.claim(who)
	case "declines":
		m.decline(who)
	case "renew":
		m.renew(who, rest[0], options(rest[1:]))
	case "release":
		m.release(who, rest[0], options(rest[1:]))
	case "break":
		m.breakIt(who, rest[0])
	case "undo":
		m.undo(who, len(rest) > 0)
	}
}

func accountOf(o map[string]string) string {
	if o["account"] != "" {
		return o["account"]
	}
	return "acme"
}

func (m *model) acquire(who, name string, o map[string]string) {
	l := m.lock(name)
	ttl, _ := time.ParseDuration(o["ttl"])
	wait, _ := time.ParseDuration(o["wait"])
	account, key, confirm := accountOf(o), o["key"], span(o["confirm"])
	_, asks := o["ask"]
	delete(m.places, who) // the client speaks of its newest request from now on
	if key != "" {
		if p := m.placeOf(l, account, key); p != nil {
			if p.ttl != ttl || p.confirm != confirm {
				m.answer(who, "key mismatch")
				return
			}
			m.comeBack(p, who, wait, asks)
			return
		}
		if l.lease != nil && l.lease.key == key && l.lease.account == account {
			if l.lease.asked != ttl || max(l.lease.confirm, -l.lease.confirm) != confirm {
				m.answer(who, "key mismatch")
				return
			}
			l.lease.undoAt, l.lease.planned = 0, m.plan()
			m.tell(who, l.lease)
			m.answer(who, fmt.Sprintf("granted %d again", l.lease.token))
			return
		}
		if m.over[account+" "+name+" "+key] != 0 {
			m.answer(who, "attempt over")
			return
		}
	}
	someoneIsThere := slices.ContainsFunc(l.queue, func(p *modelPlace) bool { return p.there })
	if l.lease == nil && !someoneIsThere {
		got := m.grant(name, who, account, key, ttl, confirm, Normal)
		m.answer(who, fmt.Sprintf("has %d until %s", got.token, got.ends))
		return
	}
	if wait == 0 {
		m.held(who, l, 0)
		return
	}
	if !m.makeRoom(l) {
		m.answer(who, "queue full")
		return
	}
	p := &modelPlace{lock: name, who: who, account: account, key: key, ttl: ttl, confirm: confirm, since: m.now, there: true, asksPolicies: asks, priority: priorityOf(o)}
	l.queue = append(l.queue, p)
	slices.SortStableFunc(l.queue, func(a, b *modelPlace) int { return int(b.priority - a.priority) })
	m.places[who] = p
	if l.lease == nil && l.called == nil && l.first() == p {
		m.give(p)
	}
}

func (m *model) placeOf(l *modelLock, account, key string) *modelPlace {
	for _, p := range l.queue {
		if p.account == account && p.key == key {
			return p
		}
	}
	return nil
}

// comeBack is a newer request of an attempt that has a place.
func (m *model) comeBack(p *modelPlace, who string, wait time.Duration, asks bool) {
	l := m.lock(p.lock)
	if p.there {
		m.answer(p.who, "superseded")
	}
	if l.called == p {
		l.called = nil
	}
	p.there, p.thinking, p.until, p.asksPolicies = true, false, 0, asks
	m.places[who] = p
	if l.lease == nil && l.called == nil && l.first() == p {
		m.give(p)
		return
	}
	if wait == 0 {
		m.away(p, false)
	}
	m.pass(p.lock)
}

// away keeps the place of an attempt for a while, and drops that of a stranger.
func (m *model) away(p *modelPlace, silent bool) {
	l := m.lock(p.lock)
	place := slices.Index(l.queue, p) + 1
	delete(m.places, p.who)
	if p.key == "" {
		m.drop(p)
	} else {
		if l.called == p {
			l.called = nil
		}
		p.there, p.thinking, p.until = false, false, m.now+grace
		p.planned = m.plan()
	}
	if silent {
		m.answer(p.who, "gone")
		return
	}
	m.held(p.who, l, place)
}

func (m *model) held(who string, l *modelLock, place int) {
	text := "promised to a waiter"
	if l.lease != nil {
		text = "held by " + l.lease.who
	}
	if place > 0 {
		text += fmt.Sprintf(", place %d", place)
	}
	m.answer(who, fmt.Sprintf("%s, %d waiting", text, len(l.queue)))
}

func (m *model) leave(who string, silent bool) {
	p := m.places[who]
	if p == nil {
		return
	}
	m.away(p, silent)
	m.pass(p.lock)
}

func (m *model) claim(who string) {
	p := m.places[who]
	if p == nil || !p.thinking {
		return
	}
	l := m.lock(p.lock)
	p.thinking, p.until = false, 0
	if l.called == p || l.called != nil && slices.Index(l.queue, l.called) > slices.Index(l.queue, p) {
		l.called.until = 0
		l.called = nil
	}
	if l.lease == nil && l.called == nil && l.first() == p {
		m.give(p)
		return
	}
	m.pass(p.lock)
}

func (m *model) decline(who string) {
	p := m.places[who]
	if p == nil {
		return
	}
	m.drop(p)
	m.answer(who, "denied at its turn")
	m.pass(p.lock)
}

// proven returns the token of the lease that a client means: the one its key got, or the
// newest it was told of.
func (m *model) proven(who, name string, o map[string]string) Token {
	key, account := o["key"], accountOf(o)
	if key == "" {
		return m.tokens[who]
	}
	if l := m.lock(name).lease; l != nil && l.key == key && l.account == account {
		return l.token
	}
	return m.over[account+" "+name+" "+key]
}

// holds returns the lock if the token that the client proves is that of its live lease.
func (m *model) holds(who, name string, o map[string]string) *modelLock {
	l := m.lock(name)
	if l.lease == nil || l.lease.token != m.proven(who, name, o) || l.lease.account != accountOf(o) {
		return nil
	}
	return l
}

func (m *model) renew(who, name string, o map[string]string) {
	l := m.holds(who, name, o)
	if l == nil {
		m.answer(who, "not held")
		return
	}
	e := l.lease
	ttl := e.ttl
	if o["ttl"] != "" {
		ttl, _ = time.ParseDuration(o["ttl"])
	}
	if e.confirm > 0 {
		ttl, e.confirm = max(ttl, e.ttl), -e.confirm
	}
	if m.now+ttl > e.ends {
		e.ends, e.ttl = m.now+ttl, ttl
	}
	e.undoAt, e.planned, e.arrived = 0, m.plan(), true
	m.say("%d renewed %s %s until %s", m.next(), name, e.who, e.ends)
	m.answer(who, fmt.Sprintf("has %d until %s", e.token, e.ends))
}

func (m *model) release(who, name string, o map[string]string) {
	if l := m.holds(who, name, o); l != nil {
		e := l.lease
		m.end(l, Released, true)
		e.ends = m.now - e.granted // how long it was held
		m.answer(who, fmt.Sprintf("ended %d after %s", e.token, e.ends))
		return
	}
	if e := m.past[m.proven(who, name, o)]; e != nil && e.account == accountOf(o) {
		m.answer(who, fmt.Sprintf("ended %d after %s", e.token, e.ends))
		return
	}
	m.answer(who, "not held")
}

func (m *model) breakIt(who, name string) {
	l := m.lock(name)
	if l.lease == nil {
		m.answer(who, "free")
		return
	}
	e := l.lease
	m.end(l, Broken, true)
	m.answer(who, fmt.Sprintf("ended %d after %s", e.token, m.now-e.granted))
}

// undo is the word that the newest answer with a lease, or the oldest, did not reach the
// client.
func (m *model) undo(who string, oldest bool) {
	told := m.told[who]
	at := len(told) - 1
	if oldest {
		at = 0
	}
	lost := told[at]
	m.told[who] = slices.Delete(told, at, at+1)
	for _, name := range m.names() {
		l := m.locks[name]
		if l.lease == nil || l.lease.token != lost {
			continue
		}
		l.lease.answers--
		l.lease.planned = m.plan()
		if l.lease.answers > 0 || l.lease.arrived {
			continue
		}
		if l.lease.key == "" {
			m.end(l, Undone, true)
			return
		}
		l.lease.undoAt = m.now + grace
	}
}
