package meter

// instruction holds the properties of one instruction that the meter needs.
type instruction struct {
	op     byte
	sub    uint32 // of the prefixes 0xfc and 0xfd
	price  int64
	values int64 // results of a call, beyond the first
	handed int64 // parameters and results of a call
	host   bool  // the call is one of the host
	bulk   bulk  // it costs by its last operand as well

	rewrite bool // it is a remainder, which is computed another way

	index           uint32   // of a local, or of the block to branch to
	targets         []uint32 // of a br_table, until the next instruction
	params, results int64    // of a block
	moves           int64    // by how much it makes the stack of operands higher
}

// bulk is the unit of the last operand of a bulk instruction.
type bulk byte

const (
	notBulk bulk = iota
	bulkBytes
	bulkElements
	growPages
	growElements
)

// Opcodes the rewriter has to know by name.
const (
	opUnreachable = 0x00
	opBlock       = 0x02
	opLoop        = 0x03
	opIf          = 0x04
	opElse        = 0x05
	opEnd         = 0x0b
	opBr          = 0x0c
	opBrIf        = 0x0d
	opBrTable     = 0x0e
	opReturn      = 0x0f
	opCall        = 0x10

	opCallIndirect = 0x11

	opLocalGet = 0x20
	opLocalSet = 0x21
	opLocalTee = 0x22

	opRefFunc = 0xd2
)

// next reads one instruction.
func (w *rewriter) next(r *reader, locals uint64) instruction {
	in := instruction{op: r.byte(), price: 1}
	in.moves = moves(in.op)
	switch op := in.op; {
	case op == opBlock || op == opLoop || op == opIf:
		w.blockType(r, &in)
	case op <= 0x01 || op == opElse || op == opEnd || op == opReturn || op == 0x1a || op == 0x1b:
	case op >= 0x06 && op <= 0x0a || op == 0x18 || op == 0x19 || op == 0x1f:
		refuse("exception handling is not supported (opcode %#x)", op)
	case op == opBr || op == opBrIf:
		in.index = r.u32()
	case op == opBrTable:
		in.price = BranchTable
		w.targets = w.targets[:0]
		for n := uint64(r.u32()) + 1; n > 0; n-- {
			w.targets = append(w.targets, r.u32())
		}
		in.targets = w.targets
	case op == opCall:
		called := r.u32()
		w.called(w.typeOfFunction(called), &in)
		in.host = int(called) < w.imported
	case op == opCallIndirect:
		in.price = IndirectCall
		w.called(w.typeAt(r.u32()), &in)
		in.moves-- // the index
		r.u32()
	case op >= 0x12 && op <= 0x15:
		refuse("tail calls and typed references are not supported (opcode %#x)", op)
	case op == 0x1c:
		r.take(r.u32())
	case op >= opLocalGet && op <= opLocalTee:
		if in.index = r.u32(); uint64(in.index) >= locals {
			refuse("there is no local %d", in.index)
		}
	case op == 0x23 || op == 0x24:
		if i := r.u32(); i >= w.globals {
			refuse("there is no global %d", i)
		}
	case op == 0x25 || op == 0x26:
		in.price = MemoryAccess
		r.u32()
	case op >= 0x28 && op <= 0x3e:
		in.price = MemoryAccess
		memoryArgument(r)
	case op == 0x3f:
		onlyMemory(r)
	case op == 0x40:
		onlyMemory(r)
		in.price, in.bulk = Grow, growPages
	case op == 0x41:
		r.skipLEB(5)
	case op == 0x42:
		r.skipLEB(10)
	case op == 0x43:
		r.take(4)
	case op == 0x44:
		r.take(8)
	case op >= 0x45 && op <= 0xc4:
		in.price = priceOf(op)
		in.rewrite = w.remainders && isRemainder(op)
	case op == 0xd0:
		w.valueType(r.byte())
	case op == 0xd1:
	case op == opRefFunc:
		// The runtime allocates memory at each ref.func and keeps it with the instance.
		if !w.cfg.open {
			refuse("ref.func is not supported outside of segments and globals")
		}
		r.u32()
	case op == 0xfc:
		w.miscellaneous(r, &in)
	case op == 0xfd:
		w.vectors = true
		vector(r, &in)
	case op == 0xfe:
		refuse("threads are not supported (opcode 0xfe)")
	default:
		refuse("the opcode %#x is not known", op)
	}
	return in
}

// priceOf is the price of a numeric instruction.
func priceOf(op byte) int64 {
	switch {
	case op >= 0x6d && op <= 0x70 || op >= 0x7f && op <= 0x82: // integer division
		return Slow
	case op >= 0x8d && op <= 0x91 || op == 0x95 || op >= 0x9b && op <= 0x9f || op == 0xa3: // rounding, roots, division
		return Slow
	case op >= 0xa8 && op <= 0xab || op >= 0xae && op <= 0xb1: // checked conversions
		return Slow
	}
	return 1
}

// called accounts for the type of a called function.
func (w *rewriter) called(t signature, in *instruction) {
	in.values = int64(t.results)
	in.moves = int64(t.results) - int64(t.params)
	in.handed = int64(t.results) + int64(t.params)
}

func (w *rewriter) typeOfFunction(function uint32) signature {
	if int64(function) >= int64(len(w.functions)) {
		refuse("there is no function %d", function)
	}
	return w.typeAt(w.functions[function])
}

func (w *rewriter) typeAt(t uint32) signature {
	if int64(t) >= int64(len(w.types)) {
		refuse("there is no type %d", t)
	}
	return w.types[t]
}

// blockType reads the type of a block: nothing, one value, or the index of a type.
func (w *rewriter) blockType(r *reader, in *instruction) {
	switch v := r.s33(); {
	case v >= 0:
		if v >= int64(len(w.types)) {
			refuse("there is no type %d", v)
		}
		t := w.types[v]
		in.params, in.results = int64(t.params), int64(t.results)
	case v != -64: // 0x40: nothing
		in.results = 1
	}
}

func (w *rewriter) miscellaneous(r *reader, in *instruction) {
	in.sub = r.u32()
	in.moves = miscellaneousMoves(in.sub)
	switch in.sub {
	case 0, 1, 2, 3, 4, 5, 6, 7: // saturating conversions
		in.price = Slow
	case 8: // memory.init
		in.price, in.bulk = Bulk, bulkBytes
		r.u32()
		onlyMemory(r)
	case 9, 13: // data.drop, elem.drop
		in.price = Bulk
		r.u32()
	case 10: // memory.copy
		in.price, in.bulk = Bulk, bulkBytes
		onlyMemory(r)
		onlyMemory(r)
	case 11: // memory.fill
		in.price, in.bulk = Bulk, bulkBytes
		onlyMemory(r)
	case 12, 14: // table.init, table.copy
		in.price, in.bulk = Bulk, bulkElements
		r.u32()
		r.u32()
	case 15: // table.grow
		in.price, in.bulk = Grow, growElements
		w.grown[r.u32()] = true
	case 16: // table.size
		r.u32()
	case 17: // table.fill
		in.price, in.bulk = Bulk, bulkElements
		r.u32()
	default:
		refuse("the opcode 0xfc %d is not known", in.sub)
	}
}

func vector(r *reader, in *instruction) {
	in.sub = r.u32()
	in.moves = vectorMoves(in.sub)
	in.price = Vector
	switch sub := in.sub; {
	case sub <= 11 || sub == 92 || sub == 93: // load and store
		in.price = MemoryAccess
		memoryArgument(r)
	case sub == 12 || sub == 13: // constant, shuffle
		r.take(16)
	case sub >= 21 && sub <= 34: // lanes
		r.byte()
	case sub >= 84 && sub <= 91: // load and store of a lane
		in.price = MemoryAccess
		memoryArgument(r)
		r.byte()
	case sub >= 256:
		refuse("relaxed vector instructions are not supported (opcode 0xfd %d)", sub)
	}
}

func memoryArgument(r *reader) {
	if align := r.u32(); align >= 0x40 {
		refuse("several memories are not supported")
	}
	r.u32()
}

func onlyMemory(r *reader) {
	if r.byte() != 0 {
		refuse("several memories are not supported")
	}
}
