package locktest

import (
	"math"
	"slices"
	"time"

	"github.com/anishathalye/porcupine"
)

// state is the model's knowledge of one lock. Token 0: the lock is free, or held under a
// lease that no operation has shown.
type state struct {
	token     uint64
	attempt   string
	earliest  time.Duration // the lease lapses at this instant or later
	latest    time.Duration // and is of no use to a later operation
	delivered bool          // a client was told, so that it cannot be undone
	last      uint64        // greatest token seen so far
	released  bool          // the lease with that token was released
}

const never = time.Duration(math.MaxInt64)

// facts are the changes of one lock that unanswered requests may have made.
type facts struct {
	asked    map[string]int64 // attempt: since when one of its requests may have been granted, unanswered
	ending   map[uint64]int64 // token: since when it may have been released or broken
	released map[uint64]int64 // token: since when it may have been released
	renewed  map[uint64]int64 // token: since when it may have been renewed
	releases map[uint64]int   // token: requests to release it
	// token: renewals that were refused. One may have been made all the same, if the
	// lease was ended before the answer left.
	inVain map[uint64][]*Operation
}

func gather(ops []*Operation) *facts {
	f := &facts{
		asked: map[string]int64{}, ending: map[uint64]int64{}, released: map[uint64]int64{}, renewed: map[uint64]int64{},
		releases: map[uint64]int{}, inVain: map[uint64][]*Operation{},
	}
	for _, op := range ops {
		if op.Do == Release {
			f.releases[op.Token]++
		}
		if op.Do == Renew && op.Outcome.Result == NotHeld {
			f.inVain[op.Token] = append(f.inVain[op.Token], op)
		}
		if op.Outcome.Result != Unknown {
			continue
		}
		switch op.Do {
		case Acquire:
			since(f.asked, op.Attempt, op.call)
		case Renew:
			since(f.renewed, op.Token, op.call)
		case Release:
			since(f.released, op.Token, op.call)
			since(f.ending, op.Token, op.call)
		case Break:
			since(f.ending, op.Token, op.call)
		}
	}
	return f
}

func since[K comparable](m map[K]int64, k K, call int64) {
	if was, ok := m[k]; !ok || call < was {
		m[k] = call
	}
}

// by reports whether something that may have happened since m[k] may have happened
// by the end of op.
func by[K comparable](m map[K]int64, k K, op *Operation) bool {
	call, ok := m[k]
	return ok && call <= op.end
}

// step returns the state after op, and whether op's answer can be right in state s.
func (f *facts) step(s state, op *Operation) (state, bool) {
	switch op.Outcome.Result {
	case Done:
		return f.done(s, op)
	case Held:
		return f.seen(s, op)
	case Free:
		return f.over(s, op)
	case NotHeld:
		if s.token != op.Token {
			return s, true
		}
		return f.over(s, op)
	case AttemptOver:
		if s.token == 0 || s.attempt != op.Attempt {
			return s, true
		}
		return f.over(s, op)
	}
	return s, true
}

func (f *facts) done(s state, op *Operation) (state, bool) {
	switch op.Do {
	case Acquire:
		return f.granted(s, op)
	case Renew:
		return f.extended(s, op)
	case Release:
		return f.givenBack(s, op)
	}
	ok := s.token == op.Token && f.intime(s, op)
	return state{last: s.last}, ok
}

// granted begins a lease, or tells an attempt again of the one it has.
func (f *facts) granted(s state, op *Operation) (state, bool) {
	o := &op.Outcome
	next := state{token: o.Token, attempt: op.Attempt, earliest: op.earliest, latest: op.until, delivered: true, last: o.Token}
	if s.token == o.Token {
		next.earliest = max(s.earliest, op.earliest)
		return next, s.attempt == op.Attempt && op.until >= s.earliest
	}
	s, ok := f.over(s, op)
	return next, ok && o.Token > s.last
}

// extended moves the deadline away, never nearer.
func (f *facts) extended(s state, op *Operation) (state, bool) {
	ok := s.token == op.Token && f.intime(s, op) && op.until >= s.earliest
	s.earliest, s.latest, s.delivered = max(s.earliest, op.earliest), op.until, true
	return s, ok
}

// givenBack ends a lease, or tells again that it was ended so.
func (f *facts) givenBack(s state, op *Operation) (state, bool) {
	switch {
	case s.token == op.Token:
		ok := f.intime(s, op) || by(f.released, op.Token, op)
		return state{last: s.last, released: true}, ok
	case s.last == op.Token:
		return s, s.released || by(f.released, op.Token, op)
	}
	return s, f.releases[op.Token] > 1
}

// seen checks a lease that an operation showed: the known one, or one whose grant no client
// was told of yet.
func (f *facts) seen(s state, op *Operation) (state, bool) {
	o := &op.Outcome
	if op.Do == Acquire && o.Attempt == op.Attempt {
		return s, false // it has the lock itself, and was refused
	}
	if s.token == o.Token {
		return s, s.attempt == o.Attempt
	}
	s, ok := f.over(s, op)
	ok = ok && o.Token > s.last && by(f.asked, o.Attempt, op)
	return state{token: o.Token, attempt: o.Attempt, latest: never, last: o.Token}, ok
}

// over ends the present lease without a request, if that is possible by the end of op.
func (f *facts) over(s state, op *Operation) (state, bool) {
	ok := s.token == 0 || !s.delivered || s.earliest <= op.ended || by(f.ending, s.token, op)
	return state{last: s.last, released: s.released && s.token == 0}, ok
}

// intime reports whether op came before the end of the lease.
func (f *facts) intime(s state, op *Operation) bool {
	if op.began <= s.latest || by(f.renewed, s.token, op) {
		return true
	}
	return slices.ContainsFunc(f.inVain[s.token], func(r *Operation) bool {
		return r.began <= s.latest && r.call < op.end && op.call < r.end
	})
}

// model returns the sequential specification of one lock for the checker.
func (f *facts) model() porcupine.Model {
	return porcupine.Model{
		Init: func() any { return state{} },
		Step: func(s, in, _ any) (bool, any) {
			next, ok := f.step(s.(state), in.(*Operation))
			return ok, next
		},
		Hash:              func(s any) uint64 { return s.(state).token*31 + s.(state).last },
		DescribeOperation: func(in, _ any) string { return in.(*Operation).String() },
		DescribeState:     func(s any) string { return s.(state).String() },
	}
}
