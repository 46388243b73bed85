// Package wasmtest assembles small WebAssembly modules for tests, so
// that what a guest does can be read next to what is expected of it, and hostile guests that no
// compiler would make can be made.
//
// Code is written as in the flat form of the WebAssembly text format, without types
// of its own: instructions and immediates separated by white space, comments from
// ";;" to the end of the line, branches by depth, functions by $name or index.
package wasmtest

import (
	"encoding/binary"
	"fmt"
	"strings"
)

// Module is a module to assemble.
type Module struct {
	Imports []Import
	Funcs   []Func
	Pages   int  // of memory, exported as "memory"; 0: no memory
	Most    int  // pages; 0: no maximum
	Table   int  // elements of funcref; 0: no table
	Globals int  // mutable i64, all zero at the start
	Start   *int // index among Funcs
	Elem    []string
	Data    []Data
	Extra   []Section // put at the end as they are
}

// Import is a function to import.
type Import struct {
	Module, Name, Type string
}

// Func is a function of a module.
type Func struct {
	Name   string // also of its export, unless it begins with "_"
	Type   string // "i32 i32 -> i64"; empty: no parameters, no results
	Locals string // "i32 i64 i64", or "1000*i32"
	Code   string // without the last end
}

// Data is put into the memory at the start.
type Data struct {
	At   int
	Text string
}

// Section is a section as it is.
type Section struct {
	ID   byte
	Body []byte
}

// Assemble returns the binary. It panics on what it does not know: a test has a
// mistake then.
func Assemble(m Module) []byte {
	a := &assembler{functions: map[string]uint64{}, types: map[string]uint64{}}
	for _, i := range m.Imports {
		a.functions[i.Name] = uint64(len(a.functions))
	}
	for _, f := range m.Funcs {
		a.functions[f.Name] = uint64(len(a.functions))
	}
	return a.module(m)
}

type assembler struct {
	functions map[string]uint64
	types     map[string]uint64
	typeList  [][]byte
}

func (a *assembler) module(m Module) []byte {
	var imports, functions, codes, exports [][]byte
	for _, i := range m.Imports {
		b := append(Name(i.Module), Name(i.Name)...)
		imports = append(imports, Uint(append(b, 0), a.typeOf(i.Type)))
	}
	for n, f := range m.Funcs {
		functions = append(functions, Uint(nil, a.typeOf(f.Type)))
		codes = append(codes, a.body(f))
		if !strings.HasPrefix(f.Name, "_") || f.Name == "_initialize" {
			exports = append(exports, Uint(append(Name(f.Name), 0), uint64(len(m.Imports)+n)))
		}
	}
	var memories, tables, globals, data, elements [][]byte
	if m.Pages > 0 {
		memories = append(memories, limits(m.Pages, m.Most))
		exports = append(exports, append(Name("memory"), 2, 0))
	}
	if m.Table > 0 {
		tables = append(tables, append([]byte{0x70}, limits(m.Table, 0)...))
	}
	for range m.Globals {
		globals = append(globals, []byte{0x7e, 1, 0x42, 0, 0x0b})
	}
	for _, d := range m.Data {
		b := append(Int([]byte{0, 0x41}, int64(d.At)), 0x0b)
		data = append(data, append(b, Name(d.Text)...))
	}
	if len(m.Elem) > 0 {
		b := Uint([]byte{0, 0x41, 0, 0x0b}, uint64(len(m.Elem)))
		for _, f := range m.Elem {
			b = Uint(b, a.function("$"+f))
		}
		elements = append(elements, b)
	}
	out := []byte("\x00asm\x01\x00\x00\x00")
	out = section(out, 1, a.typeList)
	out = section(out, 2, imports)
	out = section(out, 3, functions)
	out = section(out, 4, tables)
	out = section(out, 5, memories)
	out = section(out, 6, globals)
	out = section(out, 7, exports)
	if m.Start != nil {
		out = Append(out, 8, Uint(nil, uint64(len(m.Imports)+*m.Start)))
	}
	out = section(out, 9, elements)
	out = section(out, 10, codes)
	out = section(out, 11, data)
	for _, s := range m.Extra {
		out = Append(out, s.ID, s.Body)
	}
	return out
}

// section appends a section that is a vector, unless it is empty.
func section(out []byte, id byte, items [][]byte) []byte {
	if len(items) == 0 {
		return out
	}
	body := Uint(nil, uint64(len(items)))
	for _, i := range items {
		body = append(body, i...)
	}
	return Append(out, id, body)
}

// Append appends a section to a module.
func Append(out []byte, id byte, body []byte) []byte {
	return append(Uint(append(out, id), uint64(len(body))), body...)
}

// Name returns a length and the text.
func Name(s string) []byte { return append(Uint(nil, uint64(len(s))), s...) }

func limits(least, most int) []byte {
	if most == 0 {
		return Uint([]byte{0}, uint64(least))
	}
	return Uint(Uint([]byte{1}, uint64(least)), uint64(most))
}

func (a *assembler) typeOf(s string) uint64 {
	if n, known := a.types[s]; known {
		return n
	}
	params, results, _ := strings.Cut(s, "->")
	b := append([]byte{0x60}, valueTypes(params)...)
	a.typeList = append(a.typeList, append(b, valueTypes(results)...))
	a.types[s] = uint64(len(a.typeList) - 1)
	return a.types[s]
}

var valueType = map[string]byte{"i32": 0x7f, "i64": 0x7e, "f32": 0x7d, "f64": 0x7c, "v128": 0x7b, "funcref": 0x70}

func valueTypes(s string) []byte {
	words := strings.Fields(s)
	b := Uint(nil, uint64(len(words)))
	for _, w := range words {
		b = append(b, must(valueType, w))
	}
	return b
}

func (a *assembler) body(f Func) []byte {
	groups := strings.Fields(f.Locals)
	b := Uint(nil, uint64(len(groups)))
	for _, g := range groups {
		n := 1
		if many, one, is := strings.Cut(g, "*"); is {
			if _, err := fmt.Sscan(many, &n); err != nil {
				panic(err)
			}
			g = one
		}
		b = append(Uint(b, uint64(n)), must(valueType, g))
	}
	b = append(a.code(b, f.Code), 0x0b)
	return append(Uint(nil, uint64(len(b))), b...)
}

func must[T any](from map[string]T, word string) T {
	v, known := from[word]
	if !known {
		panic("wasmtest: what is " + word + "?")
	}
	return v
}

// Uint appends v as unsigned LEB128.
func Uint(b []byte, v uint64) []byte { return binary.AppendUvarint(b, v) }

// Int appends v as signed LEB128.
func Int(b []byte, v int64) []byte {
	for {
		c := byte(v & 0x7f)
		v >>= 7
		if v == 0 && c&0x40 == 0 || v == -1 && c&0x40 != 0 {
			return append(b, c)
		}
		b = append(b, c|0x80)
	}
}
