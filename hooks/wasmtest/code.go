package wasmtest

import (
	"encoding/binary"
	"math"
	"strconv"
	"strings"
)

// code appends the instructions of a text.
func (a *assembler) code(b []byte, text string) []byte {
	w := &words{list: split(text)}
	for w.more() {
		b = a.instruction(b, w.next(), w)
	}
	return b
}

func split(text string) []string {
	var all []string
	for line := range strings.Lines(text) {
		line, _, _ = strings.Cut(line, ";;")
		all = append(all, strings.Fields(line)...)
	}
	return all
}

type words struct{ list []string }

func (w *words) more() bool { return len(w.list) > 0 }

func (w *words) next() string {
	word := w.list[0]
	w.list = w.list[1:]
	return word
}

func (w *words) number() int64 {
	word := w.next()
	n, err := strconv.ParseInt(word, 0, 64)
	if err != nil {
		panic(err)
	}
	return n
}

func (w *words) float() float64 {
	f, err := strconv.ParseFloat(w.next(), 64)
	if err != nil {
		panic(err)
	}
	return f
}

// optional returns the next word if f accepts it.
func (w *words) optional(f func(string) bool) (string, bool) {
	if !w.more() || !f(w.list[0]) {
		return "", false
	}
	return w.next(), true
}

func (a *assembler) instruction(b []byte, op string, w *words) []byte {
	switch op {
	case "raw": // one byte
		return append(b, byte(w.number()))
	case "block", "loop", "if":
		b = append(b, opcodes[op])
		if t, is := w.optional(func(s string) bool { return valueType[s] != 0 }); is {
			return append(b, valueType[t])
		}
		return append(b, 0x40)
	case "i32.const":
		return Int(append(b, 0x41), int64(int32(w.number())))
	case "i64.const":
		return Int(append(b, 0x42), w.number())
	case "f32.const":
		return binary.LittleEndian.AppendUint32(append(b, 0x43), math.Float32bits(float32(w.float())))
	case "f64.const":
		return binary.LittleEndian.AppendUint64(append(b, 0x44), math.Float64bits(w.float()))
	case "call", "ref.func":
		return Uint(append(b, opcodes[op]), a.function(w.next()))
	case "call_indirect": // and a type without spaces: i32,i32->i64
		t := a.typeOf(strings.ReplaceAll(w.next(), ",", " "))
		return append(Uint(append(b, 0x11), t), 0)
	case "br_table": // the number of targets, the targets, the default
		return brTable(append(b, 0x0e), w)
	case "memory.copy", "memory.fill", "table.fill", "table.grow", "table.copy":
		return append(b, bulk[op]...)
	case "v128.load":
		return append(b, 0xfd, 0, 0, 0)
	case "i64x2.add":
		return append(b, 0xfd, 0xce, 1)
	}
	code := must(opcodes, op)
	b = append(b, code)
	switch {
	case code >= 0x28 && code <= 0x3e: // alignment 1, and an offset if there is a number
		at, _ := w.optional(func(s string) bool { return s[0] >= '0' && s[0] <= '9' })
		n, _ := strconv.ParseUint(at, 0, 32)
		return Uint(append(b, 0), n)
	case code == 0x3f || code == 0x40:
		return append(b, 0)
	case code == 0xd0:
		return append(b, must(valueType, w.next()))
	case code == 0x0c || code == 0x0d || code >= 0x20 && code <= 0x26:
		return Uint(b, uint64(w.number()))
	}
	return b
}

func (a *assembler) function(word string) uint64 {
	if name, is := strings.CutPrefix(word, "$"); is {
		return must(a.functions, name)
	}
	n, err := strconv.ParseUint(word, 10, 32)
	if err != nil {
		panic(err)
	}
	return n
}

func brTable(b []byte, w *words) []byte {
	n := w.number()
	b = Uint(b, uint64(n))
	for range n + 1 {
		b = Uint(b, uint64(w.number()))
	}
	return b
}

var bulk = map[string][]byte{
	"memory.copy": {0xfc, 10, 0, 0},
	"memory.fill": {0xfc, 11, 0},
	"table.copy":  {0xfc, 14, 0, 0},
	"table.grow":  {0xfc, 15, 0},
	"table.fill":  {0xfc, 17, 0},
}

var opcodes = func() map[string]byte {
	m := map[string]byte{
		"unreachable": 0, "nop": 1, "block": 2, "loop": 3, "if": 4, "else": 5, "end": 0x0b, "br": 0x0c, "br_if": 0x0d,
		"return": 0x0f, "call": 0x10, "drop": 0x1a, "select": 0x1b, "memory.size": 0x3f, "memory.grow": 0x40,
		"ref.null": 0xd0, "ref.is_null": 0xd1, "ref.func": 0xd2,
	}
	number := func(first byte, names string) {
		for i, n := range strings.Fields(names) {
			m[n] = first + byte(i)
		}
	}
	number(0x20, "local.get local.set local.tee global.get global.set table.get table.set")
	number(0x28, `i32.load i64.load f32.load f64.load i32.load8_s i32.load8_u i32.load16_s i32.load16_u
		i64.load8_s i64.load8_u i64.load16_s i64.load16_u i64.load32_s i64.load32_u
		i32.store i64.store f32.store f64.store i32.store8 i32.store16 i64.store8 i64.store16 i64.store32`)
	number(0x45, `i32.eqz i32.eq i32.ne i32.lt_s i32.lt_u i32.gt_s i32.gt_u i32.le_s i32.le_u i32.ge_s i32.ge_u
		i64.eqz i64.eq i64.ne i64.lt_s i64.lt_u i64.gt_s i64.gt_u i64.le_s i64.le_u i64.ge_s i64.ge_u
		f32.eq f32.ne f32.lt f32.gt f32.le f32.ge f64.eq f64.ne f64.lt f64.gt f64.le f64.ge
		i32.clz i32.ctz i32.popcnt i32.add i32.sub i32.mul i32.div_s i32.div_u i32.rem_s i32.rem_u
		i32.and i32.or i32.xor i32.shl i32.shr_s i32.shr_u i32.rotl i32.rotr
		i64.clz i64.ctz i64.popcnt i64.add i64.sub i64.mul i64.div_s i64.div_u i64.rem_s i64.rem_u
		i64.and i64.or i64.xor i64.shl i64.shr_s i64.shr_u i64.rotl i64.rotr
		f32.abs f32.neg f32.ceil f32.floor f32.trunc f32.nearest f32.sqrt f32.add f32.sub f32.mul f32.div f32.min f32.max f32.copysign
		f64.abs f64.neg f64.ceil f64.floor f64.trunc f64.nearest f64.sqrt f64.add f64.sub f64.mul f64.div f64.min f64.max f64.copysign
		i32.wrap_i64 i32.trunc_f32_s i32.trunc_f32_u i32.trunc_f64_s i32.trunc_f64_u i64.extend_i32_s i64.extend_i32_u`)
	return m
}()
