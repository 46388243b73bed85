package meter

import "encoding/binary"

// Opcodes of the remainders.
const (
	opI32RemS = 0x6f
	opI32RemU = 0x70
	opI64RemS = 0x81
	opI64RemU = 0x82
)

func isRemainder(op byte) bool {
	return op == opI32RemS || op == opI32RemU || op == opI64RemS || op == opI64RemU
}

// isLong reports whether a remainder is one of i64.
func isLong(op byte) bool { return op == opI64RemS || op == opI64RemU }

// operations are the opcodes a remainder is made of.
type operations struct{ constant, equal, divide, multiply, subtract byte }

// operationsOf relies on the order of opcodes: add, sub, mul, div_s, div_u, rem_s, rem_u.
func operationsOf(op byte) operations {
	if isLong(op) {
		return operations{constant: 0x42, equal: 0x51, divide: op - 2, multiply: 0x7e, subtract: 0x7d}
	}
	return operations{constant: 0x41, equal: 0x46, divide: op - 2, multiply: 0x6c, subtract: 0x6b}
}

// remainder computes a - a/b*b instead of the remainder of a and b. The division traps
// if b is 0, as the remainder does. If b is -1, a/b would trap for the least a, so a
// signed remainder takes 1 for it: both leave 0.
func (e *emitter) remainder(op byte) {
	do := operationsOf(op)
	a, b := e.short, e.short+1
	if isLong(op) {
		a, b = e.long, e.long+1
	}
	local := func(instruction byte, index uint64) {
		e.out = binary.AppendUvarint(append(e.out, instruction), index)
	}
	const set, tee, get = 0x21, 0x22, 0x20
	local(set, b)
	if op == opI32RemS || op == opI64RemS {
		e.out = append(e.out, do.constant, 1)
		local(get, b)
		local(get, b)
		e.out = append(e.out, do.constant, 0x7f, do.equal, 0x1b) // -1, equal, select
		local(set, b)
	}
	local(tee, a)
	local(get, a)
	local(get, b)
	e.out = append(e.out, do.divide)
	local(get, b)
	e.out = append(e.out, do.multiply, do.subtract)
}
