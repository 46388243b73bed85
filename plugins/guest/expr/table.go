package expr

import (
	"regexp/syntax"
	"slices"
)

const (
	ascii    = 128
	maxInsts = 300
	maxKinds = 64
	maxWork  = 2_500 // instructions: what keeps a table within the fuel of a start
)

// table is an expression as a deterministic automaton over ASCII. State 0 is dead: no text that
// leads there matches.
type table struct {
	class   [ascii]uint8 // bytes of one class are the same to the expression
	classes int
	next    []uint16 // by state and class
	accepts []bool   // by state: a text that ends there matches
}

// match reports whether a text matches. ascii is false, and the result unknown, if the text is
// not ASCII.
func (t *table) match(text string) (matches, ascii bool) {
	state := 1
	for i := range len(text) {
		b := text[i]
		if b >= 128 {
			return false, false
		}
		state = int(t.next[state*t.classes+int(t.class[b])])
	}
	return t.accepts[state], true
}

// tableOf returns the table of a program, or nil if it would be too large or if the program
// depends on more context than one byte.
func tableOf(prog *syntax.Prog) *table {
	if len(prog.Inst) > maxInsts {
		return nil
	}
	for _, inst := range prog.Inst {
		if inst.Op == syntax.InstEmptyWidth && syntax.EmptyOp(inst.Arg)&^(syntax.EmptyBeginText|syntax.EmptyEndText) != 0 {
			return nil
		}
	}
	b := builder{walker: walker{prog: prog, seen: make([]bool, len(prog.Inst))}, states: map[string]int{"": 0}, sets: [][]uint32{nil}}
	if !b.classify() {
		return nil
	}
	return b.build()
}

// builder makes a table of a program. A state is the set of instructions that are next.
type builder struct {
	walker
	table    table
	kind     []uint8  // by instruction
	consumed []uint64 // by class, which kinds consume it
	states   map[string]int
	sets     [][]uint32
}

// classify groups the bytes that all instructions treat alike. An expression with counts has
// many equal instructions, so each distinct one is looked at once.
func (b *builder) classify() bool {
	var kinds []*syntax.Inst
	b.kind = make([]uint8, len(b.prog.Inst))
	for i := range b.prog.Inst {
		inst, kind := &b.prog.Inst[i], 0
		for kind < len(kinds) && !sameRunes(kinds[kind], inst) {
			kind++
		}
		if kind == len(kinds) {
			kinds = append(kinds, inst)
		}
		if len(kinds) > maxKinds {
			return false
		}
		b.kind[i] = uint8(kind)
	}
	known := map[uint64]uint8{}
	for r := range rune(ascii) {
		var consumed uint64 // by kind
		for kind, inst := range kinds {
			if consumes(inst, r) {
				consumed |= 1 << kind
			}
		}
		class, there := known[consumed]
		if !there {
			class = uint8(len(known))
			known[consumed] = class
			b.consumed = append(b.consumed, consumed)
		}
		b.table.class[r] = class
	}
	b.table.classes = len(known)
	return true
}

// sameRunes reports whether two instructions consume the same.
func sameRunes(a, b *syntax.Inst) bool {
	return a.Op == b.Op && a.Arg&uint32(syntax.FoldCase) == b.Arg&uint32(syntax.FoldCase) && slices.Equal(a.Rune, b.Rune)
}

func (b *builder) build() *table {
	t := &b.table
	t.next = make([]uint16, t.classes) // of the dead state
	t.accepts = []bool{false}
	b.state([]uint32{uint32(b.prog.Start)})
	var from []uint32
	for state := 1; state < len(b.sets); state++ {
		if b.work > maxWork {
			return nil
		}
		var at syntax.EmptyOp
		if state == 1 {
			at = syntax.EmptyBeginText
		}
		from = b.reach(from[:0], b.sets[state], at)
		for _, consumed := range b.consumed {
			var to []uint32
			b.work += len(from)
			for _, pc := range from {
				if consumed&(1<<b.kind[pc]) != 0 {
					to = insert(to, b.prog.Inst[pc].Out)
				}
			}
			t.next = append(t.next, uint16(b.state(to)))
		}
		t.accepts = append(t.accepts, b.ends(b.reach(from[:0], b.sets[state], at|syntax.EmptyEndText)))
	}
	return t
}

// state returns the number of a set, and assigns one to a new set.
func (b *builder) state(set []uint32) int {
	key := make([]byte, 0, 2*len(set))
	for _, pc := range set {
		key = append(key, byte(pc), byte(pc>>8))
	}
	n, there := b.states[string(key)]
	if !there {
		n = len(b.sets)
		b.states[string(key)] = n
		b.sets = append(b.sets, set)
	}
	return n
}

// insert adds to a sorted set.
func insert(set []uint32, pc uint32) []uint32 {
	i := 0
	for i < len(set) && set[i] < pc {
		i++
	}
	if i < len(set) && set[i] == pc {
		return set
	}
	set = append(set, 0)
	copy(set[i+1:], set[i:])
	set[i] = pc
	return set
}
