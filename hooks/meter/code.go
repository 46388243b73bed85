package meter

import "encoding/binary"

// point is a place in a function body where code is inserted.
type point struct {
	at        int
	stack     int64 // 1: a call begins, -1: it has come back; 0: the price of a region
	bulk      bulk  // notBulk: the price of a region
	remainder byte  // the opcode that is replaced; 0: none
	price     int64 // of the region
	check     bool
}

// block is an open block of the function that is being read. At its end the fuel spent
// since the last check is at most that at its beginning plus the price of everything in
// it, whatever the control flow: only loops jump back, and they check.
type block struct {
	since int64
	total int64

	// For the effort of the compiler.
	id              uint32
	loop            bool
	base            int64 // the height of the stack below its parameters
	params, results int64
	sets            int64 // locals that are set within
	ways            int64 // to its end, or to the beginning of a loop
}

// body is the rewriting of one function.
type body struct {
	points []point
	region int   // index of the point that pays for what is read
	since  int64 // spent unchecked before the region, at most
	total  int64 // price of everything up to the region
	blocks []block
	effort effort
	calls  bool
	handed int64  // parameters and results of a call, at most
	limit  int64  // what may be spent unchecked
	longs  uint64 // locals of type i64 for the meter
	shorts uint64 // locals of type i32 for the meter
}

// newBody begins the rewriting of a function with a limit of unchecked fuel.
//
// When the fuel is used up, the callers of a function go on after it returns, each until
// its next check. The limit of a function that calls others is therefore at most the price
// of entering it, so all callers together spend no more on the way back than they paid on
// the way in.
func newBody(start int, limit int64, locals uint64, t signature) *body {
	f := &body{points: []point{{at: start, check: true}}, limit: limit, longs: 1, effort: newEffort(locals)}
	f.blocks = []block{f.effort.open(instruction{op: opBlock, results: int64(t.results)})}
	return f
}

// metered returns the body of a function with its meter.
func (w *rewriter) metered(b []byte, t signature) []byte {
	defer func(everywhere bool) { w.vectors = everywhere }(w.vectors)
	r := &reader{b: b}
	groups := r.u32()
	groupsFrom := r.i
	locals := uint64(t.params)
	for range groups {
		locals += uint64(r.u32())
		w.valueType(r.byte())
		if locals > MaxLocals {
			refuse("it has more than %d parameters and locals", MaxLocals)
		}
	}
	if locals > MaxLocals {
		refuse("it has more than %d parameters and locals", MaxLocals)
	}
	start := r.i
	f := newBody(start, maxUnchecked, locals, t)
	frame := w.read(f, r, locals)
	entry := Call + int64(locals) + frame/2
	if f.calls && entry < maxUnchecked {
		r.i = start
		f = newBody(start, entry, locals, t)
		w.read(f, r, locals)
	}
	f.points[0].price += entry
	f.points[0].stack = entered

	w.load.add(f.effort.workload())
	for _, p := range f.points {
		w.largest = max(w.largest, p.price)
	}

	e := emitter{fuel: uint64(w.globals), stack: uint64(w.globals) + 1, long: locals, pages: w.cfg.MaxPages}
	e.frame = f.stack(int64(locals)+frame, w.vectors)
	e.short = e.long + f.longs
	e.out = make([]byte, 0, len(b)+16*len(f.points))
	more := uint64(1)
	if f.shorts > 0 {
		more = 2
	}
	e.out = binary.AppendUvarint(e.out, uint64(groups)+more)
	e.out = append(e.out, b[groupsFrom:start]...)
	e.out = append(binary.AppendUvarint(e.out, f.longs), 0x7e)
	if f.shorts > 0 {
		e.out = append(binary.AppendUvarint(e.out, f.shorts), 0x7f)
	}
	return e.emit(b, start, f.points)
}

// read goes through the instructions, finds the points, and returns the largest number of
// values in the frame.
func (w *rewriter) read(f *body, r *reader, locals uint64) (frame int64) {
	for len(f.blocks) > 0 {
		at := r.i
		w.where.offset = at
		in := w.next(r, locals)
		frame += 1 + max(0, in.values)
		if frame > MaxInstructions {
			refuse("the function has more than %d instructions", MaxInstructions)
		}
		f.step(in, at, r.i)
	}
	if r.more() {
		refuse("there is code after its end")
	}
	return frame
}

// step accounts for the instruction between two offsets.
func (f *body) step(in instruction, at, after int) {
	f.points[f.region].price += in.price
	switch {
	case in.bulk != notBulk:
		f.shorts = max(f.shorts, 1)
		f.effort.bulk()
		f.points = append(f.points, point{at: at, bulk: in.bulk})
	case in.rewrite && isLong(in.op):
		f.longs = 2
		f.points = append(f.points, point{at: at, remainder: in.op})
	case in.rewrite:
		f.shorts = 2
		f.points = append(f.points, point{at: at, remainder: in.op})
	}
	f.effort.move(in, f.blocks)
	switch in.op {
	case opLocalGet, opLocalSet, opLocalTee:
		f.effort.local(in, f.blocks)
	case opCall, opCallIndirect:
		f.calls = true
		f.effort.call(in.values)
		if !in.host {
			f.points = append(f.points, point{at: at, stack: calls}, point{at: after, stack: returned})
		}
		f.handed = max(f.handed, in.handed)
	case opBlock:
		f.open(in)
	case opIf:
		f.begin(after)
		f.open(in)
	case opLoop:
		f.begin(after)
		f.points[f.region].check = true
		f.since = 0
		f.open(in)
	case opElse:
		f.begin(after)
		b := f.blocks[len(f.blocks)-1]
		f.since = b.since
		f.effort.height = b.base + b.params
	case opEnd:
		f.close(after)
	case opBrIf:
		f.effort.branch(f.blocks, in.index)
		f.effort.join(0)
	case opUnreachable, opBr, opBrTable, opReturn:
		f.leave(in)
		f.begin(after) // what follows is never reached, so it is not paid for
	}
}

// leave accounts for the branches of an instruction after which the code is unreachable.
func (f *body) leave(in instruction) {
	switch in.op {
	case opBr:
		f.effort.branch(f.blocks, in.index)
	case opBrTable:
		f.effort.targets += int64(len(in.targets))
		for _, depth := range in.targets {
			f.effort.branch(f.blocks, depth)
		}
	}
	f.effort.join(0)
}

// open begins a block.
func (f *body) open(in instruction) {
	if len(f.blocks) > MaxNesting {
		refuse("there are more than %d blocks within blocks", MaxNesting)
	}
	b := f.effort.open(in)
	b.since, b.total = f.since, f.total
	f.blocks = append(f.blocks, b)
}

// close ends a block. After the end of the function nothing follows.
func (f *body) close(after int) {
	last := len(f.blocks) - 1
	b := f.blocks[last]
	f.blocks = f.blocks[:last]
	f.effort.close(b)
	if last == 0 {
		f.settle()
		return
	}
	f.begin(after)
	f.since = b.since + f.total - b.total
}

// begin ends the region and begins another.
func (f *body) begin(at int) {
	f.settle()
	f.points = append(f.points, point{at: at})
	f.region = len(f.points) - 1
}

// settle ends the account of the region: it adds a check if more than the limit may have
// been spent since the last one.
func (f *body) settle() {
	p := &f.points[f.region]
	f.total += p.price
	f.since += p.price
	if f.since > f.limit {
		p.check = true
	}
	if p.check {
		f.effort.join(0)
		f.since = 0
	}
}

// emitter writes a body with its points.
type emitter struct {
	out   []byte
	fuel  uint64 // index of the global
	stack uint64 // index of the global
	frame int64  // bytes of the native stack
	long  uint64 // index of the first local i64
	short uint64 // index of the first local i32
	pages uint32
}

func (e *emitter) emit(b []byte, from int, points []point) []byte {
	for _, p := range points {
		e.out = append(e.out, b[from:p.at]...)
		from = p.at
		switch {
		case p.stack == calls || p.stack == returned:
			e.moveStack(p.stack)
		case p.bulk != notBulk:
			e.payBulk(p.bulk)
		case p.remainder != 0:
			e.remainder(p.remainder)
			from++ // instead of the instruction
		case p.price > 0:
			e.pay(p.price, p.check, p.stack == entered)
		}
	}
	return append(e.out, b[from:]...)
}

// pay subtracts the price of a region.
func (e *emitter) pay(price int64, check, enters bool) {
	e.out = binary.AppendUvarint(append(e.out, 0x23), e.fuel) // global.get
	e.out = appendInt(append(e.out, 0x42), price)             // i64.const
	e.spend(check, enters)
}

// spend subtracts the number on top of the stack from the fuel below it. At the entry of a
// function it also checks for room on the native stack.
func (e *emitter) spend(check, enters bool) {
	e.out = append(e.out, 0x7d) // i64.sub
	if !check {
		e.out = binary.AppendUvarint(append(e.out, 0x24), e.fuel) // global.set
		return
	}
	e.out = binary.AppendUvarint(append(e.out, 0x22), e.long) // local.tee
	e.out = binary.AppendUvarint(append(e.out, 0x24), e.fuel)
	e.out = binary.AppendUvarint(append(e.out, 0x20), e.long) // local.get
	if enters {
		e.checkStack()
		return
	}
	// i64.const 0, i64.lt_s, if, unreachable, end
	e.out = append(e.out, 0x42, 0, 0x53, 0x04, 0x40, 0x00, 0x0b)
}

// payBulk subtracts the price of the next instruction, which depends on its last operand.
func (e *emitter) payBulk(kind bulk) {
	n := e.short
	e.out = binary.AppendUvarint(append(e.out, 0x21), n) // local.set
	e.out = binary.AppendUvarint(append(e.out, 0x23), e.fuel)
	e.out = binary.AppendUvarint(append(e.out, 0x20), n)
	e.out = append(e.out, 0xad) // i64.extend_i32_u
	switch kind {
	case bulkBytes:
		e.out = append(e.out, 0x42, bytesShift, 0x88) // i64.shr_u
	case bulkElements:
		e.out = append(e.out, 0x42, elementsShift, 0x88)
	case growPages:
		e.out = append(e.out, 0x42, pageShift, 0x86) // i64.shl
		e.unlessMore(n, int64(e.pages))
	case growElements:
		e.out = append(e.out, 0x42, elementsShift, 0x88)
		e.unlessMore(n, MaxTable)
	}
	e.spend(true, false)
	e.out = binary.AppendUvarint(append(e.out, 0x20), n)
}

// unlessMore replaces the price on the stack by 0 if the local n is greater than most: the
// instruction then fails at once.
func (e *emitter) unlessMore(n uint64, most int64) {
	e.out = append(e.out, 0x42, 0)
	e.out = binary.AppendUvarint(append(e.out, 0x20), n)
	e.out = appendInt(append(e.out, 0x41), most) // i32.const
	e.out = append(e.out, 0x4d, 0x1b)            // i32.le_u, select
}
