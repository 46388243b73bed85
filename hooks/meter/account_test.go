package meter

import (
	"context"
	"runtime"
	"sort"
	"strconv"
	"strings"
	"testing"

	"github.com/tetratelabs/wazero"

	"github.com/octostore/octostore/hooks/wasmtest"
)

// vectorOfItems is the body of a section that has the same item n times.
func vectorOfItems(n int, item ...byte) []byte {
	b := wasmtest.Uint(nil, uint64(n))
	for range n {
		b = append(b, item...)
	}
	return b
}

// sections is a module of these sections.
func sections(list ...wasmtest.Section) []byte {
	out := []byte("\x00asm\x01\x00\x00\x00")
	for _, s := range list {
		out = wasmtest.Append(out, s.ID, s.Body)
	}
	return out
}

// amplifiers are modules that take memory of the host in proportion to n: for a few
// bytes each.
func amplifiers() map[string]func(n int) []byte {
	type S = wasmtest.Section
	one, fun, code := S{ID: 1, Body: []byte{1, 0x60, 0, 0}}, S{ID: 3, Body: []byte{1, 0}}, S{ID: 10, Body: []byte{1, 2, 0, 0x0b}}
	segment := func(n int, kind ...byte) S {
		return S{ID: 9, Body: append(append([]byte{1}, kind...), vectorOfItems(n, 0)...)}
	}
	table := func(n int) S {
		return S{ID: 4, Body: wasmtest.Uint([]byte{1, 0x70, 0}, uint64(min(n, MaxTable)))}
	}
	return map[string]func(n int) []byte{
		"types": func(n int) []byte { return sections(S{ID: 1, Body: vectorOfItems(n, 0x60, 0, 0)}) },
		"functions": func(n int) []byte {
			return sections(one, S{ID: 3, Body: vectorOfItems(n, 0)}, S{ID: 10, Body: vectorOfItems(n, 2, 0, 0x0b)})
		},
		"tables": func(n int) []byte { return sections(S{ID: 4, Body: vectorOfItems(n, 0x70, 0, 0)}) },
		"elements of tables": func(n int) []byte {
			return sections(S{ID: 4, Body: vectorOfItems(n/10_000+1, 0x70, 0, 0x90, 0x4e)})
		},
		"globals": func(n int) []byte { return sections(S{ID: 6, Body: vectorOfItems(n, 0x7e, 1, 0x42, 0, 0x0b)}) },
		"exports": func(n int) []byte {
			b := wasmtest.Uint(nil, uint64(n))
			for i := range n {
				b = append(append(b, wasmtest.Name(strconv.Itoa(i))...), 0, 0)
			}
			return sections(one, fun, S{ID: 7, Body: b}, code)
		},
		"elements of segments":        func(n int) []byte { return sections(one, fun, segment(n, 1, 0), code) },
		"active elements of segments": func(n int) []byte { return sections(one, fun, table(n), segment(n, 0, 0x41, 0, 0x0b), code) },
		"segments of elements":        func(n int) []byte { return sections(one, fun, S{ID: 9, Body: vectorOfItems(n, 1, 0, 0)}, code) },
		"segments of data": func(n int) []byte {
			return sections(S{ID: 5, Body: []byte{1, 0, 1}}, S{ID: 11, Body: vectorOfItems(n, 1, 0)})
		},
		"references to functions or globals": func(n int) []byte {
			return sections(one, fun, S{ID: 6, Body: vectorOfItems(n, 0x70, 1, 0xd2, 0, 0x0b)}, code)
		},
	}
}

// All memory of an instance is bounded: small modules that would need much host memory are
// refused, and accepted modules stay below the limit.
func TestMemoryOfTheHostIsAccountedFor(t *testing.T) {
	const pages = 16
	const limit = pages << 16
	for name, module := range amplifiers() {
		t.Run(name, func(t *testing.T) {
			const many = 200_000
			_, err := Instrument(module(many), Config{MaxPages: pages})
			if !IsRefused(err) || !strings.Contains(err.Error(), "the limit of its memory is 1024 KiB") {
				t.Errorf("%d: got %v, want it refused", many, err)
			}
			n := sort.Search(many, func(n int) bool {
				_, err := Instrument(module(n), Config{MaxPages: pages})
				return err != nil
			}) - 1
			compiled, instance := taken(t, module(n))
			t.Logf("%d in %d bytes are allowed: %d KiB once, %d KiB an instance", n, len(module(n)), compiled>>10, instance>>10)
			// The compiler keeps machine code and where it came from, for functions.
			if instance > limit+limit/4 || name != "functions" && compiled > limit+limit/4 {
				t.Errorf("%d take %d KiB once and %d KiB an instance, of %d KiB", n, compiled>>10, instance>>10, limit>>10)
			}
			if n < 1000 {
				t.Errorf("only %d are allowed", n)
			}
		})
	}
}

// taken returns the bytes of the heap a module takes when it is compiled, and for each
// instance.
func taken(t *testing.T, module []byte) (compiled, instance int64) {
	t.Helper()
	metered, err := Instrument(module, Config{MaxPages: 16})
	if err != nil {
		t.Fatal(err)
	}
	ctx := context.Background()
	rt := wazero.NewRuntime(ctx)
	defer rt.Close(ctx)
	before := heap()
	code, err := rt.CompileModule(ctx, metered)
	if err != nil {
		t.Fatal(err)
	}
	between := heap()
	const instances = 4
	for range instances {
		if _, err := rt.InstantiateModule(ctx, code, wazero.NewModuleConfig().WithName("")); err != nil {
			t.Fatal(err)
		}
	}
	after := heap()
	runtime.KeepAlive(metered)
	return between - before, (after - between) / instances
}

// heap is what lives on it.
func heap() int64 {
	runtime.GC()
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return int64(m.HeapAlloc)
}

// The linear memory can have what the rest leaves.
func TestMemoryAndTheRestShareOneLimit(t *testing.T) {
	m := function("i32 -> i32", "", "local.get 0 memory.grow")
	m.Table = 40_000 // 320,000 bytes: 4 pages
	g := newGuest(t, m, Config{MaxPages: 16})
	if _, got, err := g.call("f", 1<<20, 12); err != nil || int32(got[0]) != -1 {
		t.Errorf("growing to 13 pages: %v, %v", got, err)
	}
	if _, got, err := g.call("f", 1<<20, 11); err != nil || got[0] != 1 {
		t.Errorf("growing to 12 pages: %v, %v", got, err)
	}
	m.Pages = 13
	want := "of 13, more than the limit of 12 (16, without 4 that an instance takes of the host, most of it for 40000 elements of tables)"
	if _, err := Instrument(wasmtest.Assemble(m), Config{MaxPages: 16}); !IsRefused(err) || !strings.Contains(err.Error(), want) {
		t.Errorf("got %v, want %q", err, want)
	}
}

// A table grows as far as was accounted for; one that nothing grows is only what it is.
func TestTablesGrowWithinTheMemoryOfAnInstance(t *testing.T) {
	m := function("i32 -> i32", "", "ref.null funcref local.get 0 table.grow")
	m.Table = 1
	const most = 16 << 16 / 8 / 18
	g := newGuest(t, m, Config{MaxPages: 16})
	if _, got, err := g.call("f", 1<<20, most); err != nil || int32(got[0]) != -1 {
		t.Errorf("growing by %d: %v, %v", most, got, err)
	}
	if _, got, err := g.call("f", 1<<20, most-1); err != nil || got[0] != 1 {
		t.Errorf("growing by %d: %v, %v", most-1, got, err)
	}
}

// The runtime keeps what it makes for ref.func as long as an instance lives, so a guest
// could take more with every call.
func TestReferencesToFunctionsAreNotMadeByCode(t *testing.T) {
	m := wasmtest.Module{Table: 1, Elem: []string{"f"}, Funcs: []wasmtest.Func{{Name: "f", Code: "ref.func $f drop"}}}
	if _, err := Instrument(wasmtest.Assemble(m), Config{}); !IsRefused(err) || !strings.Contains(err.Error(), "ref.func is not supported") {
		t.Errorf("got %v", err)
	}
}

func TestImportsOtherThanFunctionsAreNamed(t *testing.T) {
	imported := func(kind ...byte) []byte {
		b := append(wasmtest.Name("env"), wasmtest.Name("x\n")...)
		return sections(wasmtest.Section{ID: 2, Body: append(append([]byte{1}, b...), kind...)})
	}
	for want, module := range map[string][]byte{
		`it imports the table "env"."x?"; only functions can be imported`:  imported(1, 0x70, 0, 1),
		`it imports the global "env"."x?"; only functions can be imported`: imported(3, 0x7f, 0),
	} {
		if _, err := Instrument(module, Config{}); !IsRefused(err) || !strings.Contains(err.Error(), want) {
			t.Errorf("got %v, want %q", err, want)
		}
	}
}
