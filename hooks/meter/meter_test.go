package meter

import (
	"context"
	"fmt"
	"strings"
	"testing"

	"github.com/tetratelabs/wazero"
	"github.com/tetratelabs/wazero/api"

	"github.com/octostore/octostore/hooks/wasmtest"
)

// guest is an instance of a metered module.
type guest struct {
	module api.Module
	fuel   api.MutableGlobal
}

// newGuest meters a module and makes an instance of it, or fails the test.
func newGuest(t testing.TB, m wasmtest.Module, cfg Config) guest {
	t.Helper()
	if cfg.MaxPages == 0 {
		cfg.MaxPages = 256
	}
	metered, err := Instrument(wasmtest.Assemble(m), cfg)
	if err != nil {
		t.Fatal(err)
	}
	ctx := context.Background()
	rt := wazero.NewRuntimeWithConfig(ctx, wazero.NewRuntimeConfig().WithMemoryCapacityFromMax(true))
	t.Cleanup(func() { rt.Close(ctx) })
	module, err := rt.InstantiateWithConfig(ctx, metered, wazero.NewModuleConfig().WithStartFunctions())
	if err != nil {
		t.Fatal(err)
	}
	return guest{module, module.ExportedGlobal(Global).(api.MutableGlobal)}
}

// call calls a function with so much fuel and returns what is left of it.
func (g guest) call(name string, fuel int64, args ...uint64) (left int64, results []uint64, err error) {
	g.fuel.Set(uint64(fuel))
	results, err = g.module.ExportedFunction(name).Call(context.Background(), args...)
	return int64(g.fuel.Get()), results, err
}

func function(typ, locals, code string) wasmtest.Module {
	return wasmtest.Module{Pages: 1, Funcs: []wasmtest.Func{{Name: "f", Type: typ, Locals: locals, Code: code}}}
}

// The documented prices are exact.
func TestPrices(t *testing.T) {
	const entry = Call + 1 // the call and the end of the function
	tests := []struct {
		name  string
		m     wasmtest.Module
		args  []uint64
		price int64 // beyond entry and half the instructions
	}{
		{"nothing", function("", "", ""), nil, 0},
		{"three instructions", function("-> i32", "", "i32.const 1 i32.const 2 i32.add"), nil, 3},
		{"locals", function("i32 i64", "10*i32", ""), []uint64{1, 2}, 12},
		{"a load", function("-> i32", "", "i32.const 0 i32.load"), nil, 1 + MemoryAccess},
		{"a division", function("-> i32", "", "i32.const 6 i32.const 3 i32.div_u"), nil, 2 + Slow},
		{"the branch taken", function("i32 -> i32", "", "local.get 0 if i32 i32.const 1 else i32.const 1 i32.const 2 i32.add end"), []uint64{1}, 1 + 2 + 1 + 1},
		{"the other branch", function("i32 -> i32", "", "local.get 0 if i32 i32.const 1 else i32.const 1 i32.const 2 i32.add end"), []uint64{0}, 1 + 2 + 3 + 1},
		{"after a return", function("-> i32", "", "i32.const 1 return i32.const 0 i32.load drop i32.const 2"), nil, 2 - 1},
		{"each turn of a loop", function("i32", "", "loop local.get 0 i32.const 1 i32.sub local.tee 0 br_if 0 end"), []uint64{5}, 1 + 5*6 + 1},
		{"copying", function("", "", "i32.const 0 i32.const 0 i32.const 6400 memory.copy"), nil, 3 + Bulk + 100},
		{"growing", function("-> i32", "", "i32.const 2 memory.grow"), nil, 1 + Grow + 2048},
		{"growing too much", function("-> i32", "", "i32.const 70000 memory.grow"), nil, 1 + Grow},
		{"vectors", function("", "", "i32.const 0 v128.load i32.const 0 v128.load i64x2.add drop"), nil, 2 + 2*MemoryAccess + Vector + 1},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			g := newGuest(t, tt.m, Config{})
			const fuel = 1 << 20
			left, _, err := g.call("f", fuel, tt.args...)
			if err != nil {
				t.Fatal(err)
			}
			instructions := int64(len(strings.Fields(tt.m.Funcs[0].Code)) - immediates(tt.m.Funcs[0].Code) + 1)
			if got, want := fuel-left, entry+tt.price+instructions/2; got != want {
				t.Errorf("it cost %d, want %d", got, want)
			}
		})
	}
}

// immediates counts the words of a text that are no instructions.
func immediates(code string) (n int) {
	words := strings.Fields(code)
	for i, w := range words {
		if strings.Trim(w, "0123456789") == "" || (w == "i32" && words[i-1] == "if") {
			n++
		}
	}
	return n
}

func TestFuelThatIsUsedUpStopsTheGuest(t *testing.T) {
	g := newGuest(t, function("-> i32", "", "i32.const 1"), Config{})
	price := int64(Call + 2 + 1)
	if left, _, err := g.call("f", price); err != nil || left != 0 {
		t.Errorf("with just enough: %d left, %v", left, err)
	}
	if left, _, err := g.call("f", price-1); err == nil || left >= 0 {
		t.Errorf("with one too few: %d left, %v", left, err)
	}
}

func TestStartFunctionRunsOnTheFuelOfTheConfig(t *testing.T) {
	start := 0
	m := wasmtest.Module{Start: &start, Funcs: []wasmtest.Func{{Name: "f", Code: "loop br 0 end"}}}
	metered, err := Instrument(wasmtest.Assemble(m), Config{Fuel: 100_000})
	if err != nil {
		t.Fatal(err)
	}
	ctx := t.Context()
	rt := wazero.NewRuntime(ctx)
	defer rt.Close(ctx)
	if _, err := rt.Instantiate(ctx, metered); err == nil || !strings.Contains(err.Error(), "unreachable") {
		t.Errorf("got %v", err)
	}
}

func TestMemoriesAndTablesAreHeldToTheirLimit(t *testing.T) {
	m := function("i32 -> i32", "", "local.get 0 memory.grow")
	for _, most := range []int{0, 10, 5000} {
		m.Most = most
		g := newGuest(t, m, Config{MaxPages: 16})
		limit := uint64(16)
		if most == 10 {
			limit = 10
		}
		if _, got, err := g.call("f", 1<<20, limit); err != nil || int32(got[0]) != -1 {
			t.Errorf("most %d: growing beyond %d pages gave %v, %v", most, limit, got, err)
		}
		if _, got, err := g.call("f", 1<<20, limit-1); err != nil || got[0] != 1 {
			t.Errorf("most %d: growing to %d pages gave %v, %v", most, limit, got, err)
		}
	}
	m.Pages = 17
	if _, err := Instrument(wasmtest.Assemble(m), Config{MaxPages: 16}); err == nil || !strings.Contains(err.Error(), "17, more than the limit of 16") {
		t.Errorf("got %v", err)
	}
}

// Straight code can be long. It must not run far once the fuel is used up, whichever
// way it takes.
func TestLongCodeWithoutLoopsIsChecked(t *testing.T) {
	if testing.Short() {
		t.Skip("nothing runs beside it that the race detector could see")
	}
	const loads = 200
	const price = loads * (MemoryAccess + 2)
	const slack = maxUnchecked + price
	count := "i32.const 4 i32.const 4 i32.load i32.const 1 i32.add i32.store "
	piece := count + strings.Repeat("i32.const 0 i32.load drop ", loads)
	six := strings.Repeat(piece, 6)
	for name, code := range map[string]string{
		"straight":             strings.Repeat(piece, 50),
		"branches":             strings.Repeat("local.get 0 if "+piece+" end ", 50),
		"large branches aside": strings.Repeat(piece+" local.get 0 if "+six+" end ", 50),
		"blocks":               strings.Repeat("block ", 50) + strings.Repeat(piece+" local.get 0 br_if 0 end ", 50),
		"else":                 strings.Repeat("local.get 0 if "+six+" else "+piece+" end local.get 0 i32.eqz if "+piece+" else nop end ", 20),
		"after loops":          strings.Repeat("loop "+piece+" end ", 50),
		"out of a nest":        strings.Repeat("block "+piece, 25) + "local.get 0 br_if 12 " + strings.Repeat(piece+" end ", 25),
	} {
		for _, way := range []uint64{0, 1} {
			t.Run(fmt.Sprint(name, " ", way), func(t *testing.T) {
				g := newGuest(t, function("i32", "", code), Config{})
				const much = 1 << 30
				left, _, err := g.call("f", much, way)
				if err != nil {
					t.Fatal(err)
				}
				total := much - left
				for fuel := int64(0); fuel < total; fuel += total / 7 {
					g.module.Memory().WriteUint32Le(4, 0)
					left, _, err := g.call("f", fuel, way)
					ran, _ := g.module.Memory().ReadUint32Le(4)
					if int64(ran)*price > fuel+slack {
						t.Errorf("of %d, with %d: it ran %d pieces of %d", total, fuel, ran, price)
					}
					if err == nil && left < -slack {
						t.Errorf("of %d, with %d: it ended with %d left", total, fuel, left)
					}
				}
			})
		}
	}
}

func TestUnknownFeaturesAreRefused(t *testing.T) {
	ok := wasmtest.Assemble(function("", "", ""))
	with := func(code string) []byte { return wasmtest.Assemble(function("", "", code)) }
	extra := func(id byte, body ...byte) []byte {
		return wasmtest.Append([]byte("\x00asm\x01\x00\x00\x00"), id, body)
	}
	memory := func(flags byte) []byte { return extra(5, 1, flags, 1, 1) }
	global := function("", "", "i64.const 5 global.set 1")
	global.Globals = 1
	for _, tt := range []struct {
		name   string
		module []byte
		want   string
	}{
		{"empty", nil, "not a WebAssembly module"},
		{"text", []byte("(module)"), "not a WebAssembly module"},
		{"component", []byte("\x00asm\x0d\x00\x01\x00"), "component"},
		{"cut", ok[:len(ok)-3], "too early"},
		{"tags", extra(13, 0), "exception handling"},
		{"a section of the future", extra(14, 0), "not known"},
		{"a section twice", wasmtest.Append(extra(1, 0), 1, []byte{0}), "twice"},
		{"try", with("raw 0x06"), "exception handling is not supported (opcode 0x6)"},
		{"return_call", with("raw 0x12 raw 0"), "tail calls"},
		{"atomics", with("raw 0xfe raw 0"), "threads"},
		{"relaxed SIMD", with("raw 0xfd raw 0x80 raw 2"), "relaxed"},
		{"unknown opcode", with("raw 0xd7"), "opcode 0xd7 is not known"},
		{"unknown 0xfc", with("raw 0xfc raw 40"), "0xfc 40"},
		{"shared memory", memory(3), "shared"},
		{"64-bit memory", memory(4), "64-bit"},
		{"two memories", extra(5, 2, 0, 1, 0, 1), "several memories"},
		{"another memory", with("i32.const 0 raw 0x28 raw 0x42 raw 1 raw 0 drop"), "several memories"},
		{"struct types", extra(1, 1, 0x5f, 0), "form 0x5f"},
		{"too many locals", wasmtest.Assemble(function("", "5000*i32", "")), "more than 4096"},
		{"too many blocks", with(strings.Repeat("block ", MaxNesting+1) + strings.Repeat("end ", MaxNesting+1)), "blocks within blocks"},
		{"its own fuel", wasmtest.Assemble(global), "no global 1"},
		{"the meter's local", with("i64.const 1 local.set 0"), "no local 0"},
		{"exporting the fuel", extra(7, 1, 1, 'a', 3, 0), "global that is not there"},
		{"an export of the same name", wasmtest.Append(extra(6, 1, 0x7e, 1, 0x42, 0, 0x0b), 7,
			append(append([]byte{1}, wasmtest.Name(Global)...), 3, 0)), "meter's own"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			_, err := Instrument(tt.module, Config{})
			if !IsRefused(err) || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("got %v, want one that says %q", err, tt.want)
			}
		})
	}
}

func TestCustomSectionsKeepNamesOnly(t *testing.T) {
	m := function("", "", "")
	functions := append([]byte{1, 4, 1, 0}, wasmtest.Name("f")...)
	m.Extra = []wasmtest.Section{
		{ID: 0, Body: append(wasmtest.Name(".debug_info"), "secret"...)},
		{ID: 0, Body: append(wasmtest.Name("name"), functions...)},
	}
	metered, err := Instrument(wasmtest.Assemble(m), Config{})
	if err != nil {
		t.Fatal(err)
	}
	if strings.Contains(string(metered), "debug") || !strings.Contains(string(metered), "name"+string(functions)) {
		t.Errorf("%q", metered)
	}
	// The runtime would make room for as many names as there are said to be.
	m.Extra = []wasmtest.Section{{ID: 0, Body: append(wasmtest.Name("name"), 1, 5, 0xff, 0xff, 0xff, 0xff, 0x0f)}}
	if metered, err := Instrument(wasmtest.Assemble(m), Config{}); err != nil || strings.Contains(string(metered), "name") {
		t.Errorf("%q, %v", metered, err)
	}
}
