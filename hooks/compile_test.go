package hooks

import (
	"context"
	"errors"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// A module that cannot be compiled within its limits is a clear error, at a start and at a
// reload, which changes nothing.
func TestCompileLimitNamesThePolicyAndItsModule(t *testing.T) {
	h := newCachedHouse(t, entry("p"))
	h.write("p.wasm", denies)
	h.write("q.wasm", check("nop i32.const 0"))
	compile, limited := h.cfg.Compile, false
	h.cfg.Compile = func(ctx context.Context, dir string, module []byte) error {
		if limited {
			return errors.New("compiling it took more than 30s")
		}
		return compile(ctx, dir, module)
	}
	host, err := Open(t.Context(), h.cfg)
	if err != nil {
		t.Fatal(err)
	}
	defer host.Close()
	limited = true
	h.manifest(entry("p"), entry("q"))
	want := "policy q: module " + filepath.Join(h.dir, "q.wasm") + ": compiling it took more than 30s"
	if _, err := host.Reload(t.Context()); err == nil || !strings.Contains(err.Error(), want) {
		t.Errorf("the reload says %v, want %q", err, want)
	}
	if got := said(host.Judge(t.Context(), question("a"))); got != deniesAll {
		t.Errorf("after the reload: %s", got)
	}
	if _, err := Open(t.Context(), h.cfg); err == nil || !strings.Contains(err.Error(), want) {
		t.Errorf("the start says %v, want %q", err, want)
	}
	in, err := Inspect(t.Context(), check("nop nop i32.const 0"), TrialConfig{Compile: h.cfg.Compile})
	if err != nil || len(in.Refused) != 1 || in.Refused[0] != "compiling it took more than 30s" {
		t.Errorf("%+v, %v", in, err)
	}
	limited = false
	if _, err := host.Reload(t.Context()); err != nil {
		t.Error(err)
	}
}

// A reload compiles changed modules and keeps the rest. It closes modules without a policy.
func TestReloadKeepsWhatIsUnchanged(t *testing.T) {
	h := newCachedHouse(t, entry("p"), `{"name":"again","module":"p.wasm","match":["**"]}`, entry("q"))
	h.write("p.wasm", denies)
	h.write("q.wasm", check("nop i32.const 0"))
	host, err := Open(t.Context(), h.cfg)
	if err != nil {
		t.Fatal(err)
	}
	modulesOf := func() (all []any) {
		for _, p := range host.current().policies {
			all = append(all, p.Compiled)
		}
		return all
	}
	before := modulesOf()
	if before[0] != before[1] || before[0] == before[2] || h.compiled.Load() != 2 {
		t.Errorf("%d modules were compiled, want one for each file", h.compiled.Load())
	}
	h.write("q.wasm", check("nop nop i32.const 0"))
	if _, err := host.Reload(t.Context()); err != nil {
		t.Fatal(err)
	}
	if after := modulesOf(); after[0] != before[0] || after[1] != before[0] || after[2] == before[2] || h.compiled.Load() != 3 {
		t.Errorf("%d modules were compiled", h.compiled.Load())
	}
	if got := said(host.Judge(t.Context(), question("a"))); !strings.HasPrefix(got, "p deny; again deny; no of ") {
		t.Error(got)
	}
	if n := len(host.engine.modules.all); n != 2 {
		t.Errorf("there are %d modules, want those in use", n)
	}
	h.manifest(entry("p", `"memory_mib":8`)) // which the meter puts into the code
	if _, err := host.Reload(t.Context()); err != nil {
		t.Fatal(err)
	}
	if got := said(host.Judge(t.Context(), question("a"))); got != deniesAll || h.compiled.Load() != 4 {
		t.Errorf("%s after %d compilations", got, h.compiled.Load())
	}
	if err := host.Close(); err != nil {
		t.Error(err)
	}
	if n := len(host.engine.modules.all); n != 0 {
		t.Errorf("%d modules are left", n)
	}
}

// Modules are compiled at the same time, as many as there are processors.
func TestLoadCompilesInParallel(t *testing.T) {
	most := int64(runtime.NumCPU())
	if most < 2 {
		t.Skip("SKIP: there is one processor")
	}
	var entries []string
	for i := range 2*most + 1 {
		entries = append(entries, entry(string(rune('a'+i))))
	}
	h := newCachedHouse(t, entries...)
	for i := range entries {
		h.write(string(rune('a'+i))+".wasm", check(strings.Repeat("nop ", i)+"i32.const 0"))
	}
	var now, peak atomic.Int64
	all := make(chan struct{})
	var once sync.Once
	h.cfg.Compile = func(ctx context.Context, dir string, module []byte) error {
		n := now.Add(1)
		defer now.Add(-1)
		for seen := peak.Load(); n > seen && !peak.CompareAndSwap(seen, n); seen = peak.Load() {
		}
		if n == most {
			once.Do(func() { close(all) })
		}
		select {
		case <-all:
		case <-time.After(10 * time.Second):
			return errors.New("the others do not come")
		}
		return CompileInto(ctx, dir, module)
	}
	h.start(t)
	if got := peak.Load(); got != most {
		t.Errorf("%d were compiled at a time, want %d", got, most)
	}
}
