package etcd

import "testing"

// Writes beside the journal as a model: one token that is touched and revoked, where a touch
// writes the whole token as it was read. A copy of a write may arrive long after its writer has
// given it up, and terms end at any time.
//
//   - A write demands the term and the mark of the write before it: [records.writeOnce].
//   - What it writes is made after the mark is known, and made again if the mark turns out to be
//     another: [records.write], [records.learnMark].
//   - Whether it was applied is told by the mark, and not at all once the term is over and a copy
//     may have been applied: [records.decideBeside].
//   - A refusal for space counts only if no copy can still come: [records.resolveFullBeside].
const (
	besideTerms  = 2
	besideWrites = 3 // transactions of a term
	besideMost   = 4 // of all terms
	besideSends  = 2 // copies of one
)

// besides is how writes are guarded and decided. The zero value is what writeOnce does.
type besides struct {
	withoutMark bool // the guard does not compare the mark
	withoutOwn  bool // the guard does not compare the term
	readsFirst  bool // what is written is made before the mark is known
	notAnew     bool // what is written is not made again
	noDoubt     bool // once the term is over, what was not answered counts as never applied
	fullIsOver  bool // no space counts as a refusal although a copy is unanswered
	fullIsNo    bool // no space gives no doubt whether a copy was applied
}

// besidePhase is what the writer of a term does.
type besidePhase int8

const (
	resting besidePhase = iota
	learning
	making
	sending // a copy is on its way
	reading // the mark, since there was no space
	pausing // before the next copy: the last was answered, and decided nothing
	ended
)

// besideWrite is a transaction and what is known of it.
type besideWrite struct {
	revoked    bool // what it writes
	rev        int8 // of the mark that it demands
	sent       int8
	flying     int8
	unanswered bool // a copy was not answered
	filled     bool // a copy was answered that there is no space
	applied    bool
	outcome    outcome
}

type besideTerm struct {
	phase   besidePhase
	known   bool // rev is what etcd had last
	rev     int8
	revokes bool // what it wants: to revoke, or to touch
	made    bool // readsFirst, notAnew: what is to be written is known
	value   bool
	began   int8
	writes  [besideWrites]besideWrite
}

type besideState struct {
	own     int8 // 1 and up: a term
	terms   int8
	revoked bool
	rev     int8 // of the mark
	mark    int8 // the write that made it: 1 and up; 0: none that is looked for
	of      [besideTerms]besideTerm
}

// besideModel explores writes beside the journal.
type besideModel struct {
	p besides
	explorer[besideState]
}

func (p besides) explore(traced bool) found {
	m := &besideModel{p: p}
	m.explorer.steps, m.explorer.forget = m.next, m.clear
	m.run(traced)
	return m.found()
}

func markOf(t, w int) int8 { return int8(1 + t*besideWrites + w) }

// spent reports whether a term has no writes left.
func (s *besideState) spent(t int) bool {
	total := int8(0)
	for i := range s.of {
		total += s.of[i].began
	}
	return s.of[t].began == besideWrites || total == besideMost
}

// clear forgets what can make no difference any more: also copies of settled writes that no
// guard lets pass again, and the numbers of the mark's revisions.
func (m *besideModel) clear(s *besideState) {
	guarded := !m.p.withoutMark && !m.p.withoutOwn
	for t := range s.of {
		x := &s.of[t]
		if x.phase == ended {
			*x = besideTerm{phase: ended, began: x.began, writes: x.writes}
		}
		for w := range x.writes {
			y := &x.writes[w]
			if y.outcome == open {
				continue
			}
			y.sent, y.unanswered, y.filled, y.applied = 0, false, false, false
			if y.outcome == done {
				y.outcome = abandoned
			}
			if y.flying == 0 || guarded && (s.own != int8(t+1) || y.rev != s.rev) {
				*y = besideWrite{outcome: abandoned}
			}
			if s.mark == markOf(t, w) {
				s.mark = 0
			}
		}
	}
	var known [besideMost + 1]bool
	for _, rev := range s.revs() {
		known[*rev] = true
	}
	for _, rev := range s.revs() {
		gap := int8(0)
		for i := range *rev {
			if !known[i] {
				gap++
			}
		}
		*rev -= gap
	}
}

// revs returns where revisions of the mark are kept that still count.
func (s *besideState) revs() []*int8 {
	all := append(make([]*int8, 0, 1+besideTerms*(1+besideWrites)), &s.rev)
	for t := range s.of {
		x := &s.of[t]
		if x.known {
			all = append(all, &x.rev)
		} else {
			x.rev = 0
		}
		for w := range x.began {
			if y := &x.writes[w]; y.flying > 0 || y.outcome == open {
				all = append(all, &y.rev)
			} else {
				y.rev = 0
			}
		}
	}
	return all
}

// next adds every state that can follow.
func (m *besideModel) next(s besideState) {
	switch next := s; {
	case s.own != 0:
		next.own = 0
		m.does("the term ends:", int(s.own))
		m.add(next)
	case s.terms < besideTerms:
		next.terms++
		next.own = next.terms
		m.does("a term is taken:", int(next.own))
		m.add(next)
	}
	for t := range int(s.terms) {
		m.stepsOf(s, t)
		for w := range int(s.of[t].began) {
			if s.of[t].writes[w].flying > 0 {
				m.deliver(s, t, w)
			}
		}
	}
}

// stepsOf adds what the writer of a term may do.
func (m *besideModel) stepsOf(s besideState, t int) {
	x := &s.of[t]
	switch x.phase {
	case resting:
		for _, revokes := range []bool{false, true} {
			m.begin(s, t, revokes)
		}
	case learning:
		x.rev, x.known, x.phase = s.rev, true, making
		m.does("the mark is read in term", t+1)
		m.add(s)
	case making:
		m.make(s, t)
	case sending, pausing:
		m.goOn(s, t)
	case reading:
		m.look(s, t)
	}
}

// begin starts a touch or a revocation.
func (m *besideModel) begin(s besideState, t int, revokes bool) {
	x := &s.of[t]
	if s.spent(t) {
		return
	}
	x.revokes, x.made, x.phase = revokes, false, making
	if !x.known {
		x.phase = learning
	}
	if m.p.readsFirst {
		x.made, x.value = true, revokes || s.revoked
	}
	m.does("a touch begins in term", t+1)
	if revokes {
		m.does("a revocation begins in term", t+1)
	}
	m.add(s)
}

// make reads the token and sends the first copy.
func (m *besideModel) make(s besideState, t int) {
	x := &s.of[t]
	if s.spent(t) {
		return // the model ends here
	}
	if !x.made {
		x.value = x.revokes || s.revoked
	}
	x.made = m.p.notAnew
	x.writes[x.began] = besideWrite{revoked: x.value, rev: x.rev, sent: 1, flying: 1}
	x.began, x.phase = x.began+1, sending
	m.does("the token is read and a write is sent: term and write", t+1, int(x.began))
	m.add(s)
}

// goOn adds the next copy, and the end of all patience.
func (m *besideModel) goOn(s besideState, t int) {
	x := &s.of[t]
	w := int(x.began) - 1
	y := &x.writes[w]
	y.unanswered = y.unanswered || x.phase == sending
	gone := s
	gone.of[t].phase, gone.of[t].known = resting, false
	m.does("a write is given up: term and write", t+1, w+1)
	if m.doubted(y) {
		gone.of[t].writes[w].outcome = abandoned
		m.add(gone)
	} else {
		m.settle(gone, t, w, deposed)
	}
	if y.sent < besideSends {
		y.sent++
		y.flying++
		x.phase = sending
		m.does("a write is sent again: term and write", t+1, w+1)
		m.add(s)
	}
}

// doubted reports whether a copy may have been applied, as far as the writer knows.
func (m *besideModel) doubted(y *besideWrite) bool {
	return y.unanswered || y.filled && !m.p.fullIsNo
}

// deliver lets a copy arrive. Its answer may be lost, or say that there is no space.
func (m *besideModel) deliver(s besideState, t, w int) {
	y := &s.of[t].writes[w]
	y.flying--
	refused := s
	ok := (m.p.withoutOwn || s.own == int8(t+1)) && (m.p.withoutMark || y.rev == s.rev)
	m.does("a copy arrives, its answer is lost: term and write", t+1, w+1)
	if ok {
		m.apply(&s, t, w)
	}
	m.add(s)
	if s.of[t].phase != sending || int(s.of[t].began)-1 != w {
		return
	}
	m.does("a copy arrives, and the answer is that there is no space: term and write", t+1, w+1)
	m.answerFull(s, t, w)
	m.does("a copy is refused for space: term and write", t+1, w+1)
	m.answerFull(refused, t, w)
	m.does("a copy arrives and is answered: term and write", t+1, w+1)
	if ok {
		s.of[t].rev = s.rev
		m.settle(s, t, w, done)
		return
	}
	m.decide(s, t, w)
}

// apply is etcd's part of a transaction whose guard holds.
func (m *besideModel) apply(s *besideState, t, w int) {
	y := &s.of[t].writes[w]
	switch {
	case s.revoked && !y.revoked:
		m.fail("write %d of term %d brings a revoked token back", w+1, t+1)
	case y.outcome == deposed || y.outcome == full:
		m.fail("write %d of term %d was applied after it was said that it never would", w+1, t+1)
	case s.own != int8(t+1):
		m.fail("write %d of term %d was applied after the term", w+1, t+1)
	}
	y.applied = true
	s.revoked = y.revoked
	s.rev++
	s.mark = markOf(t, w)
}

func (m *besideModel) answerFull(s besideState, t, w int) {
	s.of[t].writes[w].filled = true
	s.of[t].phase = reading
	m.add(s)
}

// look reads the mark and the term, or does not, and then there is another copy.
func (m *besideModel) look(s besideState, t int) {
	w := int(s.of[t].began) - 1
	y := &s.of[t].writes[w]
	lost := s
	lost.of[t].phase = pausing
	m.does("the mark cannot be read: term and write", t+1, w+1)
	m.add(lost)
	m.does("the mark is read again: term and write", t+1, w+1)
	switch {
	case s.own != int8(t+1) || s.rev != s.of[t].rev:
		m.decide(s, t, w)
	case y.unanswered && !m.p.fullIsOver:
		s.of[t].phase = pausing
		m.add(s)
	default:
		m.settle(s, t, w, full)
	}
}

// decide says what became of a write by the mark and the term that were just read.
func (m *besideModel) decide(s besideState, t, w int) {
	x := &s.of[t]
	y := &x.writes[w]
	switch {
	case s.mark == markOf(t, w):
		x.rev = s.rev
		m.settle(s, t, w, done)
	case s.own == int8(t+1): // a new one is made
		x.rev = s.rev
		m.settle(s, t, w, deposed)
	case m.doubted(y) && !m.p.noDoubt:
		x.phase, y.outcome = ended, abandoned
		m.add(s)
	default:
		m.settle(s, t, w, deposed)
	}
}

// settle notes an outcome, and checks that it is true. Whether it stays so is checked by apply.
func (m *besideModel) settle(s besideState, t, w int, o outcome) {
	x := &s.of[t]
	y := &x.writes[w]
	y.outcome = o
	if y.applied != (o == done) {
		m.fail("write %d of term %d is applied: %t, and its writer hears that it is %s", w+1, t+1, y.applied, o)
	}
	switch {
	case x.phase == resting: // given up
	case o == deposed && s.own == int8(t+1):
		x.phase = making
	case o == deposed:
		x.phase = ended
	default:
		x.phase = resting
	}
	m.add(s)
}

func TestBesideProtocolNeverBringsARevokedTokenBack(t *testing.T) {
	checkProtocol(t, "writes beside the journal", besides{}.explore(false), 10_000)
}

func TestBesideProtocolVariantsAreFoundWrong(t *testing.T) {
	const back, never, lost = "brings a revoked token back", "after it was said", "hears that it is surely not applied"
	checkVariants(t, []variant{
		{"own guard only", besides{withoutMark: true}.explore, back},
		{"mark guard only", besides{withoutOwn: true}.explore, "after the term"},
		{"what is written is made before the mark is read", besides{readsFirst: true}.explore, back},
		{"what is written is not made again", besides{notAnew: true}.explore, back},
		{"no doubt after the term", besides{noDoubt: true}.explore, lost},
		{"no space taken for a refusal", besides{fullIsOver: true}.explore, never},
		{"no space gives no doubt", besides{fullIsNo: true}.explore, lost},
	})
}
