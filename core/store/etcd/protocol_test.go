package etcd

import (
	"fmt"
	"strings"
	"testing"
)

// The commit protocol as a model that is explored completely: terms that end at any time,
// requests that arrive late or twice, answers that are lost, an etcd that says it is full
// after it has applied. Its steps are those of Commit and Load; what etcd does is atomic.
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
	p         protocol
	seen      map[modelState]bool
	todo      []modelState
	violation string
}

// explore returns the first violation, "" if there is none, and the number of states.
func explore(p protocol) (violation string, states int) {
	m := &model{p: p, seen: map[modelState]bool{}}
	m.add(modelState{})
	for len(m.todo) > 0 && m.violation == "" {
		s := m.todo[len(m.todo)-1]
		m.todo = m.todo[:len(m.todo)-1]
		m.steps(s)
	}
	return m.violation, len(m.seen)
}

// add notes a state to be looked at, if it is a new one.
func (m *model) add(s modelState) {
	s.forget()
	if !m.seen[s] {
		m.seen[s] = true
		m.todo = append(m.todo, s)
	}
}

// forget clears what can make no difference any more, so that states that differ in nothing
// else count as one.
func (s *modelState) forget() {
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
			case !undecided && x.flying == 0:
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

func (m *model) fail(format string, a ...any) {
	if m.violation == "" {
		m.violation = fmt.Sprintf(format, a...)
	}
}

// steps adds every state that can follow.
func (m *model) steps(s modelState) {
	if s.own != 0 {
		next := s
		next.own = 0
		m.add(next)
	} else if s.terms < m.p.terms {
		next := s
		next.terms++
		next.own = next.terms
		next.writers[next.own-1].phase = taken
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
		m.add(s)
	case idle:
		if w.began < modelBatches {
			w.batches[w.began] = modelBatch{at: w.next, prev: w.rev, sent: 1, flying: 1}
			w.began, w.next, w.phase = w.began+1, w.next+1, waiting
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
	m.add(gone)
	if s.writers[t].phase == looking {
		m.decideFull(s, t, b)
		return
	}
	if s.writers[t].batches[b].sent < modelSends {
		again := s
		again.writers[t].batches[b].sent++
		again.writers[t].batches[b].flying++
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
	if ok {
		m.apply(&s, t, b)
	}
	m.add(s) // the answer is lost
	if m.p.canFill {
		m.answerFull(s, t, b)
		m.answerFull(refused, t, b)
	}
	if s.writers[t].phase == waiting && int(s.writers[t].began)-1 == b {
		s.writers[t].batches[b].answered++
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
	for _, tt := range []protocol{{terms: modelTerms}, {terms: 2, canFill: true}} {
		violation, states := explore(tt)
		if violation != "" {
			t.Error(violation)
		}
		if states < 10_000 {
			t.Errorf("only %d states: the model does not show much any more", states)
		}
		t.Logf("%d terms, etcd may fill %t: %d states", tt.terms, tt.canFill, states)
	}
}

const appliedButDeposed = "applied: true, and its writer hears that it is surely not applied"

func TestProtocolVariantsAreFoundWrong(t *testing.T) {
	for _, tt := range []struct {
		name string
		p    protocol
		want string
	}{
		{"own guard only", protocol{withoutHead: true, withoutLooking: true}, "twice"},
		{"own guard without the head", protocol{withoutHead: true}, "twice"},
		{"outcome decided by the head", protocol{decidesByHead: true}, appliedButDeposed},
		{"head guard only", protocol{withoutOwn: true}, "after the term"},
		{"own guard by the name of the node", protocol{ownByName: true}, "after the term"},
		{"refusals not looked into", protocol{withoutLooking: true}, appliedButDeposed},
		{"no space taken for a refusal", protocol{fullIsRefused: true, canFill: true}, "applied: true, and its writer hears that it is refused for space"},
	} {
		t.Run(strings.ReplaceAll(tt.name, " ", "-"), func(t *testing.T) {
			tt.p.terms = modelTerms
			violation, states := explore(tt.p)
			t.Logf("%q after %d states", violation, states)
			if !strings.Contains(violation, tt.want) {
				t.Errorf("found %q, want one about %q", violation, tt.want)
			}
		})
	}
}
