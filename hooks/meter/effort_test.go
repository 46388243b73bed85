package meter

import (
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/octostore/octostore/hooks/wasmtest"
)

func repeat(n int, code func(i int) string) string {
	var b strings.Builder
	for i := range n {
		b.WriteString(code(i))
		b.WriteByte(' ')
	}
	return b.String()
}

// withLocals is a module of one function that has so many locals.
func withLocals(n int, code string) wasmtest.Module {
	return function("i32 -> i32", fmt.Sprintf("%d*i32", n), code+" i32.const 0")
}

// of makes a module with a function of another type beside the first.
func (b bomb) of(typ string, code string) wasmtest.Module {
	b.m.Funcs = append(b.m.Funcs, wasmtest.Func{Name: "_g", Type: typ, Code: code})
	return b.m
}

// twice has the function of a module twice.
func twice(m wasmtest.Module) wasmtest.Module {
	again := m.Funcs[0]
	again.Name = "_again"
	m.Funcs = append(m.Funcs, again)
	return m
}

type bomb struct{ m wasmtest.Module }

// Small modules whose compilation takes many seconds or hundreds of MiB are refused
// before it begins.
func TestWorkOfTheCompilerIsBounded(t *testing.T) {
	inc := func(i, locals int) string {
		return fmt.Sprintf("local.get %d i32.const 1 i32.add local.set %d", i%locals, (i*7+1)%locals)
	}
	read := func(n int) string {
		return repeat(n, func(i int) string { return fmt.Sprintf("local.get %d drop", i) })
	}
	many := strings.Repeat("i32 ", 900)
	for _, tt := range []struct {
		name, want string
		m          wasmtest.Module
	}{
		{"nested loops that set locals", "locals and operands", withLocals(1000, strings.Repeat("loop ", 1000)+repeat(1000, func(i int) string { return inc(i, 1000) })+strings.Repeat("local.get 0 br_if 0 end ", 1000))},
		{"nested loops that read locals", "nested loops", withLocals(150, strings.Repeat("loop ", 150)+read(150)+strings.Repeat("local.get 0 br_if 0 end ", 150))},
		{"loops one after the other", "loops times branches", withLocals(2, strings.Repeat("loop local.get 0 br_if 0 end ", 1350))},
		{"ifs", "locals and operands", withLocals(1000, repeat(1000, func(i int) string { return "local.get 0 if " + inc(i, 1000) + " end" })+read(1000))},
		{"many ifs", "branches of a function", withLocals(2, strings.Repeat("local.get 0 if nop end ", 20_000))},
		{"br_table", "targets of br_table", withLocals(1, strings.Repeat("block i32.const 0 br_table 1000 "+strings.Repeat("0 ", 1001)+" end ", 100))},
		{"br_table to many blocks", "locals and operands", withLocals(1000, strings.Repeat("block ", 1000)+"local.get 0 br_table 999 "+repeat(1000, func(i int) string { return fmt.Sprint(i) })+
			repeat(1000, func(i int) string { return "end " + inc(i, 1000) })+read(1000))},
		{"branches to one block", "branches to a block", withLocals(300, "block "+repeat(600, func(i int) string { return inc(i, 300) + " local.get 0 br_if 0" })+" end "+read(300))},
		{"operands across blocks", "locals and operands", withLocals(1, strings.Repeat("local.get 0 ", 1000)+strings.Repeat("local.get 0 if nop end ", 1000)+strings.Repeat("drop ", 1000))},
		{"results of calls", "locals and operands", bomb{twice(withLocals(1, strings.Repeat("block call $_g br 0 end ", 400)))}.of("->"+many, strings.Repeat("i32.const 0 ", 900))},
		{"parameters of loops", "nested loops", bomb{withLocals(1, strings.Repeat("local.get 0 ", 900)+strings.Repeat("raw 3 raw 1 ", 100)+strings.Repeat("end ", 100)+strings.Repeat("drop ", 900))}.of(many+"->"+many, strings.Repeat("i32.const 0 ", 900))},
		{"results of blocks", "branches to a block", bomb{withLocals(1, strings.Repeat("local.get 0 ", 900)+strings.Repeat("raw 2 raw 1 local.get 0 br_if 0 end ", 100)+strings.Repeat("drop ", 900))}.of(many+"->"+many, strings.Repeat("i32.const 0 ", 900))},
		{"bulk operations", "branches of a function", withLocals(1, strings.Repeat("local.get 0 local.get 0 local.get 0 memory.copy ", 4000))},
		{"results", "more than the limit of 1000", wasmtest.Module{Funcs: []wasmtest.Func{{Name: "f", Type: "->" + strings.Repeat(" i32", 1001), Code: strings.Repeat("i32.const 0 ", 1001)}}}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			module := wasmtest.Assemble(tt.m)
			_, err := Instrument(module, Config{})
			if !IsRefused(err) || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("%d bytes: got %v, want it refused for %q", len(module), err, tt.want)
			}
		})
	}
}

// share is how much of a bound a module uses at most, and of which.
func share(t testing.TB, module []byte) (most float64, of string) {
	t.Helper()
	w := newRewriter(Config{MaxPages: pageLimit, open: true})
	defer func() {
		// A feature of WebAssembly that no policy may use is no matter of effort.
		p := recover()
		if why := fmt.Sprint(p); p != nil && !strings.Contains(why, "not supported") && !strings.Contains(why, "not known") {
			t.Fatalf("it is refused: %v", why)
		}
	}()
	w.rewrite(module)
	code := 0
	for _, s := range newRewriter(Config{}).split(module[8:]) {
		if s.id == secCode {
			code = len(s.body)
		}
	}
	for _, b := range bounds {
		if part := float64(b.of(w.load)) / float64(b.base+b.each*int64(code)/1024); part > most {
			most, of = part, b.what
		}
	}
	return most, of
}

// Modules that compilers of TinyGo, Rust, Zig, C, and AssemblyScript have made.
func TestWorkOfTheCompilerLeavesRoomForRealModules(t *testing.T) {
	n := 0
	for _, root := range []string{wazeroDir(t), "../testdata"} {
		err := filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
			if err != nil || filepath.Ext(path) != ".wasm" || strings.Contains(path, "spectest") || strings.Contains(path, "fuzzcases") {
				return err
			}
			module, err := os.ReadFile(path)
			if err != nil {
				return err
			}
			n++
			t.Run(filepath.Base(filepath.Dir(path))+"/"+filepath.Base(path), func(t *testing.T) {
				if most, of := share(t, module); most > 0.5 {
					t.Errorf("it uses %.2f of the bound of %s", most, of)
				}
			})
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	if n < 30 {
		t.Errorf("only %d modules", n)
	}
}

// The height of the stack is followed through everything there is in the suite of the
// specification.
func TestHeightOfTheStackIsFollowed(t *testing.T) {
	files, err := filepath.Glob(filepath.Join(wazeroDir(t), "internal", "integration_test", "spectest", "v2", "testdata", "*.0.wasm"))
	if err != nil || len(files) < 80 {
		t.Fatalf("%d files, %v", len(files), err)
	}
	for _, file := range files {
		module, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := Instrument(module, Config{open: true}); err != nil {
			continue
		}
		if err := followed(module); err != nil {
			t.Errorf("%s: %v", filepath.Base(file), err)
		}
	}
}

// followed checks, at the end of every block that is reached, that there are as many
// operands as it results in.
func followed(module []byte) error {
	w := newRewriter(Config{open: true})
	var code []byte
	for _, s := range w.split(module[8:]) {
		w.survey(s)
		if s.id == secCode {
			code = s.body
		}
	}
	r := &reader{b: code}
	if code == nil {
		return nil
	}
	for i := range int(r.u32()) {
		t := w.types[w.functions[w.imported+i]]
		body := &reader{b: r.take(r.u32())}
		locals := uint64(t.params)
		for range body.u32() {
			locals += uint64(body.u32())
			body.byte()
		}
		if err := w.follow(body, t, locals); err != nil {
			return fmt.Errorf("function %d: %w", w.imported+i, err)
		}
	}
	return nil
}

func (w *rewriter) follow(r *reader, t signature, locals uint64) error {
	f := newBody(0, maxUnchecked, locals, t)
	dead := []bool{false}
	for len(f.blocks) > 0 {
		at := r.i
		in := w.next(r, locals)
		last := len(f.blocks) - 1
		b := f.blocks[last]
		ends := in.op == opEnd || in.op == opElse
		if want := b.base + b.results; ends && !dead[last] && f.effort.height != want {
			return fmt.Errorf("offset %d: %d operands, want %d", at, f.effort.height, want)
		}
		f.step(in, at, r.i)
		switch in.op {
		case opBlock, opLoop, opIf:
			dead = append(dead, dead[last])
		case opElse:
			dead[last] = last > 0 && dead[last-1]
		case opEnd:
			dead = dead[:last]
		case opUnreachable, opBr, opBrTable, opReturn:
			dead[last] = true
		}
	}
	return nil
}
