package meter

import "encoding/binary"

// names returns the section of names with those of functions only, or nil if there
// are none. They make the trace of a trap readable. The runtime believes the counts
// in this section before it has seen that many names, so what is malformed is dropped
// here.
func names(body []byte) (kept []byte) {
	defer func() {
		switch p := recover().(type) {
		case nil:
		case refusal:
			kept = nil
		default:
			panic(p)
		}
	}()
	const ofFunctions = 1
	r := &reader{b: body}
	r.name()
	for r.more() {
		id := r.byte()
		sub := r.take(r.u32())
		if id != ofFunctions {
			continue
		}
		list := &reader{b: sub}
		last := int64(-1)
		for n := list.u32(); n > 0; n-- {
			index := int64(list.u32())
			if index <= last {
				return nil
			}
			last = index
			list.name()
		}
		if list.more() {
			return nil
		}
		out := append(binary.AppendUvarint(nil, uint64(len("name"))), "name"...)
		out = binary.AppendUvarint(append(out, ofFunctions), uint64(len(sub)))
		return append(out, sub...)
	}
	return nil
}
