package etcd

import "testing"

// Pruning as a model: a batch of the first term, whose outcome is not known yet, is looked for
// while later terms prune. Time passes in ticks, and the clock of a node that prunes may be one
// ahead.
//
//   - The first send is remembered, on a clock that counts pauses: [records.apply].
//   - The batch of an absent segment is surely lost for so long only: [records.decide] and
//     definiteFor.
//   - Segments of earlier terms stay for twice that, from the take on: [records.Prune] and
//     oldTermsStay.
const (
	pruneTerms = 3
	pruneSends = 3

	definiteTicks = 3
	stayTicks     = 2 * definiteTicks
)

// prunes is how segments are pruned, and how long their absence says something. The zero value is
// what Prune and decide do.
type prunes struct {
	atOnce      bool // the segments of earlier terms do not stay
	asLong      bool // they stay as long as absence says something, not twice as long
	forEver     bool // an absent segment is surely lost, however old the batch is
	sinceLast   bool // the age of a batch is that of its newest copy
	clockStands bool // the age does not count pauses of the process
	onlySilence bool // only a copy without an answer may have been applied

	canFill bool // etcd may run out of space
}

// pruneTerm is a term and its batch.
type pruneTerm struct {
	youth int8 // ticks since it was taken, as its node counts them
	age   int8 // of its batch, as its node counts it

	sent, flying int8
	unanswered   bool // a copy is or may be on its way
	looking      bool // at the segment, since there was no space
	applied      bool
	segment      bool // is there
	outcome      outcome
}

type pruneState struct {
	own   int8 // 1 and up: a term
	terms int8
	ahead bool // a clock was ahead
	of    [pruneTerms]pruneTerm
}

// pruneModel explores pruning.
type pruneModel struct {
	p prunes
	explorer[pruneState]
}

func (p prunes) explore(traced bool) found {
	m := &pruneModel{p: p}
	m.explorer.steps, m.explorer.forget = m.next, (*pruneState).forget
	m.run(traced)
	return m.found()
}

// forget clears what can make no difference any more.
func (s *pruneState) forget() {
	for t := range s.of {
		x := &s.of[t]
		if s.own != int8(t+1) {
			x.youth = 0
		}
		if x.outcome == open {
			continue
		}
		*x = pruneTerm{youth: x.youth, flying: x.flying, applied: x.applied, outcome: x.outcome}
		if s.own != int8(t+1) || x.applied {
			*x = pruneTerm{youth: x.youth, applied: true, outcome: done} // nothing of it can be applied
		}
	}
}

// next adds every state that can follow.
func (m *pruneModel) next(s pruneState) {
	switch next := s; {
	case s.own != 0:
		next.own = 0
		m.does("the term ends:", int(s.own))
		m.add(next)
	case s.terms < pruneTerms:
		next.terms++
		next.own = next.terms
		m.does("a term is taken:", int(next.own))
		m.add(next)
	}
	m.tick(s)
	m.prune(s)
	if s.terms > 0 {
		m.stepsOf(s, 0)
	}
	if s.of[0].flying > 0 {
		m.deliver(s, 0)
	}
}

// tick lets time pass, of which a node may count more, or a paused one nothing.
func (m *pruneModel) tick(s pruneState) {
	older := func(s *pruneState, ages bool) {
		for t := range int(s.terms) {
			x := &s.of[t]
			x.youth = min(x.youth+1, stayTicks)
			if ages && x.sent > 0 && x.outcome == open {
				x.age = min(x.age+1, definiteTicks+1)
			}
		}
	}
	next := s
	older(&next, true)
	m.does("time passes")
	m.add(next)
	if m.p.clockStands {
		paused := s
		older(&paused, false)
		m.does("time passes for other nodes")
		m.add(paused)
	}
	if !s.ahead {
		s.ahead = true
		older(&s, false)
		m.does("a clock gets ahead")
		m.add(s)
	}
}

// prune has the holder of the term delete the segments of earlier terms.
func (m *pruneModel) prune(s pruneState) {
	stay := int8(stayTicks)
	if m.p.asLong {
		stay = definiteTicks
	}
	if s.own == 0 || s.of[s.own-1].youth < stay && !m.p.atOnce {
		return
	}
	for t := range s.own - 1 {
		s.of[t].segment = false
	}
	m.does("earlier segments are pruned in term", int(s.own))
	m.add(s)
}

// stepsOf adds what the writer of a term may do.
func (m *pruneModel) stepsOf(s pruneState, t int) {
	x := &s.of[t]
	switch {
	case x.outcome != open:
	case x.sent == 0:
		x.sent, x.flying = 1, 1
		m.does("a batch is sent in term", t+1)
		m.add(s)
	case x.looking:
		m.look(s, t)
	case x.sent < pruneSends:
		x.unanswered = true // else there would be no other copy
		m.sendAgain(s, t)
	}
}

func (m *pruneModel) sendAgain(s pruneState, t int) {
	x := &s.of[t]
	x.sent++
	x.flying++
	x.looking = false
	if m.p.sinceLast {
		x.age = 0
	}
	m.does("a batch is sent again in term", t+1)
	m.add(s)
}

// look reads the segment after etcd has said that it is full, or cannot read it.
func (m *pruneModel) look(s pruneState, t int) {
	x := s.of[t]
	if x.sent < pruneSends {
		m.sendAgain(s, t)
	}
	if s.own == int8(t+1) && !x.applied {
		return // refused for space, or to be sent again: see the model of commits
	}
	m.does("the segment is read in term", t+1)
	m.decide(s, t)
}

// deliver lets a copy arrive. The head that it demands is there until it is applied.
func (m *pruneModel) deliver(s pruneState, t int) {
	x := &s.of[t]
	x.flying--
	ok := s.own == int8(t+1) && !x.applied
	if ok {
		if x.outcome == deposed {
			m.fail("the batch of term %d was applied after it was said that it never would", t+1)
		}
		x.applied, x.segment = true, true
	}
	m.does("a copy arrives, its answer is lost: of term", t+1)
	m.add(s)
	if x.outcome != open || x.looking {
		return
	}
	if m.p.canFill {
		full := s
		full.of[t].looking = true
		m.does("a copy arrives, and the answer is that there is no space: of term", t+1)
		m.add(full)
	}
	m.does("a copy arrives and is answered: of term", t+1)
	if ok {
		m.settle(s, t, done)
		return
	}
	m.decide(s, t)
}

// decide says what became of a batch by the segment that was just looked for.
func (m *pruneModel) decide(s pruneState, t int) {
	x := &s.of[t]
	old := x.age > definiteTicks && !m.p.forEver && (x.unanswered || !m.p.onlySilence)
	switch {
	case x.segment:
		m.settle(s, t, done)
	case s.own == int8(t+1):
		m.fail("term %d goes on, and its segment is not there", t+1)
	case old:
		m.settle(s, t, abandoned)
	default:
		m.settle(s, t, deposed)
	}
}

// settle notes an outcome, and checks that it is true.
func (m *pruneModel) settle(s pruneState, t int, o outcome) {
	x := &s.of[t]
	x.outcome = o
	if o != abandoned && x.applied != (o == done) {
		m.fail("the batch of term %d is applied: %t, and its writer hears that it is %s", t+1, x.applied, o)
	}
	m.add(s)
}

func TestPruneProtocolCallsNoDurableBatchLost(t *testing.T) {
	checkProtocol(t, "pruning", prunes{canFill: true}.explore(false), 1_000)
}

func TestPruneProtocolVariantsAreFoundWrong(t *testing.T) {
	const lost = "is applied: true, and its writer hears that it is surely not applied"
	checkVariants(t, []variant{
		{"pruned at once", prunes{atOnce: true}.explore, lost},
		{"pruned as soon as absence says nothing", prunes{asLong: true}.explore, lost},
		{"absent is lost for ever", prunes{forEver: true}.explore, lost},
		{"the age of the newest copy", prunes{sinceLast: true}.explore, lost},
		{"a clock that stands in pauses", prunes{clockStands: true}.explore, lost},
		{"only silence gives doubt", prunes{onlySilence: true, canFill: true}.explore, lost},
	})
}
