package lock

import (
	"fmt"
	"slices"
	"strings"
	"testing"
)

// stateOf returns what the waiter of a client is doing, as the queues of the stage have it.
func (s *stage) stateOf(who string) waiterState {
	for _, e := range s.m.entries {
		for w := range e.queue.all() {
			if w.request.Holder == who {
				return w.state
			}
		}
	}
	return outside
}

// Each way from one state of a waiter to another, by the words of a scenario: lines that
// bring B into the first state, and the line that takes it to the second.
func TestWaiterMoves(t *testing.T) {
	const (
		waits = "A acquire x; B acquire x wait=30s ask; "
		keyed = "A acquire x; B acquire x wait=30s ask key=k; "
		front = "C acquire x wait=30s priority=front; "
		free  = "A release x; "
		slow  = "at 1s; " // the call is passed on
	)
	taken := map[string]bool{}
	for _, tt := range []struct {
		why, before, last string
		from, to          waiterState
	}{
		{"joins", "A acquire x; ", "B acquire x wait=30s", outside, listening},
		{"a refused batch puts it back", "A acquire x; B acquire x wait=30s; disk full; ", free, listening, listening},
		{"a newer request", keyed, "B acquire x wait=30s ask key=k", listening, listening},
		{"a retry is due", waits + free + "disk full; B claims; disk ok; ", "at 300ms", listening, called},
		{"first in line", waits, free, listening, called},
		{"leaves with a key", keyed, "B hangs up", listening, absent},
		{"granted", "A acquire x; B acquire x wait=30s; ", free, listening, outside},
		{"leaves", waits, "B hangs up", listening, outside},
		{"drain", waits, "drain", listening, outside},
		{"asks again while another goes before", keyed + free + front, "B acquire x wait=30s ask key=k", called, listening},
		{"takes too long", waits + free, slow, called, late},
		{"one before it claims", "A acquire x; C acquire x wait=30s ask; B acquire x wait=30s ask; A release x; at 1s; ", "C claims", called, late},
		{"leaves with a key when called", keyed + free, "B hangs up", called, absent},
		{"denied", waits + free, "B declines", called, outside},
		{"claims", waits + free, "B claims", called, outside},
		{"claims late, behind another", waits + free + slow + front, "B claims", late, listening},
		{"asks again, late", keyed + free + slow + front, "B acquire x wait=30s ask key=k", late, listening},
		{"leaves late with a key", keyed + free + slow, "B hangs up", late, absent},
		{"denied late", waits + free + slow, "B declines", late, outside},
		{"claims late", waits + free + slow, "B claims", late, outside},
		{"comes back", keyed + "B hangs up; ", "B acquire x wait=30s ask key=k", absent, listening},
		{"does not come back", keyed + "B hangs up; ", "at 10s", absent, outside},
		{"drain while absent", keyed + "B hangs up; ", "drain", absent, outside},
	} {
		s := newStage(t)
		for _, line := range strings.Split(tt.before, "; ") {
			if line != "" {
				s.block(line)
			}
		}
		if got := s.stateOf("B"); got != tt.from {
			t.Errorf("%s: before it B is %s, want %s", tt.why, got, tt.from)
		}
		s.block(strings.TrimSuffix(tt.last, "; "))
		if got := s.stateOf("B"); got != tt.to {
			t.Errorf("%s: after it B is %s, want %s", tt.why, got, tt.to)
		}
		taken[fmt.Sprint(tt.from, " ", tt.to)] = true
	}
	for from, tos := range moves {
		for _, to := range tos {
			if move := fmt.Sprint(waiterState(from), " ", to); !taken[move] {
				t.Errorf("no case goes from %s", move)
			}
		}
	}
}

// A move that is not in the table is a fault that the check of the machine finds, and so
// are a state that does not fit the waiter and a deadline that it does not have.
func TestWaiterFaultsAreFound(t *testing.T) {
	queued := func() (*stage, *waiter) {
		s := newStage(t)
		s.block("A acquire x\nB acquire x wait=30s ask key=k")
		return s, s.actors["B"].acquire.waiter
	}
	for what, spoil := range map[string]func(m *Machine, w *waiter){
		"from listening to late": func(m *Machine, w *waiter) { m.move(w, late) },
		"outside, in the queue":  func(m *Machine, w *waiter) { w.state = outside },
		"called, not the one":    func(m *Machine, w *waiter) { w.state = called },
		"late, with a deadline":  func(m *Machine, w *waiter) { w.state = late; m.schedule.set(&w.due, m.now) },
		"absent, but listening":  func(m *Machine, w *waiter) { w.state = absent },
		"absent for ever":        func(m *Machine, w *waiter) { w.listener = nil; m.move(w, absent); m.schedule.cancel(&w.due) },
	} {
		s, w := queued()
		if faults := s.m.Faults(); len(faults) > 0 {
			t.Fatalf("nothing is spoilt yet: %q", faults)
		}
		if spoil(s.m, w); len(s.m.Faults()) == 0 {
			t.Errorf("%s: no fault is found", what)
		}
	}
}

func TestWaiterStatesHaveNames(t *testing.T) {
	var names []string
	for s := range moves {
		names = append(names, waiterState(s).String())
	}
	if want := []string{"outside", "listening", "called", "late", "absent"}; !slices.Equal(names, want) {
		t.Errorf("got %v, want %v", names, want)
	}
}
