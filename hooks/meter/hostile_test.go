package meter

import (
	"flag"
	"os"
	"runtime"
	"runtime/metrics"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/tetratelabs/wazero/api"

	"github.com/octostore/octostore/hooks/wasmtest"
)

var budget = flag.Int64("budget", 2_000_000, "fuel of the hostile guests")

// hostile are guests that want to run for ever, or to use up all there is.
func hostile() map[string]wasmtest.Module {
	deep := strings.Repeat("block ", 2000) + "br 1999 " + strings.Repeat("end ", 2000)
	table := "loop local.get 0 i32.const 1664525 i32.mul i32.const 1013904223 i32.add local.tee 0 i32.const 16 i32.shr_u i32.const 15 i32.and " +
		"br_table 15 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 end"
	return map[string]wasmtest.Module{
		"endless loop":               function("", "", "loop br 0 end"),
		"endless recursion":          function("", "", "call $f"),
		"recursion that keeps much":  recursion(2000, "global.get 0 ", "i64.xor "),
		"exponential calls":          {Funcs: []wasmtest.Func{{Name: "f", Code: "call $f call $f"}}},
		"mutual recursion":           {Funcs: []wasmtest.Func{{Name: "f", Code: "call $_g call $_g"}, {Name: "_g", Code: "call $f"}}},
		"indirect calls":             {Table: 1, Elem: []string{"f"}, Funcs: []wasmtest.Func{{Name: "f", Code: "loop i32.const 0 call_indirect -> br 0 end"}}},
		"huge frames":                function("i64", "4000*i64", strings.Repeat("global.get 0 local.set 7 ", 0)+"local.get 0 call $f"),
		"frames of an unused branch": unusedBranch(),
		"growing":                    memory("", "loop i32.const 1 memory.grow drop br 0 end"),
		"growing by much":            memory("", "loop i32.const 70000 memory.grow drop br 0 end"),
		"growing tables":             {Table: 1, Funcs: []wasmtest.Func{{Name: "f", Code: "loop ref.null funcref i32.const 1 table.grow drop br 0 end"}}},
		"filling":                    memory("", "i32.const 240 memory.grow drop loop i32.const 0 i32.const 7 i32.const 15000000 memory.fill br 0 end"),
		"copying":                    memory("", "i32.const 240 memory.grow drop loop i32.const 7000000 i32.const 0 i32.const 7000000 memory.copy br 0 end"),
		"copying little":             memory("", "loop i32.const 70 i32.const 0 i32.const 63 memory.copy br 0 end"),
		"chasing pointers":           chase("i32.load "),
		"touching pages":             memory("i32", "i32.const 255 memory.grow drop loop local.get 0 i32.const 4096 i32.add i32.const 0xffffff i32.and local.tee 0 i32.const 1 i32.store br 0 end"),
		"branch table":               function("i32", "", table),
		"deep blocks":                function("", "", "loop "+deep+" br 0 end"),
		"division":                   function("", "i64", "loop i64.const -1 local.get 0 i64.const 3 i64.or i64.div_u local.set 0 br 0 end"),
		"roots":                      function("", "f64", "loop local.get 0 f64.sqrt f64.sqrt f64.const 1e300 f64.add local.set 0 br 0 end"),
		"rounding":                   function("", "f32", "loop local.get 0 f32.nearest f32.floor f32.const 1.5 f32.add local.set 0 br 0 end"),
		"mispredicted branches":      function("", "i32", "loop local.get 0 i32.const 1664525 i32.mul i32.const 1013904223 i32.add local.tee 0 i32.const 0 i32.lt_s br_if 0 br 0 end"),
	}
}

func memory(locals, code string) wasmtest.Module {
	return wasmtest.Module{Pages: 1, Funcs: []wasmtest.Func{{Name: "f", Locals: locals, Code: code}}}
}

// recursion makes a function that keeps n values over the call of itself.
func recursion(n int, make, use string) wasmtest.Module {
	return wasmtest.Module{Globals: 1, Funcs: []wasmtest.Func{{Name: "f", Code: strings.Repeat(make, n) + "call $f " + strings.Repeat(use, n-1) + "global.set 0"}}}
}

// unusedBranch makes a function whose frame is large for the sake of a branch it never
// takes.
func unusedBranch() wasmtest.Module {
	const n = 5000
	code := "global.get 0 i64.const 1 i64.eq if " + strings.Repeat("global.get 0 ", n) + "call $f " + strings.Repeat("i64.xor ", n-1) + "global.set 0 end call $f"
	return wasmtest.Module{Globals: 1, Funcs: []wasmtest.Func{{Name: "f", Code: code}}}
}

// chase makes a function that follows pointers through 16 MiB, each in a cache line of
// its own, in an order that takes all of them before it comes back.
func chase(load string) wasmtest.Module {
	return wasmtest.Module{Pages: 256, Funcs: []wasmtest.Func{
		{Name: "setup", Locals: "i32", Code: `loop
			local.get 0 i32.const 6 i32.shl
			local.get 0 i32.const 1103515245 i32.mul i32.const 12345 i32.add i32.const 0x3ffff i32.and i32.const 6 i32.shl
			i32.store
			local.get 0 i32.const 1 i32.add local.tee 0 i32.const 0x40000 i32.lt_u br_if 0 end`},
		{Name: "f", Locals: "i32", Code: "loop local.get 0 " + strings.Repeat(load, 64) + " local.set 0 br 0 end"},
	}}
}

// Every hostile guest is stopped, soon and within its memory. What the garbage
// collector waits for is at most the time of one call.
func TestHostileGuestsEnd(t *testing.T) {
	const most = 100 * time.Millisecond // on a machine that is not busy with other things
	for name, m := range hostile() {
		t.Run(name, func(t *testing.T) {
			g := newGuest(t, m, Config{MaxPages: 256})
			if f := g.module.ExportedFunction("setup"); f != nil {
				if _, _, err := g.call("setup", 1<<40); err != nil {
					t.Fatal(err)
				}
			}
			args := make([]uint64, len(g.module.ExportedFunction("f").Definition().ParamTypes()))
			runtime.GC()
			before := resident(t)
			best := time.Hour
			stack := g.module.ExportedGlobal(Stack).(api.MutableGlobal)
			for range 3 { // the first call may have memory to get
				stack.Set(MaxStack)
				start := time.Now()
				left, _, err := g.call("f", *budget, args...)
				best = min(best, time.Since(start))
				if err == nil || left >= 0 && int64(stack.Get()) >= 0 {
					t.Fatalf("it ended with %d left: %v", left, err)
				}
			}
			grown := resident(t) - before
			t.Logf("%s: %v, %.2f ns for a unit, %d MiB", name, best, float64(best.Nanoseconds())/float64(*budget), grown>>20)
			if grown > 16<<20+64<<20 {
				t.Errorf("it took %d MiB", grown>>20)
			}
			if best > 10*most {
				t.Errorf("it took %v", best)
			}
		})
	}
}

// A goroutine that stops the world waits for running guests, but not for longer than a
// call of each: all run at the same time, and on fewer CPUs than guests the last one ends
// when all have used up their fuel.
func TestWorldIsNotStoppedForLong(t *testing.T) {
	for _, guests := range []int{1, 4} {
		t.Run(strconv.Itoa(guests), func(t *testing.T) {
			defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(max(guests, runtime.GOMAXPROCS(0))))
			stop, collection, call := stopped(t, guests)
			t.Logf("%d guests: the world was stopped for at most %v, a collection took at most %v, a call %v", guests, stop, collection, call)
			if stop > 3*call+200*time.Millisecond { // the machine may be busy with other things
				t.Errorf("the world was stopped for %v", stop)
			}
		})
	}
}

// stopped returns for how long the world was stopped, and how long the slowest collection
// and the slowest call took, while so many guests used up their fuel again and again.
func stopped(t *testing.T, guests int) (stop, collection, call time.Duration) {
	const calls = 20 // of each
	var slowest atomic.Int64
	var running sync.WaitGroup
	var ready []guest
	for range guests {
		g := newGuest(t, chase("i32.load "), Config{MaxPages: 256})
		if _, _, err := g.call("setup", 1<<40); err != nil {
			t.Fatal(err)
		}
		ready = append(ready, g)
	}
	before := pauses()
	done := make(chan struct{})
	for _, g := range ready {
		running.Go(func() {
			for range calls {
				start := time.Now()
				_, _, _ = g.call("f", *budget)
				took := int64(time.Since(start))
				for was := slowest.Load(); took > was && !slowest.CompareAndSwap(was, took); was = slowest.Load() {
				}
			}
		})
	}
	go func() {
		running.Wait()
		close(done)
	}()
	for {
		start := time.Now()
		runtime.GC()
		collection = max(collection, time.Since(start))
		select {
		case <-done:
			return longest(before, pauses()), collection, time.Duration(slowest.Load())
		default:
		}
	}
}

// pauses returns how often the world was stopped for the collector, by how long.
func pauses() *metrics.Float64Histogram {
	s := []metrics.Sample{{Name: "/sched/pauses/total/gc:seconds"}}
	metrics.Read(s)
	h := s[0].Value.Float64Histogram()
	return &metrics.Float64Histogram{Counts: slices.Clone(h.Counts), Buckets: h.Buckets}
}

// longest returns the lower bound of the longest pause between two looks.
func longest(before, after *metrics.Float64Histogram) time.Duration {
	for i := len(after.Counts) - 1; i >= 0; i-- {
		if after.Counts[i] > before.Counts[i] {
			return time.Duration(max(0, after.Buckets[i]) * float64(time.Second))
		}
	}
	return 0
}

// resident returns the memory of this process that is in RAM, 0 where the system does not tell.
func resident(t *testing.T) int {
	text, err := os.ReadFile("/proc/self/statm")
	if err != nil {
		return 0
	}
	pages, err := strconv.Atoi(strings.Fields(string(text))[1])
	if err != nil {
		t.Fatal(err)
	}
	return pages * os.Getpagesize()
}
