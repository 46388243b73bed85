package meter

import (
	"bytes"
	"context"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/tetratelabs/wazero"
	"github.com/tetratelabs/wazero/api"

	"github.com/octostore/octostore/hooks/wasmtest"
)

// Whatever the bytes are: nothing panics, what was not valid does not become valid,
// what was valid stays valid, and does the same.
func FuzzInstrument(f *testing.F) {
	for _, m := range hostile() {
		f.Add(wasmtest.Assemble(m))
	}
	files, err := filepath.Glob(filepath.Join(wazeroDir(f), "internal", "integration_test", "spectest", "v2", "testdata", "*.1.wasm"))
	if err != nil || len(files) == 0 {
		f.Fatalf("no seeds: %v", err)
	}
	for i, name := range files {
		binary, err := os.ReadFile(name)
		if err != nil {
			f.Fatal(err)
		}
		if i%4 == 0 && len(binary) < 4<<10 {
			f.Add(binary)
		}
	}
	f.Fuzz(func(t *testing.T, module []byte) { differ(t, module) })
}

// Programs made of fuzzed bytes are valid by construction, so they reach what the
// mutation of binaries seldom does: the same results for the same operands.
func FuzzPrograms(f *testing.F) {
	f.Add([]byte("\x00\x01\x02\x03\x04\x05\x06\x07\x08\x09\x0a\x0b\x0c\x0d\x0e\x0f"), uint32(7))
	f.Add([]byte("if, else, loop, and end"), uint32(0))
	f.Add([]byte{6, 1, 7, 2, 9, 9, 5, 11, 3, 10, 200, 100, 8, 8, 6, 250, 7, 7, 13, 12, 4}, uint32(1<<31))
	f.Fuzz(func(t *testing.T, recipe []byte, operand uint32) {
		if len(recipe) > 512 {
			return
		}
		m := function("i32 -> i32", "4*i32", program(recipe))
		m.Funcs = append(m.Funcs, wasmtest.Func{Name: "_g", Type: "i32 -> i32", Code: "local.get 0 i32.const 3 i32.mul"})
		differ(t, wasmtest.Assemble(m), uint64(operand))
	})
}

// program makes valid code of any bytes. Between statements the operand stack is
// empty; the locals 1 to 4 are its variables.
func program(recipe []byte) string {
	var code []byte
	var open []byte // e: may get an else; b: only an end
	add := func(s string) { code = append(append(code, s...), ' ') }
	digit := func(b byte, n int) string { return string('0' + b%byte(n)) }
	for i, b := range recipe {
		v, u := digit(b>>4, 5), digit(b>>2, 5)
		switch b % 16 {
		case 0, 1:
			add("local.get " + u + " i32.const " + digit(b>>3, 10) + " i32.add local.set " + v)
		case 2:
			add("local.get " + u + " local.get " + v + " i32.rem_u local.set " + v)
		case 3:
			add("local.get " + u + " i32.const 65532 i32.and local.get " + v + " i32.store")
		case 4:
			add("local.get " + u + " i32.const 65532 i32.and i32.load local.set " + v)
		case 5:
			add("i32.const 0 i32.const 64 local.get " + u + " i32.const 255 i32.and memory.copy")
		case 6:
			add("local.get " + u + " if")
			open = append(open, 'e')
		case 7:
			add("block")
			open = append(open, 'b')
		case 8:
			add("loop")
			open = append(open, 'b')
		case 9:
			if n := len(open); n > 0 && open[n-1] == 'e' {
				add("else")
				open[n-1] = 'b'
			}
		case 10, 11:
			if n := len(open); n > 0 {
				add("end")
				open = open[:n-1]
			}
		case 12:
			if n := len(open); n > 0 {
				add("local.get " + u + " i32.const 1 i32.sub local.tee " + u + " br_if " + digit(byte(i)%byte(min(n, 10)), 10))
			}
		case 13:
			add("local.get " + u + " call $_g local.set " + v)
		case 14:
			add("local.get " + u + " memory.grow local.set " + v)
		case 15:
			add("local.get " + u + " i32.eqz if local.get " + v + " return end")
		}
	}
	for range open {
		add("end")
	}
	return string(code) + "local.get 0 local.get 1 i32.xor local.get 2 i32.add local.get 3 i32.xor local.get 4 i32.add"
}

// differ runs all functions of a module metered, and those that came to an end as
// they are, and compares.
func differ(t *testing.T, module []byte, args ...uint64) {
	metered, err := Instrument(module, Config{Fuel: 10_000, MaxPages: 16})
	if err != nil {
		return
	}
	if bytes.Contains(module, []byte("name")) {
		return // as it is the runtime would believe the counts of names
	}
	ctx := context.Background()
	rt := wazero.NewRuntimeWithConfig(ctx, wazero.NewRuntimeConfigInterpreter().WithMemoryLimitPages(16))
	defer rt.Close(ctx)
	plainCode, plainErr := rt.CompileModule(ctx, module)
	meteredCode, meteredErr := rt.CompileModule(ctx, metered)
	switch {
	case plainErr != nil && strings.Contains(plainErr.Error(), "custom section"):
		return // those are dropped
	case plainErr != nil && meteredErr == nil:
		t.Fatalf("it became valid: %v", plainErr)
	case plainErr == nil && meteredErr != nil:
		t.Fatalf("it became invalid: %v", meteredErr)
	case plainErr != nil || len(plainCode.ImportedFunctions()) > 0:
		return
	}
	config := wazero.NewModuleConfig().WithName("").WithStartFunctions()
	m, err := rt.InstantiateModule(ctx, meteredCode, config)
	if err != nil {
		return // also if its start function used up the fuel
	}
	p, err := rt.InstantiateModule(ctx, plainCode, config)
	if err != nil {
		t.Fatalf("plain: %v", err)
	}
	compare(t, p, m, args)
}

func compare(t *testing.T, p, m api.Module, args []uint64) {
	fuel := m.ExportedGlobal(Global).(api.MutableGlobal)
	for name, def := range p.ExportedFunctionDefinitions() {
		operands := slices.Repeat([]uint64{3}, len(def.ParamTypes()))
		copy(operands, args)
		fuel.Set(20_000)
		got, gotErr := call(m, name, operands)
		if int64(fuel.Get()) < 0 {
			return // without a meter it might not end; and what it did by now is not known
		}
		want, wantErr := call(p, name, operands)
		if kindOf(gotErr) != kindOf(wantErr) || !slices.Equal(got, want) {
			t.Fatalf("%s%v: plain %v, %v; metered %v, %v", name, operands, want, wantErr, got, gotErr)
		}
		for memory := range p.ExportedMemoryDefinitions() {
			a, b := p.ExportedMemory(memory), m.ExportedMemory(memory)
			x, _ := a.Read(0, a.Size())
			y, _ := b.Read(0, b.Size())
			if !slices.Equal(x, y) {
				t.Fatalf("%s%v: the memories differ", name, operands)
			}
		}
	}
}
