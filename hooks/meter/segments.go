package meter

// The sections of globals, elements and data are read to account for the memory the
// runtime takes for them, and because it makes room for as many items as a count says
// before it has seen them: a module of thirty bytes could take all memory.

// global reads one global.
func (w *rewriter) global(r *reader) {
	w.valueType(r.byte())
	r.byte()
	w.account.add(partGlobal, 1)
	w.constant(r)
	w.globals++
}

// constant reads a constant expression.
func (w *rewriter) constant(r *reader) {
	for {
		switch op := r.byte(); op {
		case opEnd:
			return
		case 0x23: // global.get
			r.u32()
		case opRefFunc:
			r.u32()
			w.account.add(partFunctionRef, 1)
		case 0x41:
			r.skipLEB(5)
		case 0x42:
			r.skipLEB(10)
		case 0x43:
			r.take(4)
		case 0x44:
			r.take(8)
		case 0xd0:
			w.valueType(r.byte())
		case 0xfd:
			if r.u32() != 12 {
				refuse("a constant is not one")
			}
			r.take(16)
		default:
			refuse("the opcode %#x is not supported in constants", op)
		}
	}
}

// element reads one segment of elements.
func (w *rewriter) element(r *reader) {
	flags := r.u32()
	if flags > 7 {
		refuse("elements of the kind %d are not known", flags)
	}
	active, explicit, expressions := flags&1 == 0, flags&2 != 0, flags&4 != 0
	if active {
		if explicit {
			r.u32()
		}
		w.constant(r)
	}
	if flags&3 != 0 {
		r.byte() // their kind or type
	}
	w.account.add(partElementList, 1)
	for n := r.u32(); n > 0; n-- {
		w.account.add(partElement, 1)
		if expressions {
			w.constant(r)
			continue
		}
		r.u32()
	}
}

// data reads one segment of data.
func (w *rewriter) data(r *reader) {
	flags := r.u32()
	if flags > 2 {
		refuse("data of the kind %d is not known", flags)
	}
	if flags == 2 {
		if r.u32() != 0 {
			refuse("several memories are not supported")
		}
	}
	if flags != 1 {
		w.constant(r)
	}
	w.account.add(partDataList, 1)
	w.account.add(partByte, int64(len(r.take(r.u32()))))
}
