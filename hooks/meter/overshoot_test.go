package meter

import (
	"fmt"
	"strings"
	"testing"

	"github.com/octostore/octostore/hooks/wasmtest"
)

// unwinding is a guest that recurses so deep that its fuel is nearly used up, and works
// on the way back: work is what each frame does then. The global 0 counts the depth.
func unwinding(work string) wasmtest.Module {
	return wasmtest.Module{Pages: 1, Globals: 1, Funcs: []wasmtest.Func{
		{Name: "_down", Code: "global.get 0 i64.const 1 i64.sub global.set 0 global.get 0 i64.const 0 i64.ne if call $_down end " + work},
		{Name: "f", Type: "i32", Code: "local.get 0 i64.extend_i32_u global.set 0 call $_down"},
	}}
}

// The fuel below zero at the end says how much was spent unseen. It is bounded: by what
// entering the functions on the stack has cost, which is at most the fuel there was, by
// what a function that calls none may spend, and by the price of the one region that is
// paid and not run because of the trap.
func TestFuelIsNotOverdrawnByMoreThanThereWas(t *testing.T) {
	loads := strings.Repeat("i32.const 0 i32.load drop ", 500)
	few := strings.Repeat("i32.const 0 i32.load drop ", 10)
	indirect := wasmtest.Module{Table: 1, Elem: []string{"_down"}, Pages: 1, Globals: 1, Funcs: []wasmtest.Func{
		{Name: "_down", Code: "global.get 0 i64.const 1 i64.sub global.set 0 global.get 0 i64.const 0 i64.ne if i32.const 0 call_indirect -> end " + loads},
		{Name: "f", Type: "i32", Code: "local.get 0 i64.extend_i32_u global.set 0 call $_down"},
	}}
	leaf := unwinding("call $_leaf " + few)
	leaf.Funcs = append(leaf.Funcs, wasmtest.Func{Name: "_leaf", Code: loads[:len(loads)/2]})
	for name, m := range map[string]wasmtest.Module{
		"loads":       unwinding(loads),
		"few loads":   unwinding(few),
		"pieces":      unwinding(strings.Repeat("block global.get 0 i64.const 7 i64.eq br_if 0 "+few+" end ", 40)),
		"branches":    unwinding(strings.Repeat("global.get 0 i64.const 7 i64.ne if "+few+" else "+few+few+" end ", 40)),
		"tables":      unwinding(strings.Repeat("block block i32.const 1 br_table 1 0 1 end "+few+" end ", 40)),
		"after loops": unwinding("loop " + few + " end " + loads),
		"indirectly":  indirect,
		"with a leaf": leaf,
	} {
		t.Run(name, func(t *testing.T) {
			g := newGuest(t, m, Config{open: true}) // with a stack that is deep enough
			largest := largestRegion(t, m)
			for _, depth := range []uint64{1, 10, 300, 3000} {
				const much = 1 << 40
				left, _, err := g.call("f", much, depth)
				if err != nil {
					t.Fatal(err)
				}
				total := much - left
				for part := range int64(20) {
					fuel := total * (part + 1) / 20
					left, _, _ := g.call("f", fuel, depth)
					if most := fuel + maxUnchecked + largest; -left > most {
						t.Errorf("depth %d: with %d of %d it ended %d below zero, more than %d", depth, fuel, total, -left, most)
					}
				}
			}
		})
	}
}

// largestRegion is the highest price that is paid at once in a module.
func largestRegion(t testing.TB, m wasmtest.Module) int64 {
	t.Helper()
	w := newRewriter(Config{MaxPages: 256})
	w.rewrite(wasmtest.Assemble(m))
	return w.largest
}

// What a function that calls others may spend unseen follows from the price of its
// entry, however large it is.
func TestCallersAreCheckedMoreOften(t *testing.T) {
	piece := strings.Repeat("i32.const 0 i32.load drop ", 50)
	body := strings.Repeat("global.get 0 i64.eqz if "+piece+" end ", 5)
	checks := func(code string) int {
		m := wasmtest.Module{Pages: 1, Globals: 1, Funcs: []wasmtest.Func{{Name: "f", Code: code}, {Name: "_g"}}}
		metered, err := Instrument(wasmtest.Assemble(m), Config{})
		if err != nil {
			t.Fatal(err)
		}
		// i64.const 0, i64.lt_s, if, unreachable, end
		return strings.Count(string(metered), "\x42\x00\x53\x04\x40\x00\x0b")
	}
	// The entry of a function has a check of another form, for the stack too.
	if got := checks(body); got != 0 {
		t.Errorf("a function that calls none has %d checks after its entry, want none", got)
	}
	if got := checks("call $_g " + body); got < 4 {
		t.Errorf("a function that calls has %d checks after its entry, want one for each piece", got)
	}
}

func TestRemaindersAreComputedAnotherWay(t *testing.T) {
	g := map[string]guest{}
	for _, op := range []string{"i32.rem_s", "i32.rem_u", "i64.rem_s", "i64.rem_u"} {
		typ := op[:3]
		m := function(fmt.Sprintf("%s %s -> %s", typ, typ, typ), "", "local.get 0 local.get 1 "+op)
		m.Globals = 1
		g[op] = newGuest(t, m, Config{})
		g[op+" rewritten"] = newGuest(t, m, Config{RewriteRemainders: true})
		metered, err := Instrument(wasmtest.Assemble(m), Config{RewriteRemainders: true})
		if err != nil {
			t.Fatal(err)
		}
		if strings.Contains(string(metered), string([]byte{0x20, 0, 0x20, 1, opcodeOf(op)})) {
			t.Errorf("%s is still there", op)
		}
	}
	numbers := []int64{0, 1, -1, 2, 3, -3, 7, 10, 1 << 31, -1 << 31, 1<<31 - 1, 1 << 32, 1<<63 - 1, -1 << 63, 12345, -98765}
	for op, plain := range g {
		rewritten, is := g[op+" rewritten"]
		if !is {
			continue
		}
		mask := uint64(1<<32 - 1)
		if op[:3] == "i64" {
			mask = 1<<64 - 1
		}
		for _, a := range numbers {
			for _, b := range numbers {
				x, y := uint64(a)&mask, uint64(b)&mask
				left, want, wantErr := plain.call("f", 1000, x, y)
				left2, got, err := rewritten.call("f", 1000, x, y)
				if kindOf(err) != kindOf(wantErr) || len(got) > 0 && got[0] != want[0] || left != left2 {
					t.Errorf("%s of %d and %d: %d, %v, %d left; want %d, %v, %d left", op, a, b, got, err, left2, want, wantErr, left)
				}
			}
		}
	}
}

func opcodeOf(name string) byte {
	return map[string]byte{"i32.rem_s": opI32RemS, "i32.rem_u": opI32RemU, "i64.rem_s": opI64RemS, "i64.rem_u": opI64RemU}[name]
}

// Remainders and bulk operations use locals of the meter in the same function.
func TestRewrittenRemaindersKeepOutOfTheWayOfBulkOperations(t *testing.T) {
	code := "i32.const 0 i32.const 77 i32.const 100 memory.fill local.get 0 i32.const 10 i32.rem_s i64.extend_i32_s " +
		"i64.const -17 i64.const 5 i64.rem_s i64.add i32.const 3 i32.const 0 i32.const 2 memory.copy i64.const 100 i64.const 7 i64.rem_u i64.add"
	g := newGuest(t, function("i32 -> i64", "i64 i32", code), Config{RewriteRemainders: true})
	if _, got, err := g.call("f", 10_000, 123); err != nil || got[0] != 3 {
		t.Errorf("got %v, %v, want 3 - 2 + 2", got, err)
	}
}
