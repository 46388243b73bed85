package lock

import (
	"fmt"
	"slices"
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
	over   map[string]Token      // attempts that had their lease, which
	tokens map[string]Token      // the newest token each client was told of
	told   map[string][]Token    // the leases in the answers to each client that may still be found to be lost
	places map[string]*modelPlace
	plans  int // deadlines planned so far: of two at one instant the earlier plan comes first

	maxHere, maxAll int // waiters
	out             []string
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
	confirm                 time.Duration // and the time to confirm it; negative: that is done
	undoAt                  time.Duration // 0: not to be undone
	answers                 int           // that are not lost
	arrived                 bool          // the holder showed its lease id
	planned                 int
}

// modelPlace is a place in a queue.
type modelPlace struct {
	lock, who, account, key string
	ttl, confirm            time.Duration
	priority                Priority
	since                   time.Duration
	there, asksPolicies     bool
	thinking                bool
	until                   time.Duration // of a call, or of an absence; 0: for ever
	planned                 int
}

func newModel() *model {
	return &model{
		locks: map[string]*modelLock{}, past: map[Token]*modelLease{}, over: map[string]Token{},
		tokens: map[string]Token{}, told: map[string][]Token{}, places: map[string]*modelPlace{},
		maxHere: 50, maxAll: 100,
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
	why := ""
	if kind == Expired && e.confirm > 0 {
		why = ", not confirmed"
	}
	m.say("%d %s %s %s (%d)%s", m.next(), kind, e.lock, e.who, e.token, why)
	if kind == Released {
		m.past[e.token] = e
	}
	if e.key != "" {
		m.over[e.account+" "+e.lock+" "+e.key] = e.token
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
	l := m.grant(p.lock, p.who, p.account, p.key, p.ttl, p.confirm, p.priority)
	if waited := m.now - p.since; waited > 0 {
		m.answer(p.who, fmt.Sprintf("granted %d after %s", l.token, waited))
	} else {
		m.answer(p.who, fmt.Sprintf("has %d until %s", l.token, l.ends))
	}
}

func (m *model) grant(name, who, account, key string, ttl, confirm time.Duration, from Priority) *modelLease {
	first, unless := ttl, ""
	if confirm > 0 {
		first, unless = min(ttl, confirm), " unless confirmed"
	}
	l := &modelLease{lock: name, who: who, account: account, key: key, token: m.next(), granted: m.now, ends: m.now + first, ttl: ttl, asked: ttl, confirm: confirm, planned: m.plan()}
	m.lock(name).lease = l
	if from != Normal {
		unless += ", from the " + from.String()
	}
	m.say("%d granted %s %s until %s%s", l.token, name, who, l.ends, unless)
	m.tell(who, l)
	return l
}

// tell is one more answer with a lease.
func (m *model) tell(who string, l *modelLease) {
	l.answers++
	m.tokens[who] = l.token
	m.told[who] = append(m.told[who], l.token)
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

// makeRoom has absent waiters give up their places, the longest absent first, until
// one more fits in; or, if that is not enough, none.
func (m *model) makeRoom(l *modelLock) bool {
	var all []*modelPlace
	for _, name := range m.names() {
		all = append(all, m.locks[name].queue...)
	}
	tooMany := max(len(l.queue)-m.maxHere+1, 0)
	tooManyInAll := max(len(all)-m.maxAll+1, 0)
	here, everywhere := absentOf(l.queue), absentOf(all)
	if tooMany > len(here) || tooManyInAll > len(everywhere) {
		return false
	}
	for _, p := range here[:tooMany] {
		m.drop(p)
	}
	for _, p := range everywhere {
		if tooMany < tooManyInAll && slices.Contains(m.lock(p.lock).queue, p) {
			m.drop(p)
			tooMany++
		}
	}
	return true
}

// absentOf returns who is absent, the longest first.
func absentOf(places []*modelPlace) []*modelPlace {
	var absent []*modelPlace
	for _, p := range places {
		if !p.there {
			absent = append(absent, p)
		}
	}
	slices.SortFunc(absent, func(a, b *modelPlace) int { return a.planned - b.planned })
	return absent
}
