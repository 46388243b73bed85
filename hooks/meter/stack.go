package meter

// moves is by how many operands an instruction makes the stack higher, where that
// follows from its opcode. Where code is never reached it may be wrong.
func moves(op byte) int64 {
	switch {
	case op == opLocalGet || op == 0x23 || op == 0x3f || op >= 0x41 && op <= 0x44 || op == 0xd0 || op == opRefFunc:
		return 1
	case op == opIf || op == opBrIf || op == opBrTable || op == 0x1a || op == opLocalSet || op == 0x24:
		return -1
	case op == 0x1b || op == 0x1c || op == 0x26 || op >= 0x36 && op <= 0x3e: // select, table.set, stores
		return -2
	case op >= 0x45 && op <= 0xc4 && !unary(op):
		return -1
	}
	return 0
}

// unary reports whether a numeric instruction takes one operand.
func unary(op byte) bool {
	return op == 0x45 || op == 0x50 || // eqz
		op >= 0x67 && op <= 0x69 || op >= 0x79 && op <= 0x7b || // clz, ctz, popcnt
		op >= 0x8b && op <= 0x91 || op >= 0x99 && op <= 0x9f || // abs to sqrt
		op >= 0xa7 // conversions
}

func miscellaneousMoves(sub uint32) int64 {
	switch sub {
	case 8, 10, 11, 12, 14, 17: // init, copy, fill
		return -3
	case 15: // table.grow
		return -1
	case 16: // table.size
		return 1
	}
	return 0
}

func vectorMoves(sub uint32) int64 {
	switch {
	case sub == 12: // constant
		return 1
	case sub == 11 || sub == 82 || sub >= 88 && sub <= 91: // store, bitselect, store of a lane
		return -2
	case vectorUnary(sub):
		return 0
	}
	return -1
}

// vectorUnary reports whether a vector instruction takes one operand.
func vectorUnary(sub uint32) bool {
	switch {
	case sub <= 10, sub >= 15 && sub <= 22, sub == 24, sub == 25, sub == 27, sub == 29, sub == 31, sub == 33: // load, splat, extract
		return true
	case sub == 77, sub == 83, sub >= 92 && sub <= 100, sub >= 103 && sub <= 106, sub == 116, sub == 117, sub == 122:
		return true
	case sub >= 124 && sub <= 129, sub == 131, sub == 132, sub >= 135 && sub <= 138, sub == 148:
		return true
	case sub == 160, sub == 161, sub == 163, sub == 164, sub >= 167 && sub <= 170:
		return true
	case sub == 192, sub == 193, sub == 195, sub == 196, sub >= 199 && sub <= 202:
		return true
	case sub == 224, sub == 225, sub == 227, sub == 236, sub == 237, sub == 239, sub >= 248:
		return true
	}
	return false
}
