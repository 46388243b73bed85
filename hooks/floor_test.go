package hooks

import (
	"context"
	"math"
	"strings"
	"testing"
	"time"

	"github.com/tetratelabs/wazero"
	"github.com/tetratelabs/wazero/api"

	"github.com/octostore/octostore/hooks/abi"
	"github.com/octostore/octostore/hooks/internal/guest"
	"github.com/octostore/octostore/hooks/internal/manifest"
	"github.com/octostore/octostore/hooks/meter"
)

// readsThree is the check of testdata/getters in WebAssembly text.
var readsThree = check(at("ttl_ms") + "call $get_i64 i64.const 3600000 i64.gt_s if i32.const 1 return end " +
	at("metadata.ticket") + "i32.const 500 i32.const 100 call $get drop " + at("lock.name") + "i32.const 500 i32.const 100 call $get drop i32.const 0")

// BenchmarkFloors measures what a call costs at least, in ns: a judgement of one policy
// (judge), asking the policy (ask), and the same metered module in the bare runtime, with
// host functions that do nothing (raw). The three take turns in rounds of a few hundred
// calls, and the fastest round of each counts, so that other programs on the machine
// matter little.
func BenchmarkFloors(b *testing.B) {
	for _, bm := range []struct {
		name   string
		module func() []byte
	}{
		{"empty", func() []byte { return allows }},
		{"wat", func() []byte { return readsThree }},
		{"go-sdk", func() []byte { return buildGo(b, "./testdata/getters") }},
		{"go-bare", func() []byte { return buildGo(b, "./testdata/bare") }},
	} {
		b.Run(bm.name, func(b *testing.B) {
			module := bm.module()
			h := newHouse(b)
			h.write("p.wasm", module)
			host := h.open(entry("p"))
			ask, raw := asking(b, host), bareCheck(b, module)
			q := question("prod/db")
			judge := func() {
				if _, err := host.Judge(context.Background(), q); err != nil {
					b.Fatal(err)
				}
			}
			fastest := [3]float64{math.Inf(1), math.Inf(1), math.Inf(1)}
			for b.Loop() {
				for i, f := range []func(){judge, ask, raw} {
					const each = 300
					begun := time.Now()
					for range each {
						f()
					}
					fastest[i] = min(fastest[i], float64(time.Since(begun).Nanoseconds())/each)
				}
			}
			b.ReportMetric(0, "ns/op") // of a round: says nothing
			b.ReportMetric(fastest[0], "judge-ns")
			b.ReportMetric(fastest[1], "ask-ns")
			b.ReportMetric(fastest[2], "raw-ns")
		})
	}
}

// bareCheck returns a call of a module's check, metered, in a runtime whose host functions
// give the same short answer to everything.
func bareCheck(b *testing.B, module []byte) func() {
	ctx := context.Background()
	rt := wazero.NewRuntimeWithConfig(ctx, wazero.NewRuntimeConfigCompiler().WithCoreFeatures(api.CoreFeaturesV2))
	b.Cleanup(func() { rt.Close(ctx) })
	metered, err := meter.Instrument(module, meter.Config{Fuel: guest.LoadFuel, MaxPages: 256})
	if err != nil {
		b.Fatal(err)
	}
	for name, functions := range guest.Functions() {
		builder := rt.NewHostModuleBuilder(name)
		for _, f := range functions {
			answer := api.GoModuleFunc(func(context.Context, api.Module, []uint64) {})
			switch {
			case f.Name == "clock_time_get": // Go does not start at time 0
				answer = func(_ context.Context, m api.Module, s []uint64) {
					m.Memory().WriteUint64Le(uint32(s[2]), 1e18)
					s[0] = 0 // success
				}
			case strings.HasPrefix(f.Name, "fd_"): // nor with folders that have no end
				answer = func(_ context.Context, _ api.Module, s []uint64) { s[0] = 8 } // EBADF
			case name == abi.Module && f.Results != "":
				answer = func(_ context.Context, _ api.Module, s []uint64) { s[0] = 5 }
			case f.Results != "":
				answer = func(_ context.Context, _ api.Module, s []uint64) { s[0] = 0 } // success
			}
			builder = builder.NewFunctionBuilder().WithGoModuleFunction(answer, f.ParamTypes(), f.ResultTypes()).Export(f.Name)
		}
		if _, err := builder.Instantiate(ctx); err != nil {
			b.Fatal(err)
		}
	}
	m, err := rt.InstantiateWithConfig(ctx, metered, wazero.NewModuleConfig().WithStartFunctions("_initialize"))
	if err != nil {
		b.Fatal(err)
	}
	fuel, f := m.ExportedGlobal(meter.Global).(api.MutableGlobal), m.ExportedFunction(abi.ExportCheck)
	var stack [1]uint64
	return func() {
		fuel.Set(manifest.DefaultFuel)
		if err := f.CallWithStack(ctx, stack[:]); err != nil || stack[0] != abi.Allow {
			b.Fatal(err, stack[0])
		}
	}
}

// asking returns a call of the first policy of a host without the judgement around it.
func asking(b *testing.B, host *Host) func() {
	p, r := host.current().policies[0], newJudgement(question("prod/db"))
	return func() {
		if o := p.ask(context.Background(), r); o.Fault != nil || o.Denies {
			b.Fatal(o)
		}
		r.freeSlot()
	}
}
