package meter

import "encoding/binary"

// The native stack of a call grows with the depth of its calls, and the runtime keeps it as
// large as it ever was. One more mutable global holds how many bytes of it
// are left. A caller takes the size of its own frame from it before a call and puts it back
// after, and a function that is entered traps if there is no room for its own. All of it is
// back when a call ends; after a trap an instance is of no use.

// Stack is the name under which it is exported: below zero after a trap, it means that the
// calls were nested too deep.
const Stack = "octostore_stack"

// What is done with the stack at a point.
const (
	entered  = 2
	calls    = 1
	returned = -1
)

const (
	// MaxStack is how many bytes the frames of a call can take together, as they are
	// estimated: most take much less. What the runtime allocates for them, and keeps with
	// the instance, is up to twice as much.
	MaxStack = 8 << 20

	frameBase  = 128 // what is saved at each call
	slot       = 8   // of a value
	vectorSlot = 16  // of a value in a function that may have vectors
)

// stack is what there is of it in the beginning.
func (cfg Config) stack() int64 {
	if cfg.open { // the suite goes on after traps
		return 1 << 60
	}
	return MaxStack
}

// stack is what the frame of the function takes at most: the compiler gives a slot of its own to
// every value that it cannot keep in a register, and some to what is handed to others.
func (f *body) stack(values int64, vectors bool) int64 {
	size := int64(slot)
	if vectors {
		size = vectorSlot
	}
	return frameBase + size*(values+f.handed+f.effort.joined)
}

// moveStack takes the frame from what is left of the stack, or puts it back.
func (e *emitter) moveStack(direction int64) {
	e.out = binary.AppendUvarint(append(e.out, 0x23), e.stack)       // global.get
	e.out = appendInt(append(e.out, 0x42), -direction*e.frame)       // i64.const
	e.out = binary.AppendUvarint(append(e.out, 0x7c, 0x24), e.stack) // i64.add, global.set
}

// checkStack traps if the fuel, which is on the stack of operands, is used up, or if there is
// no room for the frame. The global says then by how much there is not.
func (e *emitter) checkStack() {
	e.stackLeft()
	e.out = append(e.out, 0x84, 0x42, 0, 0x53, 0x04, 0x40) // i64.or, i64.const 0, i64.lt_s, if
	e.stackLeft()
	e.out = binary.AppendUvarint(append(e.out, 0x24), e.stack)
	e.out = append(e.out, 0x00, 0x0b) // unreachable, end
}

// stackLeft puts on the stack of operands what the frame leaves of the native one.
func (e *emitter) stackLeft() {
	e.out = binary.AppendUvarint(append(e.out, 0x23), e.stack)
	e.out = append(appendInt(append(e.out, 0x42), e.frame), 0x7d) // i64.const, i64.sub
}
