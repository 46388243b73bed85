package meter

import "unicode/utf8"

// reader reads the binary format, and refuses truncated or malformed input.
type reader struct {
	b []byte
	i int
}

func (r *reader) more() bool { return r.i < len(r.b) }

func (r *reader) byte() byte {
	if !r.more() {
		refuse("it ends too early")
	}
	r.i++
	return r.b[r.i-1]
}

// take returns the next n bytes.
func (r *reader) take(n uint32) []byte {
	if uint64(n) > uint64(len(r.b)-r.i) {
		refuse("it ends too early")
	}
	s := r.b[r.i : r.i+int(n)]
	r.i += int(n)
	return s
}

func (r *reader) name() string {
	s := r.take(r.u32())
	if !utf8.Valid(s) {
		refuse("a name is not valid UTF-8")
	}
	return string(s)
}

// u32 reads an unsigned LEB128 of at most 32 bits.
func (r *reader) u32() uint32 {
	var v uint64
	for shift := 0; shift < 35; shift += 7 {
		c := r.byte()
		v |= uint64(c&0x7f) << shift
		if c&0x80 == 0 {
			if v >= 1<<32 {
				refuse("a number is larger than 32 bits")
			}
			return uint32(v)
		}
	}
	refuse("a number is longer than 5 bytes")
	return 0
}

// skipLEB skips a number of at most n bytes, whatever it is.
func (r *reader) skipLEB(n int) {
	for range n {
		if r.byte()&0x80 == 0 {
			return
		}
	}
	refuse("a number is longer than %d bytes", n)
}

// s33 reads a signed LEB128 of at most 33 bits.
func (r *reader) s33() (v int64) {
	for shift := 0; shift < 35; shift += 7 {
		c := r.byte()
		v |= int64(c&0x7f) << shift
		if c&0x80 == 0 {
			if c&0x40 != 0 {
				v |= -1 << (shift + 7)
			}
			return v
		}
	}
	refuse("a number is longer than 5 bytes")
	return 0
}

func appendInt(b []byte, v int64) []byte {
	for {
		c := byte(v & 0x7f)
		v >>= 7
		if v == 0 && c&0x40 == 0 || v == -1 && c&0x40 != 0 {
			return append(b, c)
		}
		b = append(b, c|0x80)
	}
}
