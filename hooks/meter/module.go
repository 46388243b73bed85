package meter

import (
	"encoding/binary"
	"fmt"
)

// Sections by their id.
const (
	secCustom = iota
	secType
	secImport
	secFunction
	secTable
	secMemory
	secGlobal
	secExport
	secStart
	secElement
	secCode
	secData
	secDataCount
)

// order is the place of each section in a module.
var order = [...]int{
	secType: 1, secImport: 2, secFunction: 3, secTable: 4, secMemory: 5, secGlobal: 6, secExport: 7,
	secStart: 8, secElement: 9, secDataCount: 10, secCode: 11, secData: 12,
}

type section struct {
	id   byte
	body []byte
}

// rewriter is the state of one rewriting.
type rewriter struct {
	cfg   Config
	where place // what is being read

	targets []uint32 // of the last br_table

	account     account
	grown       map[uint32]bool // tables that an instruction grows
	tableLimits []tableLimits
	pages       uint32 // of memory an instance may have
	metering    []byte // the section of code with its meter

	load       workload // of the compiler
	remainders bool     // they are rewritten
	largest    int64    // the highest price of a region

	types     []signature
	functions []uint32 // types of all functions, the imported ones first
	imported  int      // functions
	vectors   bool     // there may be some in every function, or in the one that is read
	globals   uint32   // the index of the fuel
	memories  int
	out       []byte
}

// place is the present position in the module, for errors.
type place struct {
	section  byte
	function int // in the section of code; -1: none
	offset   int // in its body
}

func (p place) String() string {
	switch {
	case p.section == secCustom:
		return ""
	case p.section != secCode || p.function < 0:
		return fmt.Sprintf("section %d", p.section)
	}
	return fmt.Sprintf("function %d, offset %d", p.function, p.offset)
}

// signature holds the counts of parameters and results of a function type.
type signature struct{ params, results uint32 }

const preamble = "\x00asm\x01\x00\x00\x00"

func (w *rewriter) rewrite(module []byte) []byte {
	if len(module) < len(preamble) || string(module[:4]) != preamble[:4] {
		refuse("it is not a WebAssembly module")
	}
	if string(module[:len(preamble)]) != preamble {
		refuse("it is a component, or of another version of WebAssembly; a core module of version 1 is wanted")
	}
	sections := w.split(module[len(preamble):])
	for _, s := range sections {
		w.survey(s)
	}
	for _, s := range sections { // first, since it says which tables grow
		if s.id == secCode {
			w.where = place{section: secCode, function: -1}
			w.metering = w.code(s.body)
		}
	}
	w.plan(sections)
	w.out = append(make([]byte, 0, len(module)*3/2), preamble...)
	for _, s := range w.withGlobalAndExport(sections) {
		w.write(s)
	}
	return w.out
}

// split cuts a module into its sections and checks that they come in order.
func (w *rewriter) split(b []byte) []section {
	var all []section
	r := &reader{b: b}
	last := 0
	for r.more() {
		id := r.byte()
		w.where = place{section: id, function: -1}
		if id == 13 {
			refuse("exception handling is not supported")
		}
		if int(id) >= len(order) {
			refuse("this kind of section is not known")
		}
		body := r.take(r.u32())
		if id == secCustom {
			if (&reader{b: body}).name() == "name" {
				if kept := names(body); kept != nil {
					all = append(all, section{id, kept})
				}
			}
			continue
		}
		if order[id] <= last {
			refuse("it comes twice, or out of order")
		}
		last = order[id]
		all = append(all, section{id, body})
	}
	return all
}

// plan sets the limits of tables and memories.
func (w *rewriter) plan(sections []section) {
	for _, s := range sections {
		if s.id == secTable {
			w.where = place{section: s.id, function: -1}
			r := &reader{b: s.body}
			w.tableLimits = w.tables(r)
			if r.more() {
				refuse("it is longer than what is in it")
			}
		}
	}
	w.where = place{}
	w.account.add(partInstanceBase, 1)
	w.pages = w.account.pages(w.cfg.MaxPages)
}

// survey collects from a section the facts that the rewriting of the code needs.
func (w *rewriter) survey(s section) {
	w.where = place{section: s.id, function: -1}
	r := &reader{b: s.body}
	switch s.id {
	case secType:
		w.each(r, func() { w.types = append(w.types, w.signature(r)) })
	case secImport:
		w.each(r, func() { w.importOf(r) })
	case secFunction:
		w.each(r, func() { w.function(r.u32()) })
	case secMemory:
		w.memories += int(r.u32())
	case secGlobal:
		w.each(r, func() { w.global(r) })
	case secElement:
		w.each(r, func() { w.element(r) })
	case secData:
		w.each(r, func() { w.data(r) })
	case secExport:
		w.each(r, func() { w.export(r) })
	}
	if w.memories > 1 {
		refuse("several memories are not supported")
	}
}

// each calls read for every item of a vector that has to fill the section.
func (w *rewriter) each(r *reader, read func()) {
	for n := r.u32(); n > 0; n-- {
		read()
	}
	if r.more() {
		refuse("it is longer than what is in it")
	}
}

func (w *rewriter) signature(r *reader) signature {
	if form := r.byte(); form != 0x60 {
		refuse("types of the form %#x are not supported", form)
	}
	t := signature{w.valueTypes(r), w.valueTypes(r)}
	w.account.add(partType, 1)
	w.account.add(partValue, int64(t.params+t.results))
	return t
}

func (w *rewriter) valueTypes(r *reader) uint32 {
	n := r.u32()
	if n > MaxValues {
		refuse("a function has %d parameters or results, more than the limit of %d", n, MaxValues)
	}
	for _, t := range r.take(n) {
		w.valueType(t)
	}
	return n
}

func (w *rewriter) valueType(t byte) {
	switch t {
	case 0x7b:
		w.vectors = true
	case 0x7f, 0x7e, 0x7d, 0x7c, 0x70, 0x6f:
	default:
		refuse("the type %#x is not known", t)
	}
}

func (w *rewriter) importOf(r *reader) {
	module, name := r.name(), r.name()
	w.account.add(partImport, 1)
	w.account.add(partByte, int64(len(module)+len(name)))
	switch kind := r.byte(); kind {
	case 0:
		w.function(r.u32())
		w.imported++
	case 1:
		w.onlyFunctions("table", module, name)
		w.valueType(r.byte())
		w.limits(r)
	case 2:
		w.limits(r)
		w.memories++
	case 3:
		w.onlyFunctions("global", module, name)
		w.valueType(r.byte())
		r.byte()
		w.globals++
	default:
		refuse("the import %q.%q is of the kind %#x, which is not supported", readable(module), readable(name), kind)
	}
}

func (w *rewriter) function(t uint32) {
	if int64(t) >= int64(len(w.types)) {
		refuse("there is no type %d", t)
	}
	w.functions = append(w.functions, t)
	w.account.add(partFunction, 1)
}

func (w *rewriter) export(r *reader) {
	name := r.name()
	if name == Global || name == Stack {
		refuse("the export %s is the meter's own", name)
	}
	w.account.add(partExport, 1)
	w.account.add(partByte, int64(len(name)))
	kind, index := r.byte(), r.u32()
	if kind == 3 && index >= w.globals {
		refuse("the export %q is of a global that is not there", readable(name))
	}
	if kind > 3 {
		refuse("the export %q is of a kind that is not supported", readable(name))
	}
}

// limits reads the limits of a memory or a table.
func (w *rewriter) limits(r *reader) (least, most uint32, bounded bool) {
	switch flags := r.byte(); flags {
	case 0:
		return r.u32(), 0, false
	case 1:
		return r.u32(), r.u32(), true
	case 2, 3:
		refuse("shared memories are not supported")
	case 4, 5, 6, 7:
		refuse("64-bit memories and tables are not supported")
	default:
		refuse("limits of the kind %#x are not known", flags)
	}
	return 0, 0, false
}

// withGlobalAndExport returns the sections, and adds an empty global or export section if
// the module has none.
func (w *rewriter) withGlobalAndExport(sections []section) []section {
	for _, id := range []byte{secGlobal, secExport} {
		at := 0
		for at < len(sections) && (sections[at].id == secCustom || order[sections[at].id] < order[id]) {
			at++
		}
		if at < len(sections) && sections[at].id == id {
			continue
		}
		rest := append([]section{{id, []byte{0}}}, sections[at:]...)
		sections = append(sections[:at:at], rest...)
	}
	return sections
}

func (w *rewriter) write(s section) {
	w.where = place{section: s.id, function: -1}
	body := s.body
	switch s.id {
	case secTable:
		body = w.boundedTables()
	case secMemory:
		body = w.boundedMemories(s.body)
	case secGlobal:
		global := appendInt([]byte{0x7e, 1, 0x42}, w.cfg.Fuel) // mutable i64
		body = w.added(s.body, append(global, 0x0b))
		stack := appendInt([]byte{0x7e, 1, 0x42}, w.cfg.stack()) // mutable i64
		body = w.added(body, append(stack, 0x0b))
	case secExport:
		for i, name := range []string{Global, Stack} {
			export := append(binary.AppendUvarint(nil, uint64(len(name))), name...)
			body = w.added(body, binary.AppendUvarint(append(export, 3), uint64(w.globals)+uint64(i)))
		}
	case secCode:
		body = w.metering
	}
	w.out = binary.AppendUvarint(append(w.out, s.id), uint64(len(body)))
	w.out = append(w.out, body...)
}

// added returns a vector with one more item.
func (w *rewriter) added(vector, item []byte) []byte {
	r := &reader{b: vector}
	n := r.u32()
	b := binary.AppendUvarint(make([]byte, 0, len(vector)+len(item)+1), uint64(n)+1)
	return append(append(b, vector[r.i:]...), item...)
}

func (w *rewriter) boundedTables() []byte {
	b := binary.AppendUvarint(nil, uint64(len(w.tableLimits)))
	for _, t := range w.tableLimits {
		b = binary.AppendUvarint(append(b, t.kind, 1), uint64(t.least))
		b = binary.AppendUvarint(b, uint64(t.most))
	}
	return b
}

// boundedMemories returns the memory section with its maximum lowered to the page limit.
func (w *rewriter) boundedMemories(body []byte) []byte {
	r := &reader{b: body}
	n := r.u32()
	b := binary.AppendUvarint(make([]byte, 0, len(body)+8), uint64(n))
	for range n {
		least, wanted, has := w.limits(r)
		if least > w.pages {
			w.refuseMemory(least)
		}
		if !has {
			wanted = w.pages
		}
		if has && wanted > pageLimit {
			refuse("a memory cannot have more than %d pages", pageLimit)
		}
		b = binary.AppendUvarint(append(b, 1), uint64(least))
		b = binary.AppendUvarint(b, uint64(min(wanted, w.pages)))
	}
	if r.more() {
		refuse("it is longer than what is in it")
	}
	return b
}

func (w *rewriter) refuseMemory(least uint32) {
	others := ""
	if w.pages < w.cfg.MaxPages {
		_, largest := w.account.total(false)
		others = fmt.Sprintf(" (%d, without %d that an instance takes of the host, most of it for %d %s)",
			w.cfg.MaxPages, w.cfg.MaxPages-w.pages, w.account[largest], largest)
	}
	refuse("it wants a memory in pages of 64 KiB of %d, more than the limit of %d%s", least, w.pages, others)
}

// code rewrites the bodies of all functions.
func (w *rewriter) code(body []byte) []byte {
	r := &reader{b: body}
	n := r.u32()
	if int64(n) != int64(len(w.functions)-w.imported) {
		refuse("there are %d functions and %d bodies", len(w.functions)-w.imported, n)
	}
	out := binary.AppendUvarint(make([]byte, 0, len(body)*3/2), uint64(n))
	for i := range int(n) {
		f := w.imported + i
		w.where = place{section: secCode, function: f}
		metered := w.metered(r.take(r.u32()), w.types[w.functions[f]])
		out = append(binary.AppendUvarint(out, uint64(len(metered))), metered...)
	}
	if r.more() {
		refuse("it is longer than what is in it")
	}
	w.where = place{section: secCode, function: -1}
	w.load.check(len(body))
	return out
}
