package etcd

import "testing"

// Commits as a model that is explored completely: terms that end at any time, requests that arrive
// late or twice, answers that are lost, an etcd that says it is full after it has applied.
//
//   - A batch demands the term and the head it builds on: [records.prepare].
//   - It is sent until its outcome is known: [records.apply].
//   - The segment tells whether it was applied, and the term whether it ever will be:
//     [records.decide].
//   - A refusal for space counts only if no copy can still come: [records.resolveFull].
//   - What a term builds on is read in that term: [records.Load].
//
// A batch is written under the next free number, and a later term begins where the head
// stands. So the segments of two terms may want the same key, which clocks make unlikely in
// practice.

const (
	modelTerms   = 3
	modelBatches = 2
	modelSends   = 2 // copies of one transaction
)

// protocol is what a writer demands and how it decides. The zero value is what Commit does.
type protocol struct {
	withoutOwn     bool // the guard does not compare the term
	ownByName      bool // the guard compares the node that has the term, and all terms are of one node
	withoutHead    bool // the guard does not compare the head
	withoutLooking bool // what is refused counts as never applied
	decidesByHead  bool // what is refused was applied if the head is the one it leads to
	fullIsRefused  bool // no space counts as never applied

	// terms to explore, and whether etcd may run out of space.
	terms   int8
	canFill bool
}

type outcome int8

const (
	open outcome = iota
	done
	abandoned // unknown for ever
	deposed   // surely never applied
	full      // surely never applied
)

// String names an outcome as its writer hears it.
func (o outcome) String() string {
	return [...]string{"open", "done", "unknown", "surely not applied", "refused for space"}[o]
}

// phase is what the holder of a term does.
type phase int8

const (
	absent phase = iota
	taken        // has not loaded
	idle
	waiting // for the outcome of a batch
	looking // at what became of it, after etcd has said that it is full
	dead
)

// modelBatch is a transaction and what is known of it.
type modelBatch struct {
	at             int8 // number of its segment
	prev           int8 // revision of the head it demands
	sent, answered int8
	flying         int8 // copies that may still arrive
	applied        bool
	outcome        outcome
}

type modelTerm struct {
	phase   phase
	began   int8 // batches
	next    int8 // number of the next segment
	rev     int8 // of the head it knows
	batches [modelBatches]modelBatch
}

// segmentID is a term and a batch of it; 0: there is none.
type segmentID int8

// somebodys is a segment whose writer no longer looks for it.
const somebodys segmentID = -1

func idOf(t, b int) segmentID { return segmentID(1 + t*modelBatches + b) }

// modelState is etcd, the network and all writers.
type modelState struct {
	own      int8 // 1 and up: a term; 0: none has it
	terms    int8 // that were ever taken
	head     segmentID
	headAt   int8 // its number
	rev      int8 // revision of the head
	segments [modelTerms*modelBatches + 1]segmentID
	writers  [modelTerms]modelTerm
}

// model explores a protocol.
type model struct {
	p protocol
	explorer[modelState]
}

func (p protocol) explore(traced bool) found {
	m := &model{p: p}
	m.explorer.steps, m.explorer.forget = m.next, m.clear
	m.run(traced)
	return m.found()
}

// clear forgets what can make no difference any more, so that states that differ in nothing else
// count as one: also copies of settled batches that no guard lets pass again.
func (m *model) clear(s *modelState) {
	guarded := !m.p.withoutHead && !m.p.withoutOwn && !m.p.ownByName
	live := [modelTerms*modelBatches + 1]bool{}
	for t := range s.writers {
		w := &s.writers[t]
		if w.phase == dead {
			w.next, w.rev, w.began = 0, 0, modelBatches
		}
		for b := range w.batches {
			x := &w.batches[b]
			undecided := x.sent > 0 && x.outcome == open
			live[idOf(t, b)] = undecided
			switch {
			case !undecided && (x.flying == 0 || guarded && (s.own != int8(t+1) || x.prev != s.rev)):
				*x = modelBatch{}
			case !undecided:
				x.sent, x.answered = 0, 0
			}
		}
	}
	for i, id := range s.segments {
		if id > 0 && !live[id] {
			s.segments[i] = somebodys
		}
	}
	if s.head > 0 && !live[s.head] {
		s.head = somebodys
	}
}

// next adds every state that can follow.
func (m *model) next(s modelState) {
	if s.own != 0 {
		next := s
		next.own = 0
		m.does("the term ends:", int(s.own))
		m.add(next)
	} else if s.terms < m.p.terms {
		next := s
		next.terms++
		next.own = next.terms
		next.writers[next.own-1].phase = taken
		m.does("a term is taken:", int(next.own))
		m.add(next)
	}
	for t := range int(s.terms) {
		m.stepsOf(s, t)
		for b := range int(s.writers[t].began) {
			if s.writers[t].batches[b].flying > 0 {
				m.deliver(s, t, b)
			}
		}
	}
}

// stepsOf adds what the holder of a term may do next.
func (m *model) stepsOf(s modelState, t int) {
	w := &s.writers[t]
	switch w.phase {
	case taken:
		w.phase = dead
		if m.guarded(&s, t) {
			w.phase, w.rev, w.next = idle, s.rev, s.headAt+1
		}
		m.does("the head is read in term", t+1)
		m.add(s)
	case idle:
		if w.began < modelBatches {
			w.batches[w.began] = modelBatch{at: w.next, prev: w.rev, sent: 1, flying: 1}
			w.began, w.next, w.phase = w.began+1, w.next+1, waiting
			m.does("a batch is sent: term and batch", t+1, int(w.began))
			m.add(s)
		}
	case waiting, looking:
		m.waitFor(s, t)
	}
}

// waitFor adds what may happen while a batch has no outcome.
func (m *model) waitFor(s modelState, t int) {
	b := int(s.writers[t].began) - 1
	gone := s
	gone.writers[t].phase, gone.writers[t].batches[b].outcome = dead, abandoned
	m.does("a batch is given up: term and batch", t+1, b+1)
	m.add(gone)
	if s.writers[t].phase == looking {
		m.decideFull(s, t, b)
		return
	}
	if s.writers[t].batches[b].sent < modelSends {
		again := s
		again.writers[t].batches[b].sent++
		again.writers[t].batches[b].flying++
		m.does("a batch is sent again: term and batch", t+1, b+1)
		m.add(again)
	}
}

// guarded reports whether etcd finds the term that the writer demands.
func (m *model) guarded(s *modelState, t int) bool {
	return m.p.withoutOwn || s.own == int8(t+1) || m.p.ownByName && s.own != 0
}

// deliver lets a copy of a transaction arrive. Its answer may be lost, or say that there is no
// space, whether it was applied or not.
func (m *model) deliver(s modelState, t, b int) {
	x := &s.writers[t].batches[b]
	x.flying--
	refused := s // for lack of space, before anything is looked at
	ok := m.guarded(&s, t) && (m.p.withoutHead || x.prev == s.rev)
	m.does("a copy arrives, its answer is lost: term and batch", t+1, b+1)
	if ok {
		m.apply(&s, t, b)
	}
	m.add(s) // the answer is lost
	if m.p.canFill {
		m.does("a copy is applied or not, the answer is that there is no space: term and batch", t+1, b+1)
		m.answerFull(s, t, b)
		m.does("a copy is refused for space: term and batch", t+1, b+1)
		m.answerFull(refused, t, b)
	}
	if s.writers[t].phase == waiting && int(s.writers[t].began)-1 == b {
		s.writers[t].batches[b].answered++
		m.does("a copy arrives and is answered: term and batch", t+1, b+1)
		m.answer(s, t, b, ok)
	}
}

// apply is etcd's part of a transaction whose guard holds.
func (m *model) apply(s *modelState, t, b int) {
	x := &s.writers[t].batches[b]
	switch {
	case x.applied:
		m.fail("batch %d of term %d was applied twice", b, t+1)
	case x.outcome == deposed || x.outcome == full:
		m.fail("batch %d of term %d was applied after it was said that it never would", b, t+1)
	case x.prev != s.rev:
		m.fail("batch %d of term %d was applied to another head than it builds on", b, t+1)
	case s.own != int8(t+1):
		m.fail("batch %d of term %d was applied after the term", b, t+1)
	case s.segments[x.at] != 0:
		m.fail("batch %d of term %d has overwritten a segment", b, t+1)
	}
	if m.violation != "" {
		return
	}
	x.applied = true
	s.rev++
	s.head, s.headAt, s.segments[x.at] = idOf(t, b), x.at, idOf(t, b)
}

// answer lets the writer see the answer to a copy.
func (m *model) answer(s modelState, t, b int, ok bool) {
	w := &s.writers[t]
	x := &w.batches[b]
	switch {
	case ok:
		m.settle(&s, t, b, done)
		w.rev = s.rev
	case m.p.withoutLooking:
		m.settle(&s, t, b, deposed)
	case m.p.decidesByHead && s.head == idOf(t, b), !m.p.decidesByHead && s.segments[x.at] == idOf(t, b):
		m.settle(&s, t, b, done)
		w.rev = s.rev // the head that was read with the segment
	case s.own != int8(t+1):
		m.settle(&s, t, b, deposed)
	default:
		m.fail("term %d goes on, and batch %d finds another head", t+1, b)
		return
	}
	m.add(s)
}

// answerFull lets the writer hear that there is no space.
func (m *model) answerFull(s modelState, t, b int) {
	w := &s.writers[t]
	if w.phase != waiting || int(w.began)-1 != b {
		return
	}
	w.batches[b].answered++
	if m.p.fullIsRefused {
		m.settle(&s, t, b, full)
		m.add(s)
		return
	}
	w.phase = looking
	m.add(s)
}

// decideFull reads the segment, the head and the term after etcd has said that it is full.
func (m *model) decideFull(s modelState, t, b int) {
	w := &s.writers[t]
	x := &w.batches[b]
	m.does("the segment is read: term and batch", t+1, b+1)
	switch {
	case s.segments[x.at] == idOf(t, b):
		m.settle(&s, t, b, done)
		w.rev = s.rev
	case s.own != int8(t+1):
		m.settle(&s, t, b, deposed)
	case x.sent > x.answered: // another copy may still be applied
		w.phase = waiting
	default:
		m.settle(&s, t, b, full)
	}
	m.add(s)
}

// settle notes an outcome, and whether it is true now. Whether it stays so is checked by apply.
func (m *model) settle(s *modelState, t, b int, o outcome) {
	w := &s.writers[t]
	x := &w.batches[b]
	x.outcome = o
	w.phase = idle
	if o == deposed {
		w.phase = dead
	}
	if x.applied != (o == done) {
		m.fail("batch %d of term %d is applied: %t, and its writer hears that it is %s", b, t+1, x.applied, o)
	}
}

func TestProtocolKeepsEveryBatchOnceOrNever(t *testing.T) {
	checkProtocol(t, "three terms", protocol{terms: modelTerms}.explore(false), 10_000)
	checkProtocol(t, "two terms, and etcd may fill", protocol{terms: 2, canFill: true}.explore(false), 5_000)
}

func TestProtocolVariantsAreFoundWrong(t *testing.T) {
	const appliedButDeposed = "applied: true, and its writer hears that it is surely not applied"
	checkVariants(t, []variant{
		{"own guard only", protocol{terms: 2, withoutHead: true}.explore, "twice"},
		{"head guard only", protocol{terms: 1, withoutOwn: true}.explore, "after the term"},
		{"own guard by the name of the node", protocol{terms: 2, ownByName: true}.explore, "after the term"},
		{"outcome decided by the head", protocol{terms: 2, decidesByHead: true}.explore, appliedButDeposed},
		{"refusals not looked into", protocol{terms: 1, withoutLooking: true}.explore, appliedButDeposed},
		{
			"no space taken for a refusal", protocol{terms: 1, fullIsRefused: true, canFill: true}.explore,
			"applied: true, and its writer hears that it is refused for space",
		},
	})
}
