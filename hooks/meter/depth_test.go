package meter

import (
	"fmt"
	"reflect"
	"strings"
	"testing"
	"time"

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

func TestStackOfEndlessRecursionMeasured(t *testing.T) {
	for name, m := range deep() {
		for _, fuel := range []int64{10_000_000, 30_000_000} {
			g := newGuest(t, m, Config{})
			f := g.module.ExportedFunction("f")
			g.fuel.Set(uint64(fuel))
			begun := time.Now()
			_, err := f.Call(t.Context())
			took := time.Since(begun)
			n := stackOf(t, f)
			t.Logf("%-16s fuel %d: stack %d KiB, %.1f B a unit, %v, left %d %.60v", name, fuel, n>>10, float64(n)/float64(fuel), took, int64(g.fuel.Get()), err)
			g.module.Close(t.Context())
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
