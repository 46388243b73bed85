package lock

import (
	"errors"
	"fmt"
	"iter"
	"math/rand/v2"
	"reflect"
	"slices"
	"testing"
	"time"
)

// refusedWorld is a machine with all that is around it, for [TestRefusedBatches].
type refusedWorld struct {
	t       *testing.T
	seed    uint64
	rng     *rand.Rand
	m       *Machine
	cfg     Rules
	now     time.Time
	clients []*refusedClient
	tries   []keyedTry // attempts with a key, to be made again

	percentFull int  // of the batches are refused
	priorities  bool // requests have them

	// On the way to the loop.
	left     []Departure
	commands []*Command

	// Without an answer.
	asked  map[*Command]*refusedClient // acquires
	others map[*Command]string         // the rest, by what they are
	states map[*Command]askState       // of acquires: asked, answered or given up

	// The store.
	rows map[Name]Row
	head Seq

	ended map[Token]bool // leases that were released or broken

	said                      []string
	refused, refusedOfSeveral int
	failed                    bool
}

// The methods of reporter, for checkInvariants.

func (w *refusedWorld) Helper()                           {}
func (w *refusedWorld) Errorf(format string, args ...any) { w.wrong(format, args...) }
func (w *refusedWorld) Fatalf(format string, args ...any) { w.wrong(format, args...) }
func (w *refusedWorld) Fatal(args ...any)                 { w.wrong("%s", fmt.Sprint(args...)) }

func (w *refusedWorld) wrong(format string, args ...any) {
	w.failed = true
	w.t.Errorf("seed %d: "+format, append([]any{w.seed}, args...)...)
}

func (w *refusedWorld) say(format string, args ...any) {
	if *refusedShow {
		w.said = append(w.said, fmt.Sprintf("%8s ", w.now.Sub(time.Unix(0, 0)))+fmt.Sprintf(format, args...))
	}
}

func (w *refusedWorld) put(c *Command) {
	c.At = w.now
	w.commands = append(w.commands, c)
}

// restart loads the store anew. Requests under way get no answer.
func (w *refusedWorld) restart() {
	snap := Snapshot{Head: Head{Seq: w.head}}
	for _, r := range w.rows {
		snap.Leases = append(snap.Leases, Loaded{Lease: *r.Lease, Attempt: r.Attempt, Remaining: r.Lease.ExpiresAt.Sub(w.now)})
	}
	for _, c := range w.clients {
		c.request, c.unread, c.called = nil, nil, false
	}
	w.asked, w.others, w.states = map[*Command]*refusedClient{}, map[*Command]string{}, map[*Command]askState{}
	w.left, w.commands = nil, nil
	w.m = NewMachine(w.cfg, snap, w.now)
	w.m.maxEvents = pick(w, 1, 2, 3, 8, 256)
	for name, e := range w.m.entries {
		r := w.rows[name]
		r.Lease = e.held.asLease(name) // the same, but with a deadline of this run
		w.rows[name] = r
	}
	w.m.Finish()
	w.head = max(w.head, w.m.seq)
}

// step has the loop take all that lies before it, in as many batches as that needs.
func (w *refusedWorld) step(mayRefuse bool) {
	for first := true; !w.failed && (first || len(w.commands) > 0 || len(w.left) > 0); first = false {
		w.batch(mayRefuse)
	}
}

// batch is one turn of the loop.
func (w *refusedWorld) batch(mayRefuse bool) {
	before := w.snapshot()
	w.commands = slices.DeleteFunc(w.commands, func(c *Command) bool { return c.Verb == DoAcquire && w.states[c] == hasGivenUp })
	gone, taken := w.m.decide(w.now, w.left, w.commands)
	w.left, w.commands = w.left[gone:], w.commands[taken:]
	if len(w.m.batch.events) > 0 && mayRefuse && w.rng.IntN(100) < w.percentFull {
		w.say("refused: %d events, %d departures, %d commands", len(w.m.batch.events), gone, taken)
		w.refused++
		if gone+taken > 1 {
			w.refusedOfSeveral++
		}
		w.refuse(before)
	} else {
		w.accept()
	}
	w.m.Finish()
	if len(w.m.freed) == 0 { // else the departures go on in the next batch
		checkInvariants(w, w.m)
	}
	w.checkRows()
}

// before is what a refused batch must leave as it was.
type before struct {
	held           map[Name]*held
	over, released int
	overKeys       []memory[attemptID]
}

func (w *refusedWorld) snapshot() before {
	b := before{
		held: map[Name]*held{}, over: len(w.m.endedAttempts.order), released: len(w.m.releases.order),
		overKeys: slices.Clone(w.m.endedAttempts.order),
	}
	for name, e := range w.m.entries {
		if e.held != nil {
			b.held[name] = e.held
		}
	}
	return b
}

// refuse plays a store that has no space for the batch (invariant 7).
func (w *refusedWorld) refuse(was before) {
	batch := &w.m.batch
	touched := map[Name]bool{} // may differ in what is known of the answer's delivery
	for _, word := range batch.deliveries {
		touched[word.entry.name] = true
	}
	w.m.TakeBack()
	w.checkTakenBack(was, touched)
	for to, r := range w.replies(ErrFull) {
		w.send(to, r)
	}
}

// replies is what the batch has to say. It is read to its end before anything is sent,
// since that may have clients act.
func (w *refusedWorld) replies(err error) iter.Seq2[*Command, Reply] {
	var to []*Command
	var said []Reply
	for c, r := range w.m.Replies(err) {
		to, said = append(to, c), append(said, r)
	}
	return func(yield func(*Command, Reply) bool) {
		for i, c := range to {
			if !yield(c, said[i]) {
				return
			}
		}
	}
}

func (w *refusedWorld) checkTakenBack(was before, touched map[Name]bool) {
	for name, e := range w.m.entries {
		old := was.held[name]
		delete(was.held, name)
		switch {
		case (e.held == nil) != (old == nil):
			w.wrong("after a refusal %s is held: %v, before: %v", name, e.held != nil, old != nil)
		case e.held == nil:
		case !sameLease(e.held, old) || e.held.attempt != old.attempt:
			w.wrong("after a refusal %s has another lease or attempt", name)
		case !touched[name] && !e.held.undoAt().Equal(old.undoAt()):
			w.wrong("after a refusal %s is to be undone at %v, before: %v", name, e.held.undoAt(), old.undoAt())
		}
	}
	for name := range was.held {
		w.wrong("after a refusal %s is free, and was held", name)
	}
	if len(w.m.endedAttempts.order) > was.over || len(w.m.releases.order) > was.released {
		w.wrong("what a refused batch ended is remembered")
	}
	for _, o := range was.overKeys {
		if _, known := w.m.endedAttempts.known[o.key]; !known && w.now.Before(o.until) {
			w.wrong("a refusal forgets an attempt that had ended before")
		}
	}
}

// accept plays a store that has the batch, and sends its answers.
func (w *refusedWorld) accept() {
	w.store()
	w.m.Accept()
	for to, r := range w.replies(nil) {
		if l := r.Lease; l != nil && r.Err == nil {
			w.checkTold(to, l)
		}
		w.send(to, r)
	}
}

// store keeps what the batch has for the disk.
func (w *refusedWorld) store() {
	rows := w.m.Rows(nil)
	if len(w.m.batch.events) == 0 && len(rows) > 0 {
		w.wrong("a batch without an event has rows: %v", rows)
	}
	for i := range w.m.batch.events {
		e := &w.m.batch.events[i]
		w.say("  %s", describe(e))
		if e.Seq <= w.head {
			w.wrong("event %d comes after %d", e.Seq, w.head)
		}
		w.head = e.Seq
		if e.Kind == Broken || e.Kind == Released {
			w.ended[e.Lease.Token] = true
			w.tellEnd(e.Lease.Token)
		}
	}
	for _, r := range rows {
		if w.rows[r.Name] = r; r.Lease == nil {
			delete(w.rows, r.Name)
		}
	}
}

// tellEnd lets the holders of a lease know that another client ended it.
func (w *refusedWorld) tellEnd(token Token) {
	for _, c := range w.clients {
		if c.got != nil && c.got.Token == token {
			c.got = nil
		}
	}
}

// checkTold checks that a lease in an answer is live.
func (w *refusedWorld) checkTold(to *Command, l *Lease) {
	if e := w.m.entries[l.Name]; e == nil || e.held == nil || e.held.token != l.Token {
		w.wrong("an answer has token %d of %s, which is over", l.Token, l.Name)
	}
	if to == nil || to.Verb != DoRenew {
		return
	}
	for _, c := range w.clients {
		if c.got != nil && c.got.Token == l.Token && l.ExpiresAt.After(c.until) {
			c.until = l.ExpiresAt
		}
	}
}

// checkRows compares what the store has with what the machine has.
func (w *refusedWorld) checkRows() {
	held := 0
	for name, e := range w.m.entries {
		if e.held == nil {
			continue
		}
		held++
		row, stored := w.rows[name]
		if !stored || !reflect.DeepEqual(row.Lease, e.held.asLease(name)) {
			w.wrong("of %s the store has not the lease that the machine has", name)
		}
		if (e.held.attempt == nil) != row.Attempt.IsZero() {
			w.wrong("of %s the store has not the attempt that the machine has", name)
		}
	}
	if held != len(w.rows) {
		w.wrong("the store has %d leases, the machine %d", len(w.rows), held)
	}
}

// send plays Table.send.
func (w *refusedWorld) send(c *Command, r Reply) {
	if c == nil || c.Verb == DoDrain || c.Verb == DoUndo || c.Verb == DoClaim {
		return
	}
	if _, other := w.others[c]; other {
		delete(w.others, c)
		return
	}
	by := w.asked[c]
	if r.Turn != nil {
		if by != nil && by.request == c { // else it has its answer, or has given up
			by.receive(r)
		}
		return
	}
	if w.states[c] != stillAsks {
		if w.states[c] == hasAnswer {
			w.wrong("a request is answered twice: %v", r)
		}
		delete(w.asked, c)
		w.undo(r) // it has given up
		return
	}
	w.states[c] = hasAnswer
	if by == nil {
		w.wrong("a request is answered that no client made: %+v", r)
		return
	}
	by.receive(r)
}

// undo plays Table.undo.
func (w *refusedWorld) undo(r Reply) {
	if r.Undoable {
		w.put(&Command{Verb: DoUndo, Name: r.Lease.Name, Token: r.Lease.Token})
	}
}

var errDeclined = errors.New("a policy says no")
