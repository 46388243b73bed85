// Package expr matches whole texts with regular expressions at a price in fuel that suits a
// policy. Compile in configure, which has a budget of its own:
//
//	ticket, err := expr.Compile("OPS-[0-9]+")
//
// Package regexp needs thousands of units of fuel for each byte of a text. This package compiles
// the expression to a table, so that each byte costs one table look-up.
package expr

import "regexp/syntax"

// Expr is a compiled regular expression. It is for one goroutine, and a policy has only one.
type Expr struct {
	table     *table // nil: the expression has no table
	walker    walker
	now, next []uint32 // kept for their memory
}

// Compile compiles a regular expression of package regexp, which has to match a whole text, with
// or without ^ and $. Its error says what is wrong with the expression.
func Compile(expression string) (*Expr, error) {
	parsed, err := syntax.Parse(expression, syntax.Perl)
	if err != nil {
		return nil, err
	}
	prog, err := syntax.Compile(parsed.Simplify())
	if err != nil {
		return nil, err
	}
	n := len(prog.Inst)
	return &Expr{
		table: tableOf(prog), walker: walker{prog: prog, seen: make([]bool, n), todo: make([]uint32, 0, 2*n)},
		now: make([]uint32, 0, n), next: make([]uint32, 0, n),
	}, nil
}

// Match reports whether the expression matches the whole of a text. It takes time in proportion to
// the length of the text and leaves no garbage. Texts beyond ASCII, and expressions with word
// boundaries, (?m) or very many states, have no table: they cost many times as much fuel.
func (e *Expr) Match(text string) bool {
	if e.table != nil {
		if matches, ascii := e.table.match(text); ascii {
			return matches
		}
	}
	return e.simulate(text)
}

// simulate matches without a table: it keeps the set of all instructions that may be next.
func (e *Expr) simulate(text string) bool {
	w, now := &e.walker, e.now
	before := rune(-1)
	next := append(e.next[:0], uint32(w.prog.Start))
	for _, r := range text {
		now = w.reach(now[:0], next, syntax.EmptyOpContext(before, r))
		next = next[:0]
		for _, pc := range now {
			if inst := &w.prog.Inst[pc]; consumes(inst, r) {
				next = append(next, inst.Out)
			}
		}
		if len(next) == 0 {
			return false
		}
		before = r
	}
	return w.ends(w.reach(now[:0], next, syntax.EmptyOpContext(before, -1)))
}

// walker follows the instructions of a program that consume no text.
type walker struct {
	prog *syntax.Prog
	seen []bool   // by instruction
	todo []uint32 // kept for its memory
	work int      // instructions gone through
}

// reach appends the instructions that can be reached from a set at a position of the text
// without consuming a byte.
func (w *walker) reach(all, set []uint32, at syntax.EmptyOp) []uint32 {
	clear(w.seen)
	w.todo = append(w.todo[:0], set...)
	for len(w.todo) > 0 {
		pc := w.todo[len(w.todo)-1]
		w.todo = w.todo[:len(w.todo)-1]
		if w.seen[pc] {
			continue
		}
		w.seen[pc] = true
		w.work++
		all = append(all, pc)
		switch inst := &w.prog.Inst[pc]; inst.Op {
		case syntax.InstAlt, syntax.InstAltMatch:
			w.todo = append(w.todo, inst.Out, inst.Arg)
		case syntax.InstCapture, syntax.InstNop:
			w.todo = append(w.todo, inst.Out)
		case syntax.InstEmptyWidth:
			if syntax.EmptyOp(inst.Arg)&^at == 0 {
				w.todo = append(w.todo, inst.Out)
			}
		}
	}
	return all
}

func (w *walker) ends(reached []uint32) bool {
	for _, pc := range reached {
		if w.prog.Inst[pc].Op == syntax.InstMatch {
			return true
		}
	}
	return false
}

func consumes(inst *syntax.Inst, r rune) bool {
	switch inst.Op {
	case syntax.InstRune, syntax.InstRune1:
		return inst.MatchRune(r)
	case syntax.InstRuneAny:
		return true
	case syntax.InstRuneAnyNotNL:
		return r != '\n'
	}
	return false
}
