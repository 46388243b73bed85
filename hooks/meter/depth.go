package meter

import "encoding/binary"

// The native stack grows with the depth of calls, and the runtime never shrinks it. A second
// mutable global holds the bytes that are left. A caller subtracts the size of its own frame
// before a call and adds it back after, and a function traps at its entry if there is no
// room for its frame. After a call of the host the global has its first value again; after
// a trap the instance is discarded.

// Stack is the export name of this global. If it is below zero after a trap, the calls were
// nested too deep.
const Stack = "octostore_stack"

// Actions on the stack at a point.
const (
	entered  = 2
	calls    = 1
	returned = -1
)

const (
	// MaxStack is the limit of all frames of a call together, in estimated bytes: most
	// frames take much less. The runtime allocates up to twice as much and keeps it with
	// the instance.
	MaxStack = 8 << 20

	frameBase  = 128 // what is saved at each call
	slot       = 8   // of a value
	vectorSlot = 16  // of a value in a function that may have vectors
)

// stack returns the first value of the global.
func (cfg Config) stack() int64 {
	if cfg.open { // the suite goes on after traps
		return 1 << 60
	}
	return MaxStack
}

// stack returns the largest frame size of the function: the compiler uses a slot for every
// value that it cannot keep in a register, and some for the arguments of calls.
func (f *body) stack(values int64, vectors bool) int64 {
	size := int64(slot)
	if vectors {
		size = vectorSlot
	}
	return frameBase + size*(values+f.handed+f.effort.joined)
}

// moveStack subtracts the frame from the stack that is left, or adds it back.
func (e *emitter) moveStack(direction int64) {
	e.out = binary.AppendUvarint(append(e.out, 0x23), e.stack)       // global.get
	e.out = appendInt(append(e.out, 0x42), -direction*e.frame)       // i64.const
	e.out = binary.AppendUvarint(append(e.out, 0x7c, 0x24), e.stack) // i64.add, global.set
}

// checkStack traps if the fuel, which is on the operand stack, is used up, or if there is no
// room for the frame. The global then holds the missing bytes, as a negative number.
func (e *emitter) checkStack() {
	e.stackLeft()
	e.out = append(e.out, 0x84, 0x42, 0, 0x53, 0x04, 0x40) // i64.or, i64.const 0, i64.lt_s, if
	e.stackLeft()
	e.out = binary.AppendUvarint(append(e.out, 0x24), e.stack)
	e.out = append(e.out, 0x00, 0x0b) // unreachable, end
}

// stackLeft pushes the native stack that is left beside the frame onto the operand stack.
func (e *emitter) stackLeft() {
	e.out = binary.AppendUvarint(append(e.out, 0x23), e.stack)
	e.out = append(appendInt(append(e.out, 0x42), e.frame), 0x7d) // i64.const, i64.sub
}
