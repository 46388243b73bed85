package hooks

import (
	"context"
	"fmt"
	"strings"
	"testing"

	"github.com/octostore/octostore/hooks/wasmtest"
)

func TestInspectSaysAllAModuleWouldBeRefusedFor(t *testing.T) {
	good := guestOf(wasmtest.Func{Name: "check", Type: "-> i32", Code: "i32.const 0"})
	with := func(f func(*wasmtest.Module)) []byte {
		m := good
		f(&m)
		return wasmtest.Assemble(m)
	}
	for _, tt := range []struct {
		name    string
		module  []byte
		refused []string // parts
		listed  bool
	}{
		{"nothing", wasmtest.Assemble(good), nil, true},
		{"the empty module", EmptyModule, nil, true},
		{"not a module", []byte("hello"), []string{"not a WebAssembly module"}, false},
		{"an observer", watching("i32.const 0"), nil, true},
		{"two imports", with(func(m *wasmtest.Module) {
			m.Imports = []wasmtest.Import{{Module: "env", Name: "a"}, {Module: "env", Name: "b"}, m.Imports[0]}
		}), []string{"env.a, which is not offered", "env.b, which is not offered"}, true},
		{"no check", wasmtest.Assemble(guestOf(wasmtest.Func{Name: "f"})), []string{"does not export check"}, true},
		{"too much memory", with(func(m *wasmtest.Module) { m.Pages = 17 }), []string{"more than the limit of 16"}, true},
		{"too many locals", wasmtest.Assemble(guestOf(wasmtest.Func{Name: "check", Type: "-> i32", Locals: "9000*i32", Code: "i32.const 0"})), []string{"function 7"}, true},
		{"a type that does not fit", wasmtest.Assemble(guestOf(wasmtest.Func{Name: "check", Type: "-> i32", Code: "i64.const 0"})), []string{"cannot use i64"}, false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			in, err := Inspect(t.Context(), tt.module, TrialConfig{MemoryMiB: 1})
			if err != nil {
				t.Fatal(err)
			}
			if len(in.Refused) != len(tt.refused) {
				t.Fatalf("got %q, want %q", in.Refused, tt.refused)
			}
			for i, want := range tt.refused {
				if !strings.Contains(in.Refused[i], want) {
					t.Errorf("got %q, want one that says %q", in.Refused[i], want)
				}
			}
			if (len(in.Exports) > 0) != tt.listed || in.Size != len(tt.module) || len(in.Digest) != 64 {
				t.Errorf("got %+v", in)
			}
		})
	}
	in, err := Inspect(t.Context(), wasmtest.Assemble(good), TrialConfig{})
	if err != nil || fmt.Sprint(in.Exports) != "[{ check () -> (i32) false}]" || in.Imports[1].Type != "(i32 i32) -> (i64)" || in.MemoryKiB != 64 || in.Metered <= in.Size {
		t.Errorf("got %+v, %v", in, err)
	}
}

func TestEmptyModuleAllows(t *testing.T) {
	trial := openTrial(t, EmptyModule, TrialConfig{})
	if o := trial.Ask(Case{Question: question("x")}); o.Verdict != "allow" || o.Fuel > 200 {
		t.Errorf("got %+v", o)
	}
	// The benchmark of the tool has to put a case at the cost of a call, not of a start.
	if o := trial.Ask(Case{Question: question("x")}); o.Fresh {
		t.Error("it was answered by another instance")
	}
	if _, err := OpenTrial(context.Background(), EmptyModule[:9], TrialConfig{}); err == nil {
		t.Error("half of it was taken")
	}
}
