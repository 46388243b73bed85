package meter

import (
	"fmt"
	"reflect"
	"strings"
	"testing"

	"github.com/octostore/octostore/hooks/wasmtest"
)

// stackOf is how large the native stack is that the runtime keeps for a function.
func stackOf(t testing.TB, f any) int {
	t.Helper()
	v := reflect.ValueOf(f).Elem().FieldByName("stack")
	if !v.IsValid() {
		t.Fatal("the runtime keeps its stack elsewhere")
	}
	return v.Len()
}

// deep are guests that recurse without end, with frames of many kinds.
func deep() map[string]wasmtest.Module {
	one := func(typ, locals, code string) wasmtest.Module {
		return wasmtest.Module{Pages: 1, Globals: 1, Table: 1, Elem: []string{"f"}, Funcs: []wasmtest.Func{{Name: "f", Type: typ, Locals: locals, Code: code}}}
	}
	vectors := strings.Repeat("i32.const 0 v128.load ", 100)
	wide := wasmtest.Module{Pages: 1, Globals: 1, Funcs: []wasmtest.Func{
		{Name: "_g", Type: strings.TrimSpace(strings.Repeat("i64 ", 900)), Code: strings.Repeat("local.get 7 ", 900) + "call $_g"},
		{Name: "f", Code: strings.Repeat("i64.const 1 ", 900) + "call $_g"},
	}}
	results := wasmtest.Module{Pages: 1, Globals: 1, Funcs: []wasmtest.Func{
		{Name: "_g", Type: "-> " + strings.TrimSpace(strings.Repeat("i64 ", 900)), Code: "call $_g"},
		{Name: "f", Code: "call $_g" + strings.Repeat(" drop", 900)},
	}}
	return map[string]wasmtest.Module{
		"nothing":        one("", "", "call $f"),
		"indirectly":     one("", "", "i32.const 0 call_indirect ->"),
		"many values":    recursion(2000, "global.get 0 ", "i64.xor "),
		"some values":    recursion(20, "global.get 0 ", "i64.xor "),
		"many locals":    one("", "4000*i64", "call $f local.get 3 drop"),
		"vectors":        one("", "", vectors+"call $f "+strings.Repeat("i64x2.add ", 99)+"drop"),
		"parameters":     wide,
		"results":        results,
		"unused branch":  unusedBranch(),
		"joined":         joined(100, 900),
		"joined little":  joined(10, 900),
		"loops":          one("", "300*i64", strings.Repeat("loop ", 20)+strings.Join(sets(300), " ")+strings.Repeat("global.get 0 i64.const 7 i64.eq br_if 0 end ", 20)+"call $f "+gets(300)),
		"through a host": one("", "", "loop call $f br 0 end"),
	}
}

// However a guest recurses, the runtime does not come to keep more than twice what the
// frames may take. Fuel alone would let it have 100 MB.
func TestStackOfEndlessRecursionIsBounded(t *testing.T) {
	for name, m := range deep() {
		t.Run(name, func(t *testing.T) {
			g := newGuest(t, m, Config{})
			f := g.module.ExportedFunction("f")
			g.fuel.Set(100_000_000)
			if _, err := f.Call(t.Context()); err == nil || !strings.Contains(err.Error(), "unreachable") {
				t.Fatalf("got %v, want a trap of the meter", err)
			}
			if left := int64(g.module.ExportedGlobal(Stack).Get()); left >= 0 {
				t.Errorf("it does not say that the stack is used up, but that %d bytes are left", left)
			}
			if n := stackOf(t, f); n > 2*MaxStack+1<<16 {
				t.Errorf("the runtime keeps %d bytes, and the frames may take %d", n, MaxStack)
			}
		})
	}
}

// The next call has the whole stack again, however the functions of a call end.
func TestStackIsWholeAgainAfterACall(t *testing.T) {
	for name, end := range map[string]string{
		"at the end": "", "return": "return", "branch": "br 0", "branch out of blocks": "block block br 2 end end",
		"if": "local.get 0 br_if 0", "table": "block local.get 0 br_table 1 0 1 end",
	} {
		for _, call := range []string{"call $f", "i32.const 0 call_indirect i32->"} {
			m := wasmtest.Module{Table: 1, Elem: []string{"f"}, Funcs: []wasmtest.Func{
				{Name: "f", Type: "i32", Code: "local.get 0 if local.get 0 i32.const 1 i32.sub " + call + " end " + end},
			}}
			g := newGuest(t, m, Config{})
			for range 3 {
				if _, _, err := g.call("f", 1_000_000, 1000); err != nil {
					t.Fatal(err)
				}
			}
			if left := g.module.ExportedGlobal(Stack).Get(); left != MaxStack {
				t.Errorf("%s, %s: %d bytes are left of %d", name, call, left, MaxStack)
			}
		}
	}
}

func sets(n int) []string {
	var all []string
	for i := range n {
		all = append(all, fmt.Sprintf("global.get 0 local.set %d ", i))
	}
	return all
}

func gets(n int) string {
	var b strings.Builder
	for i := range n {
		fmt.Fprintf(&b, "local.get %d global.set 0 ", i)
	}
	return b.String()
}

// joined makes a function in which so many locals have another value at the end of each of
// so many blocks.
func joined(locals, blocks int) wasmtest.Module {
	code := strings.Repeat("global.get 0 i64.const 7 i64.ne if ", blocks) + strings.Join(sets(locals), " ") + strings.Repeat(" end", blocks) + " call $f " + gets(locals)
	return wasmtest.Module{Pages: 1, Globals: 1, Funcs: []wasmtest.Func{{Name: "f", Locals: fmt.Sprintf("%d*i64", locals), Code: code}}}
}
