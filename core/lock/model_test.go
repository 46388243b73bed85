package lock

import (
	"fmt"
	"slices"
	"strings"
	"time"
)

// model is the rules once more, as plainly as they can be put: lists that are
// searched from the front, one thing after the other, nothing kept in step with
// anything else. It tells the same story as a stage, line by line.
type model struct {
	now    time.Duration
	seq    Seq
	locks  map[string]*modelLock
	past   map[Token]*modelLease // ended by release
	over   map[string]bool       // attempts that had their lease
	tokens map[string]Token      // the newest token each client was told of
	asks   map[string]int        // and which answer that was
	places map[string]*modelPlace
	plans  int // deadlines planned so far: of two at one instant the earlier plan comes first
	out    []string
}

type modelLock struct {
	lease  *modelLease
	queue  []*modelPlace
	called *modelPlace
}

type modelLease struct {
	lock, who, account, key string
	token                   Token
	granted, ends, ttl      time.Duration
	asked                   time.Duration // the ttl it was asked for with
	undoAt                  time.Duration // 0: not to be undone
	asks                    int
	planned                 int
}

// modelPlace is a place in a queue.
type modelPlace struct {
	lock, who, account, key string
	ttl                     time.Duration
	since                   time.Duration
	there, asksPolicies     bool
	thinking                bool
	until                   time.Duration // of a call, or of an absence; 0: for ever
	planned                 int
}

func newModel() *model {
	return &model{
		locks: map[string]*modelLock{}, past: map[Token]*modelLease{}, over: map[string]bool{},
		tokens: map[string]Token{}, asks: map[string]int{}, places: map[string]*modelPlace{},
	}
}

func (m *model) say(format string, args ...any) { m.out = append(m.out, fmt.Sprintf(format, args...)) }

func (m *model) lock(name string) *modelLock {
	if m.locks[name] == nil {
		m.locks[name] = &modelLock{}
	}
	return m.locks[name]
}

func (m *model) next() Seq { m.seq++; return m.seq }
func (m *model) plan() int { m.plans++; return m.plans }

// advance moves the time, letting everything on the way happen in order. The
// machine sees only that much later: what is due by then happens then.
func (m *model) advance(to time.Duration) {
	m.now = to
	for {
		lock, place := m.due()
		switch {
		case place != nil:
			m.placeDue(place)
		case lock != nil:
			m.end(lock, m.howItEnds(lock), true)
		default:
			return
		}
	}
}

// due is what should have happened first and has not.
func (m *model) due() (*modelLock, *modelPlace) {
	var lock *modelLock
	var place *modelPlace
	first, plan := m.now+1, 0
	for _, l := range m.locks {
		sooner := func(at time.Duration, planned int) bool {
			if at > m.now || at > first || at == first && planned > plan {
				return false
			}
			first, plan = at, planned
			return true
		}
		if l.lease != nil && sooner(l.lease.deadline(), l.lease.planned) {
			lock, place = l, nil
		}
		for _, p := range l.queue {
			if p.until != 0 && sooner(p.until, p.planned) {
				lock, place = nil, p
			}
		}
	}
	return lock, place
}

func (m *model) names() []string {
	var names []string
	for name := range m.locks {
		names = append(names, name)
	}
	slices.Sort(names)
	return names
}

func (l *modelLease) deadline() time.Duration {
	if l.undoAt != 0 {
		return min(l.undoAt, l.ends)
	}
	return l.ends
}

func (m *model) howItEnds(l *modelLock) Kind {
	if l.lease.ends > m.now {
		return Undone
	}
	return Expired
}

func (m *model) placeDue(p *modelPlace) {
	l := m.lock(p.lock)
	p.until = 0
	if !p.there {
		m.drop(p)
		return
	}
	if l.called == p {
		l.called = nil
	}
	m.pass(p.lock)
}

// end ends the lease of a lock and passes the lock on.
func (m *model) end(l *modelLock, kind Kind, event bool) {
	e := l.lease
	l.lease = nil
	m.say("%d %s %s %s (%d)", m.next(), kind, e.lock, e.who, e.token)
	if kind == Released {
		m.past[e.token] = e
	}
	if e.key != "" {
		m.over[e.account+" "+e.lock+" "+e.key] = true
	}
	m.pass(e.lock)
}

// pass gives a free lock to the first who may have it, or calls them.
func (m *model) pass(name string) {
	l := m.lock(name)
	p := l.first()
	if l.lease != nil || l.called != nil || p == nil {
		return
	}
	if !p.asksPolicies {
		m.give(p)
		return
	}
	l.called, p.thinking, p.until = p, true, m.now+callPatience
	p.planned = m.plan()
	m.answer(p.who, "your turn")
}

func (l *modelLock) first() *modelPlace {
	for _, p := range l.queue {
		if p.there && !p.thinking {
			return p
		}
	}
	return nil
}

// answer is said after the events of the command, like the answers of a batch.
func (m *model) answer(who, text string) { m.say("\x00%s: %s", who, text) }

func (m *model) give(p *modelPlace) {
	m.drop(p)
	l := m.grant(p.lock, p.who, p.account, p.key, p.ttl)
	if waited := m.now - p.since; waited > 0 {
		m.answer(p.who, fmt.Sprintf("granted %d after %s", l.token, waited))
	} else {
		m.answer(p.who, fmt.Sprintf("has %d until %s", l.token, l.ends))
	}
}

func (m *model) grant(name, who, account, key string, ttl time.Duration) *modelLease {
	l := &modelLease{lock: name, who: who, account: account, key: key, token: m.next(), granted: m.now, ends: m.now + ttl, ttl: ttl, asked: ttl, planned: m.plan()}
	m.lock(name).lease = l
	m.say("%d granted %s %s until %s", l.token, name, who, l.ends)
	m.tokens[who], m.asks[who] = l.token, 0
	return l
}

// drop takes a place away.
func (m *model) drop(p *modelPlace) {
	l := m.lock(p.lock)
	if l.called == p {
		l.called = nil
	}
	l.queue = slices.DeleteFunc(l.queue, func(q *modelPlace) bool { return q == p })
	for who, q := range m.places {
		if q == p {
			delete(m.places, who)
		}
	}
}

// do plays one line of a script and returns what comes of it.
func (m *model) do(line string) string {
	m.out = nil
	f := strings.Fields(line)
	if f[0] == "at" {
		d, _ := time.ParseDuration(f[1])
		m.advance(d)
	} else {
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
		m.undo(who)
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
	account, key := accountOf(o), o["key"]
	_, asks := o["ask"]
	delete(m.places, who) // the client speaks of its newest request from now on
	if key != "" {
		if p := m.placeOf(l, account, key); p != nil {
			if p.ttl != ttl {
				m.answer(who, "key mismatch")
				return
			}
			m.comeBack(p, who, wait, asks)
			return
		}
		if l.lease != nil && l.lease.key == key && l.lease.account == account {
			if l.lease.asked != ttl {
				m.answer(who, "key mismatch")
				return
			}
			l.lease.asks++
			l.lease.undoAt, l.lease.planned = 0, m.plan()
			m.tokens[who], m.asks[who] = l.lease.token, l.lease.asks
			m.answer(who, fmt.Sprintf("granted %d again", l.lease.token))
			return
		}
		if m.over[account+" "+name+" "+key] {
			m.answer(who, "attempt over")
			return
		}
	}
	someoneIsThere := slices.ContainsFunc(l.queue, func(p *modelPlace) bool { return p.there })
	if l.lease == nil && !someoneIsThere {
		got := m.grant(name, who, account, key, ttl)
		m.answer(who, fmt.Sprintf("has %d until %s", got.token, got.ends))
		return
	}
	if wait == 0 {
		m.held(who, l, 0)
		return
	}
	p := &modelPlace{lock: name, who: who, account: account, key: key, ttl: ttl, since: m.now, there: true, asksPolicies: asks}
	l.queue = append(l.queue, p)
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
	text := "held by nobody yet"
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
	if l.called == p {
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

// holds returns the lock if the client's newest token is that of its live lease.
func (m *model) holds(who, name string, o map[string]string) *modelLock {
	l := m.lock(name)
	if l.lease == nil || l.lease.token != m.tokens[who] || l.lease.account != accountOf(o) {
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
	if m.now+ttl > e.ends {
		e.ends, e.ttl = m.now+ttl, ttl
	}
	e.undoAt, e.planned = 0, m.plan()
	e.asks++
	m.say("%d renewed %s %s until %s", m.next(), name, e.who, e.ends)
	m.asks[who] = 0
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
	if e := m.past[m.tokens[who]]; e != nil && e.account == accountOf(o) {
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

// undo is the word that the newest grant the client was given did not reach it.
func (m *model) undo(who string) {
	for _, name := range m.names() {
		l := m.locks[name]
		if l.lease == nil || l.lease.token != m.tokens[who] || l.lease.asks != m.asks[who] {
			continue
		}
		if l.lease.key == "" {
			m.end(l, Undone, true)
			return
		}
		l.lease.undoAt, l.lease.planned = m.now+grace, m.plan()
		return
	}
}
