package meter

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/tetratelabs/wazero"
	"github.com/tetratelabs/wazero/api"

	"github.com/octostore/octostore/hooks/wasmtest"
)

var (
	searchGuests = flag.Int("torture.guests", 40, "hostile guests to make")
	searchSeed   = flag.Int64("torture.seed", 1, "where the seeds begin")
)

// hostPrice is what the host takes for a call in the search, as for those it offers.
const hostPrice = 500

// made is code at random that is meant to take much time for little fuel.
type made struct{ *rand.Rand }

// work is a piece that leaves the stack as it was. The local 0 is a pointer into the
// memory that setup of [chase] has prepared, the local 1 a number.
func (m made) work() string {
	n := 1 + m.IntN(60)
	switch m.IntN(10) {
	case 0, 1:
		return "local.get 0 " + strings.Repeat("i32.load ", n) + "local.set 0"
	case 2:
		return strings.Repeat("local.get 1 i32.const 3 i32.or local.get 1 i32.const 1 i32.or i32.rem_s local.set 1 ", n/4+1)
	case 3:
		return fmt.Sprintf("local.get 0 local.get 0 i32.const %d memory.copy", 1<<m.IntN(14))
	case 4:
		return fmt.Sprintf("i32.const %d i32.const 0 i32.const %d memory.fill", 1<<20, m.IntN(4096))
	case 5:
		return "block block block local.get 1 br_table 2 0 1 2 end " + m.load() + " end end local.get 1 i32.const 1664525 i32.mul i32.const 1013904223 i32.add local.set 1"
	case 6:
		return strings.Repeat("call $host ", n/20+1)
	case 7:
		return strings.Repeat("local.get 0 i32.load local.get 1 i32.const 0x3ffffc i32.and i32.store ", n/8+1)
	case 8:
		return "i32.const 0 memory.grow drop"
	}
	return strings.Repeat("call $_leaf ", n/10+1)
}

func (m made) load() string { return "local.get 0 i32.load local.set 0" }

// shape puts work around a recursion, a loop, or both; that is what unwinds.
func (m made) shape() string {
	call := []string{"call $_f", "i32.const 0 call_indirect ->", "i32.const 1 call_indirect ->"}[m.IntN(3)]
	deeper := "global.get 0 i64.const 1 i64.sub global.set 0 global.get 0 i64.const 0 i64.gt_s if " + call + " end "
	piece := func() string {
		switch m.IntN(4) {
		case 0:
			return "local.get 1 if " + m.work() + " else " + m.work() + " end "
		case 1:
			return "block local.get 1 br_if 0 " + m.work() + " end " + m.work() + " "
		}
		return m.work() + " "
	}
	var code strings.Builder
	at := m.IntN(3)
	for i := range 1 + m.IntN(6) {
		if i == at {
			code.WriteString(deeper)
		}
		code.WriteString(piece())
	}
	if m.IntN(3) == 0 {
		return code.String() + deeper + "loop " + piece() + " global.get 0 i64.const 1 i64.and i64.eqz br_if 0 end "
	}
	return code.String()
}

// hostileAtRandom is a module that a seed makes.
func hostileAtRandom(seed int64) wasmtest.Module {
	m := made{rand.New(rand.NewPCG(uint64(seed), 0))}
	c := chase("i32.load ")
	start := "i32.const 64 local.set 0 i32.const 12345 local.set 1 "
	return wasmtest.Module{
		Imports: []wasmtest.Import{{Module: "host", Name: "host"}}, Pages: c.Pages, Most: c.Pages, Globals: 1, Table: 2, Elem: []string{"_f", "_g"},
		Funcs: []wasmtest.Func{
			c.Funcs[0],
			{Name: "f", Type: "i64", Code: "loop local.get 0 global.set 0 call $_f br 0 end"},
			{Name: "_f", Locals: fmt.Sprintf("2*i32 %d*i64", m.IntN(300)), Code: start + m.shape()},
			{Name: "_g", Locals: "2*i32", Code: start + m.shape()},
			{Name: "_leaf", Locals: "2*i32", Code: start + m.load()},
		},
	}
}

// newSearched makes an instance beside a host function that takes its price.
func newSearched(t *testing.T, m wasmtest.Module) guest {
	t.Helper()
	metered, err := Instrument(wasmtest.Assemble(m), Config{MaxPages: 257})
	if err != nil {
		t.Fatal(err)
	}
	ctx := context.Background()
	rt := wazero.NewRuntimeWithConfig(ctx, wazero.NewRuntimeConfig().WithMemoryCapacityFromMax(true))
	t.Cleanup(func() { rt.Close(ctx) })
	pay := func(_ context.Context, m api.Module, _ []uint64) {
		fuel := m.ExportedGlobal(Global).(api.MutableGlobal)
		left := int64(fuel.Get()) - hostPrice
		if fuel.Set(uint64(left)); left < 0 {
			panic(errors.New("out of fuel"))
		}
	}
	if _, err := rt.NewHostModuleBuilder("host").NewFunctionBuilder().WithGoModuleFunction(api.GoModuleFunc(pay), nil, nil).Export("host").Instantiate(ctx); err != nil {
		t.Fatal(err)
	}
	module, err := rt.InstantiateWithConfig(ctx, metered, wazero.NewModuleConfig().WithStartFunctions())
	if err != nil {
		t.Fatal(err)
	}
	g := guest{module, module.ExportedGlobal(Global).(api.MutableGlobal)}
	if _, _, err := g.call("setup", 1<<40); err != nil {
		t.Fatal(err)
	}
	return g
}

// took returns the least time of some calls with so much fuel, and the most that was
// left below zero. A call that has used up its stack ends earlier.
func (g guest) took(t *testing.T, fuel int64, args ...uint64) (best time.Duration, below int64) {
	best = time.Hour
	stack := g.module.ExportedGlobal(Stack).(api.MutableGlobal)
	for range 3 {
		stack.Set(MaxStack)
		began := time.Now()
		left, _, err := g.call("f", fuel, args...)
		best = min(best, time.Since(began))
		if err == nil || left >= 0 && int64(stack.Get()) >= 0 {
			t.Fatalf("it ended with %d left: %v", left, err)
		}
		below = max(below, -left)
	}
	return best, below
}

// Guests that are made at random to take much time for their fuel take no more for a unit
// than some times what following pointers does on the same machine, and overdraw no more
// than is promised.
func TestSearchForHostileGuests(t *testing.T) {
	if testing.Short() {
		t.Skip("nothing runs beside it that the race detector could see")
	}
	const fuel = 500_000
	const most = 4 // times the pointers
	pointers := newGuest(t, chase("i32.load "), Config{})
	if _, _, err := pointers.call("setup", 1<<40); err != nil {
		t.Fatal(err)
	}
	type found struct {
		seed  int64
		ratio float64
	}
	var all []found
	for i := range int64(*searchGuests) {
		seed := *searchSeed + i
		m := hostileAtRandom(seed)
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			g := newSearched(t, m)
			largest := largestRegion(t, m) + hostPrice
			depths := []uint64{1, 100, 5000}
			ratio := 0.0
			for _, depth := range depths {
				for range 5 { // a machine that is busy with other things is no fault of the guest
					unit, _ := pointers.took(t, fuel)
					took, below := g.took(t, fuel, depth)
					if limit := fuel + maxUnchecked + largest; below > limit {
						t.Errorf("depth %d: it ended %d below zero, more than %d", depth, below, limit)
					}
					ratio = float64(took) / float64(unit)
					if ratio <= most {
						break
					}
				}
				all = append(all, found{seed, ratio})
				if ratio > most {
					t.Errorf("depth %d: a unit takes %.1f times what it takes to follow pointers", depth, ratio)
				}
			}
		})
	}
	slices.SortFunc(all, func(a, b found) int { return int(1000 * (b.ratio - a.ratio)) })
	unit, _ := pointers.took(t, fuel)
	t.Logf("pointers take %.1f ns a unit; the slowest of %d guests %.2f times as long (seed %d)", float64(unit)/fuel, *searchGuests, all[0].ratio, all[0].seed)
}
