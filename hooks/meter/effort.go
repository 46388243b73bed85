package meter

// The time and memory of the compiler (wazevo) can be out of all proportion to the size of
// a module: its intermediate form is SSA, so it tracks the value of every local wherever
// control flow joins, and some of its passes walk from every block to the beginning of the
// function. workload estimates that work, and bounds limit it.

// workload is the work of the compiler for one function, or for a module.
type workload struct {
	values  int64 // locals and operands, at every block and branch
	nests   int64 // of every loop: how deep it is nested, times the square of the locals
	merges  int64 // of every block: the ways to its end, times the square of the locals set in it
	targets int64 // of all br_table
	blocks  int64 // blocks and branches of a function, squared
	turns   int64 // loops of a function, times its blocks and branches
}

// bound is the limit of one kind of work for a module: a base, and an amount for each KiB of
// its code.
//
// Guests compiled from C, Rust, Go or AssemblyScript need less than half of it, and the
// largest published modules, such as an AV1 decoder, stay below it. A module of 10 KiB at
// the limit compiles in about a second with 150 MiB at most.
type bound struct {
	what       string
	of         func(workload) int64
	base, each int64
}

var bounds = []bound{
	{"locals and operands times branches", func(w workload) int64 { return w.values }, 500_000, 3_500},
	{"nested loops times locals squared", func(w workload) int64 { return w.nests }, 20_000_000, 250_000},
	{"branches to a block times locals set in it squared", func(w workload) int64 { return w.merges }, 20_000_000, 250_000},
	{"targets of br_table", func(w workload) int64 { return w.targets }, 20_000, 100},
	{"branches of a function squared", func(w workload) int64 { return w.blocks }, 20_000_000, 200_000},
	{"loops times branches of a function", func(w workload) int64 { return w.turns }, 4_000_000, 5_000},
}

// check refuses a module whose work exceeds the bounds for its bytes of code.
func (w workload) check(code int) {
	for _, b := range bounds {
		if n, most := b.of(w), b.base+b.each*int64(code)/1024; n > most {
			refuse("it takes too much to compile: %s: %d, and with %d KiB of code it may have %d", b.what, n, code>>10, most)
		}
	}
}

func (w *workload) add(f workload) {
	w.values += f.values
	w.nests += f.nests
	w.merges += f.merges
	w.targets += f.targets
	w.blocks += f.blocks
	w.turns += f.turns
}

// effort gathers the workload of a function while it is read.
type effort struct {
	height  int64 // operands on the stack
	depth   int64 // loops around the instruction
	joins   int64 // blocks and branches, those of the meter too
	across  int64 // operands that are kept across them
	loops   int64
	nesting int64 // of every loop: how deep it is nested, and the branches to it
	widest  int64 // parameters of a loop, at most
	merges  int64
	joined  int64 // locals and operands that have a value of their own where a block ends
	targets int64

	used  int64    // locals that occur
	seen  []bool   // of every local: it occurs
	setAt []uint32 // of every local: how many blocks there were when it was last set
	begun uint32   // blocks so far
}

func newEffort(locals uint64) effort {
	return effort{setAt: make([]uint32, locals), seen: make([]bool, locals)}
}

// workload is called at the end of a function.
func (e *effort) workload() workload {
	width := e.used + e.widest
	return workload{
		values:  e.joins*e.used + e.across,
		nests:   e.nesting * width * width,
		merges:  e.merges,
		targets: e.targets,
		blocks:  e.joins * e.joins,
		turns:   e.loops * e.joins,
	}
}

// local accounts for an instruction that uses a local.
func (e *effort) local(in instruction, blocks []block) {
	if !e.seen[in.index] {
		e.seen[in.index] = true
		e.used++
	}
	if in.op == opLocalGet {
		return
	}
	// Blocks are numbered in the order of their beginnings. Open blocks from before the
	// last use of the local have counted it already.
	for i := len(blocks) - 1; i >= 0 && blocks[i].id >= e.setAt[in.index]; i-- {
		blocks[i].sets++
	}
	e.setAt[in.index] = e.begun
}

// join accounts for a block, or for a branch with so many values.
func (e *effort) join(values int64) {
	e.joins++
	e.across += e.height + values
}

// open begins a block.
func (e *effort) open(in instruction) block {
	b := block{id: e.begun, loop: in.op == opLoop, base: max(0, e.height-in.params), params: in.params, results: in.results, ways: 1}
	e.begun++
	if in.op == opIf {
		b.ways++
	}
	if b.loop {
		e.loops++
		e.depth++
		e.nesting += e.depth
		e.widest = max(e.widest, in.params)
	}
	e.join(in.results)
	return b
}

// branch accounts for a branch to a block.
func (e *effort) branch(blocks []block, depth uint32) {
	if int64(depth) >= int64(len(blocks)) {
		refuse("there is no block %d to branch to", depth)
	}
	b := &blocks[len(blocks)-1-int(depth)]
	b.ways++
	if b.loop {
		e.nesting++
	}
}

// close ends a block.
func (e *effort) close(b block) {
	e.joined += b.sets + b.params + b.results
	if b.loop {
		e.depth--
	} else {
		width := b.sets + b.results
		e.merges += b.ways * width * width
	}
	e.height = b.base + b.results
}

// call accounts for the results of a call.
func (e *effort) call(results int64) { e.across += results }

// bulk accounts for an instruction that the compiler splits into several blocks.
func (e *effort) bulk() {
	for range 3 {
		e.join(0)
	}
}

// move accounts for the effect of an instruction on the stack.
func (e *effort) move(in instruction, blocks []block) {
	e.height = max(e.height+in.moves, blocks[len(blocks)-1].base)
}
