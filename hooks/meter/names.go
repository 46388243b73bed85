package meter

import (
	"encoding/binary"
	"strings"
	"unicode"
)

// maxName bounds the name of a function, in bytes. The runtime repeats names for every frame of
// every trap, which costs no fuel.
const maxName = 256

// names returns the section of names with those of functions only, or nil if there
// are none. They make the trace of a trap readable, so they are cut and made printable.
// The runtime believes the counts in this section before it has seen that many names,
// so what is malformed is dropped here.
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
		n := list.u32()
		sub = binary.AppendUvarint(nil, uint64(n))
		for ; n > 0; n-- {
			index := int64(list.u32())
			if index <= last {
				return nil
			}
			last = index
			name := readable(list.name())
			sub = binary.AppendUvarint(binary.AppendUvarint(sub, uint64(index)), uint64(len(name)))
			sub = append(sub, name...)
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

// readable cuts a name and replaces what is not printable in it.
func readable(name string) string {
	if len(name) > maxName {
		name = strings.ToValidUTF8(name[:maxName], "")
	}
	return strings.Map(func(r rune) rune {
		if !unicode.IsPrint(r) {
			return '?'
		}
		return r
	}, name)
}
