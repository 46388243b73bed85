package etcd

import (
	"fmt"
	"slices"
	"strings"
	"testing"
)

// explorer explores a model completely: all states that its steps lead to, from the zero state.
// What etcd does in one transaction is one step; requests and answers may get lost, or arrive
// late or twice, so each of them is a step of its own.
type explorer[S comparable] struct {
	steps  func(S)  // calls try for everything that may happen next
	forget func(*S) // clears what can make no difference any more; may be nil

	seen map[S]bool
	todo []S
	came map[S]origin[S] // nil: no trace is kept

	at        S
	how       step
	violation string
	trace     []step // that leads to the violation
}

// step is something that happens.
type step struct {
	what string
	of   [2]int // the term or the node, and the batch, write or lease; 0: none
}

func (s step) String() string {
	text := s.what
	for _, n := range s.of {
		if n > 0 {
			text += fmt.Sprintf(" %d", n)
		}
	}
	return text + ";"
}

type origin[S comparable] struct {
	from S
	how  step
}

// run explores until there is a violation or nothing more. With a trace, the states come in the
// order of their distance, so the trace is one of the shortest.
func (e *explorer[S]) run(traced bool) {
	e.seen = map[S]bool{}
	if traced {
		e.came = map[S]origin[S]{}
	}
	var first S
	e.add(first)
	for len(e.todo) > 0 && e.violation == "" {
		next := len(e.todo) - 1
		if traced {
			next = 0
		}
		e.at = e.todo[next]
		if traced {
			e.todo = e.todo[1:]
		} else {
			e.todo = e.todo[:next]
		}
		e.steps(e.at)
	}
}

// does says what happens in the states that are added next.
func (e *explorer[S]) does(what string, of ...int) {
	e.how = step{what: what}
	copy(e.how.of[:], of)
}

// add notes a state to be looked at, if it is a new one.
func (e *explorer[S]) add(s S) {
	if e.forget != nil {
		e.forget(&s)
	}
	if e.seen[s] {
		return
	}
	e.seen[s] = true
	e.todo = append(e.todo, s)
	if e.came != nil {
		e.came[s] = origin[S]{e.at, e.how}
	}
}

// fail notes the first violation.
func (e *explorer[S]) fail(format string, a ...any) {
	if e.violation != "" {
		return
	}
	e.violation = fmt.Sprintf(format, a...)
	var first S
	e.trace = []step{e.how}
	for s := e.at; e.came != nil && s != first; s = e.came[s].from {
		e.trace = append(e.trace, e.came[s].how)
	}
	slices.Reverse(e.trace)
}

// found is what an exploration of a protocol has shown.
type found struct {
	violation string
	trace     []step
	states    int
}

func (e *explorer[S]) found() found { return found{e.violation, e.trace, len(e.seen)} }

// variant is a protocol that is tempting and wrong, and what the exploration must find.
type variant struct {
	name    string
	explore func(traced bool) found
	want    string // part of the violation
}

// checkVariants checks that each variant is found wrong for a reason of its own: no two are
// wrong in the same way.
func checkVariants(t *testing.T, all []variant) {
	t.Helper()
	by := map[string]string{}
	for _, v := range all {
		t.Run(strings.ReplaceAll(v.name, " ", "-"), func(t *testing.T) {
			f := v.explore(true)
			way := fmt.Sprint(f.violation, ": ", f.trace)
			t.Logf("after %d states, %s", f.states, way)
			if !strings.Contains(f.violation, v.want) || f.violation == "" {
				t.Errorf("found %q, want one about %q", f.violation, v.want)
			}
			if by[way] != "" {
				t.Errorf("it is wrong in the same way as: %s", by[way])
			}
			by[way] = v.name
		})
	}
}

// checkProtocol checks that a protocol has no violation, in enough states to show something.
func checkProtocol(t *testing.T, what string, f found, least int) {
	t.Helper()
	if f.violation != "" {
		t.Errorf("%s: %s", what, f.violation)
	}
	if f.states < least {
		t.Errorf("%s: only %d states: the model does not show much any more", what, f.states)
	}
	t.Logf("%s: %d states", what, f.states)
}
