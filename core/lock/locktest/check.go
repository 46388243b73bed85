package locktest

import (
	"errors"
	"fmt"
	"maps"
	"math"
	"slices"
	"strings"
	"time"

	"github.com/anishathalye/porcupine"
)

// Errors of [History.Check].
var (
	ErrViolation = errors.New("no order of events explains these answers")
	ErrUndecided = errors.New("undecided: the check took too long")
)

// Check returns nil if the answers can be right, an error that wraps [ErrViolation] if
// they cannot, or one that wraps [ErrUndecided] if the check of one lock takes longer
// than most.
func (h *History) Check(most time.Duration) error {
	h.settle()
	if err := h.checkAttempts(); err != nil {
		return err
	}
	locks := h.byLock()
	for _, name := range slices.Sorted(maps.Keys(locks)) {
		ops := locks[name]
		switch porcupine.CheckOperationsTimeout(gather(ops).model(), timeline(ops), most) {
		case porcupine.Illegal:
			return fmt.Errorf("lock %s, %d operations: %w\n%s", name, len(ops), ErrViolation, explain(ops, most))
		case porcupine.Unknown:
			return fmt.Errorf("lock %s, %d operations, %s: %w", name, len(ops), most, ErrUndecided)
		}
	}
	return nil
}

// explain tells how far an order could be found: what led there, and which answers
// could not come next.
func explain(ops []*Operation, most time.Duration) string {
	f := gather(ops)
	_, info := porcupine.CheckOperationsVerbose(f.model(), timeline(ops), most)
	var longest []porcupine.Operation
	for _, part := range info.PartialLinearizationsOperations() {
		for _, line := range part {
			if len(line) > len(longest) {
				longest = line
			}
		}
	}
	placed := map[*Operation]bool{}
	s, b := state{}, new(strings.Builder)
	for i, o := range longest {
		op := o.Input.(*Operation)
		placed[op] = true
		s, _ = f.step(s, op)
		if i >= len(longest)-20 {
			fmt.Fprintf(b, "  client %2d  %s\n", op.Client, op)
		}
	}
	fmt.Fprintf(b, "  then: %s; and none of\n", s)
	bound := int64(math.MaxInt64) // whatever begins later cannot be next
	for _, op := range ops {
		if !placed[op] {
			bound = min(bound, op.end)
		}
	}
	for _, op := range ops {
		if !placed[op] && op.call <= bound {
			fmt.Fprintf(b, "  client %2d  %s\n", op.Client, op)
		}
	}
	return b.String()
}

// settle forgets the latest deadline of leases that lived through a restart or an outage.
func (h *History) settle() {
	for _, op := range h.ops {
		for _, at := range h.restarts {
			if op.began <= at && at <= op.until {
				op.until = never
			}
		}
		for _, o := range h.outages {
			if op.began <= o.to && o.from-unrecorded <= op.until {
				op.until = never
			}
		}
	}
}

// attempt collects the facts about one attempt.
type attempt struct {
	keyed bool
	asked time.Duration            // when its first request began
	shown map[uint64]time.Duration // its leases, and when each was told or seen first
}

// checkAttempts looks for attempts with more leases than they may have: one, and with
// a key one more for each restart meanwhile, and any number in an outage, since a key
// whose lease is over is forgotten then.
func (h *History) checkAttempts() error {
	for name, a := range h.attempts() {
		for i, token := range slices.Sorted(maps.Keys(a.shown)) {
			most := 1
			for _, at := range h.restarts {
				if a.keyed && a.asked <= at && at <= a.shown[token] {
					most++
				}
			}
			for _, o := range h.outages {
				if a.keyed && a.asked <= o.to && o.from <= a.shown[token] {
					most = i + 1 // forgotten any number of times
				}
			}
			if i >= most {
				return fmt.Errorf("attempt %s has the lease %d, which is one too many: %w", name, token, ErrViolation)
			}
		}
	}
	return nil
}

func (h *History) attempts() map[string]*attempt {
	found := map[string]*attempt{}
	for _, op := range h.ops {
		if op.Do != Acquire {
			continue
		}
		a := found[op.Attempt]
		if a == nil {
			a = &attempt{keyed: op.Keyed, asked: op.began, shown: map[uint64]time.Duration{}}
			found[op.Attempt] = a
		}
		a.asked = min(a.asked, op.began)
	}
	for _, op := range h.ops {
		name := op.Outcome.Attempt
		if op.Do == Acquire && op.Outcome.Result == Done {
			name = op.Attempt
		}
		if a := found[name]; a != nil && op.Outcome.Token != 0 {
			if was, ok := a.shown[op.Outcome.Token]; !ok || op.ended < was {
				a.shown[op.Outcome.Token] = op.ended
			}
		}
	}
	return found
}

func (h *History) byLock() map[string][]*Operation {
	locks := map[string][]*Operation{}
	for _, op := range h.ops {
		locks[op.Lock] = append(locks[op.Lock], op)
	}
	return locks
}

// timeline converts the operations for the checker. An operation whose answer says nothing
// gets an empty interval, so that the checker does not try orders for it.
func timeline(ops []*Operation) []porcupine.Operation {
	line := make([]porcupine.Operation, len(ops))
	for i, op := range ops {
		line[i] = porcupine.Operation{ClientId: op.Client, Input: op, Call: op.call, Return: op.end}
		if op.Outcome.Result == Unknown || op.Outcome.Result == Refused {
			line[i].Return = op.call
		}
	}
	return line
}

// Draw writes a picture of the check of all locks to a file, in HTML. It takes no
// longer than most for the check it needs.
func (h *History) Draw(path string, most time.Duration) error {
	locks := h.byLock()
	all := map[string]*facts{}
	for name, ops := range locks {
		all[name] = gather(ops)
	}
	m := (&facts{}).model()
	m.Step = func(s, in, _ any) (bool, any) {
		op := in.(*Operation)
		next, ok := all[op.Lock].step(s.(state), op)
		return ok, next
	}
	m.Partition = func([]porcupine.Operation) (parts [][]porcupine.Operation) {
		for _, name := range slices.Sorted(maps.Keys(locks)) {
			parts = append(parts, timeline(locks[name]))
		}
		return parts
	}
	_, info := porcupine.CheckOperationsVerbose(m, timeline(h.ops), most)
	return porcupine.VisualizePath(m, info, path)
}

// String is the operation in one line.
func (op *Operation) String() string {
	o := &op.Outcome
	s := string(op.Do)
	switch op.Do {
	case Acquire:
		s += " as " + op.Attempt
	case Renew, Release, Break:
		s += fmt.Sprint(" ", op.Token)
	}
	s += ": " + string(o.Result)
	switch {
	case o.Result == Done && op.Do == Acquire:
		s += fmt.Sprint(" ", o.Token)
	case o.Result == Held:
		s += fmt.Sprintf(" by %d of %s", o.Token, o.Attempt)
	}
	if o.Result == Done && (op.Do == Acquire || op.Do == Renew) {
		s += fmt.Sprintf(" until %s", op.earliest)
	}
	return fmt.Sprintf("%s [%s, %s] %s", s, op.began, op.ended, o.Detail)
}

func (s state) String() string {
	if s.token == 0 {
		return fmt.Sprintf("free or unseen after %d", s.last)
	}
	return fmt.Sprintf("%d of %s until %s", s.token, s.attempt, s.earliest)
}
