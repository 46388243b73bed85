package hooks

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/octostore/octostore/hooks/internal/guest"
	"github.com/octostore/octostore/hooks/internal/manifest"
	"github.com/octostore/octostore/hooks/wasmtest"
)

// tires answers once, and loops for ever then, if more than an hour is asked for at once.
var tires = check(at("ttl_ms") + "call $get_i64 i64.const 3600000 i64.gt_s if loop br 0 end end " +
	"global.get 0 i64.const 1 i64.add global.set 0 global.get 0 i64.const 1 i64.gt_s if loop br 0 end end i32.const 0")

// alone ends the goroutine that makes instances aside, so that a test sees what requests do.
func alone(host *Host) *policy {
	host.engine.starter.close()
	return host.current().policies[0]
}

// A shadow policy costs a request its fuel: no instance is made, and a call is not
// repeated on a fresh one, while a request waits.
func TestShadowNeverCostsMoreThanItsFuel(t *testing.T) {
	h := newHouse(t)
	for name, module := range map[string][]byte{"fails": fails, "tires": tires} {
		h.write(name+".wasm", module)
		host := h.open(entry(name, `"mode":"shadow"`, `"fuel":1000000`))
		p := alone(host)
		if name == "tires" {
			if got := said(host.Judge(t.Context(), failing(false))); got != "yes" {
				t.Errorf("got %s", got)
			}
		}
		starts := p.measures.starts.Load()
		for n, want := range []string{map[string]string{"fails": "trap", "tires": guest.OutOfFuel}[name], starting, starting} {
			before := p.fuelUsed.Load()
			v, err := host.Judge(t.Context(), failing(true))
			if err != nil || v.Verdicts[0].Reason != want {
				t.Errorf("%s, call %d: got %+v, %v; want an error of kind %s", name, n, v.Verdicts, err, want)
			}
			if used := p.fuelUsed.Load() - before; used > 1_000_000 {
				t.Errorf("%s, call %d: it used %d", name, n, used)
			}
		}
		if made := p.measures.starts.Load() - starts; made != 0 {
			t.Errorf("%s: requests made %d instances", name, made)
		}
	}
}

// The first call of an instance has no more fuel in shadow mode than any other.
func TestFirstCallOfAnInstanceMayUseMore(t *testing.T) {
	h := newHouse(t)
	h.write("p.wasm", loops)
	for mode, want := range map[manifest.Mode]uint64{manifest.Enforce: 1_000_000 + manifest.FirstCallFuel, manifest.Shadow: 1_000_000} {
		host := h.open(entry("p", fmt.Sprintf(`"mode":%q`, mode), `"fuel":1000000`))
		v, _ := host.Judge(t.Context(), question("a"))
		if used := host.Policies()[0].FuelUsed; used != want || v.Verdicts[0].Reason != guest.OutOfFuel {
			t.Errorf("%s: it used %d, want %d; %+v", mode, used, want, v.Verdicts)
		}
	}
}

// The most a request pays for an enforcing policy: its fuel on an instance that is used,
// a start, and its fuel on a fresh one with what a first call may use more.
func TestEnforcingCostsOneStartAtMost(t *testing.T) {
	h := newHouse(t)
	h.write("p.wasm", tires)
	host := h.open(entry("p", `"fuel":1000000`))
	p := alone(host)
	for n := range 3 {
		if got := said(host.Judge(t.Context(), failing(false))); got != "yes" {
			t.Errorf("got %s", got)
		}
		starts, used := p.measures.starts.Load(), p.fuelUsed.Load()
		if got := said(host.Judge(t.Context(), failing(true))); got != "p error; error of p" {
			t.Errorf("got %s", got)
		}
		starts, used = p.measures.starts.Load()-starts, p.fuelUsed.Load()-used
		if starts != 1 || used != 2*1_000_000+manifest.FirstCallFuel {
			t.Errorf("round %d: %d starts and %d of fuel", n, starts, used)
		}
	}
}

// The start section, _initialize and configure have one budget together.
func TestStartsHaveOneBudget(t *testing.T) {
	start := 0
	module := func(rounds int) []byte {
		code := fmt.Sprintf("i64.const 0 local.set 0 loop local.get 0 i64.const 1 i64.add local.set 0 local.get 0 i64.const %d i64.lt_s br_if 0 end ", rounds)
		m := guestOf(
			wasmtest.Func{Name: "_s", Locals: "i64", Code: code},
			wasmtest.Func{Name: "_initialize", Locals: "i64", Code: code},
			wasmtest.Func{Name: "configure", Type: "-> i32", Locals: "i64", Code: code + "i32.const 0"},
			wasmtest.Func{Name: "check", Type: "-> i32", Code: "i32.const 0"},
		)
		m.Start = &start
		return wasmtest.Assemble(m)
	}
	h := newHouse(t)
	h.write("p.wasm", module(10_000))
	p := alone(h.open(entry("p")))
	i, f := p.instantiate()
	if f != nil {
		t.Fatal(f)
	}
	defer p.discard(i)
	each := (guest.LoadFuel - i.Left()) / 3 / 10_000 // of a round
	for _, tt := range []struct {
		budgets float64 // that the three use together
		want    string
	}{{0.9, ""}, {1.1, fmt.Sprintf("%d units of a start", guest.LoadFuel)}} {
		h.write("p.wasm", module(int(tt.budgets*guest.LoadFuel/3/float64(each))))
		host, err := Open(t.Context(), Config{Manifest: h.manifest(entry("p"))})
		if err == nil {
			host.Close()
		}
		if (err == nil) != (tt.want == "") || err != nil && !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%v of the budget: got %v, want %q", tt.budgets, err, tt.want)
		}
	}
}

// An instance that was started in the background serves the next request, in every mode.
func TestReplacementsStartInTheBackground(t *testing.T) {
	for _, mode := range []manifest.Mode{manifest.Enforce, manifest.Shadow} {
		h := newHouse(t)
		h.write("p.wasm", fails)
		host := h.open(entry("p", fmt.Sprintf(`"mode":%q`, mode)))
		p := host.current().policies[0]
		_, _ = host.Judge(t.Context(), failing(true))
		for deadline := time.Now().Add(10 * time.Second); p.measures.live.Load() == 0; time.Sleep(time.Millisecond) {
			if time.Now().After(deadline) {
				t.Fatalf("%s: no instance is made", mode)
			}
		}
		if got := said(host.Judge(t.Context(), failing(false))); got != "yes" {
			t.Errorf("%s: got %s", mode, got)
		}
		if n := p.measures.starts.Load(); n != 2 {
			t.Errorf("%s: %d instances were made, want 2", mode, n)
		}
	}
}

// A guest that fails on one request in two never opens the breaker; what goes into its
// instances is bounded all the same.
func TestStartBudgetBoundsStarts(t *testing.T) {
	h := newHouse(t)
	h.write("p.wasm", fails)
	p := alone(h.open(entry("p")))
	p.startBudget = &startBudget{balance: 1, at: time.Now()}
	starts := p.measures.starts.Load()
	kinds := map[string]int{}
	for n := range 20 {
		for _, yes := range []bool{false, true} {
			j := newJudgement(failing(yes))
			if o := p.ask(t.Context(), j); o.Fault != nil {
				kinds[o.Fault.Kind]++
			}
			j.freeSlot()
		}
		if n == 0 {
			p.startBudget.spend(time.Now(), time.Hour) // the next start would be in four hours
		}
	}
	if made := p.measures.starts.Load() - starts; made > 1 || kinds["trap"] > 2 || kinds[starting] < 36 {
		t.Errorf("%d instances were made; %v", made, kinds)
	}
	if p.breaker.isOpen() {
		t.Error("a missing instance counts as a failure")
	}
}

func TestStartBudget(t *testing.T) {
	begin := time.Now()
	at := func(s float64) time.Time { return begin.Add(time.Duration(s * float64(time.Second))) }
	p := newStartBudget(2)
	p.at = begin
	for _, step := range []struct {
		at, took, wait float64 // in s; wait is what comes before the start
	}{
		{0, 100, 0}, {0, 100, 0}, // those to begin with are not counted
		{0, 0.5, 0}, {0, 0.6, 0}, // of the second that is saved, and beyond
		{0, 0, 0.4}, {0.2, 0, 0.2}, {0.5, 1, 0}, // a quarter of the time
		{4, 0, 0.4}, {5, 0, 0},
		{1000, 2, 0}, {1000, 0, 4}, // no more than a second is saved
		{900, 0, 4}, // a clock that goes back earns nothing
	} {
		wait := p.wait(at(step.at))
		if d := wait.Seconds() - step.wait; d > 0.001 || d < -0.001 {
			t.Errorf("at %v s the wait is %v, want %v s", step.at, wait, step.wait)
		}
		if step.took > 0 {
			p.spend(at(step.at), time.Duration(step.took*float64(time.Second)))
		}
	}
}

// Instances that are being made aside keep the module of a set that is closed meanwhile.
func TestBackgroundStartsOutliveTheirSet(t *testing.T) {
	h := newHouse(t)
	h.write("p.wasm", fails)
	policies := []string{entry("p"), strings.Replace(entry("p", `"mode":"shadow"`), `"p"`, `"q"`, 1)}
	host := h.open(policies...)
	stop := make(chan struct{})
	var all sync.WaitGroup
	for range 3 {
		all.Go(func() {
			for n := 0; ; n++ {
				select {
				case <-stop:
					return
				default:
				}
				v, err := host.Judge(context.Background(), failing(n%2 == 0))
				for _, r := range v.Verdicts {
					if r.Reason == "start" {
						t.Errorf("it cannot start: %v", err)
						return
					}
				}
			}
		})
	}
	for range 50 {
		if _, err := host.Reload(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	close(stop)
	all.Wait()
}
