package hooks

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"testing"
	"time"
	"unicode"

	"github.com/octostore/octostore/hooks/wasmtest"
)

// The start section runs before anything else of an instance; what it has the host do
// costs the same as later.
func TestStartSectionPaysForHostFunctions(t *testing.T) {
	start := 1
	g := guestOf(
		wasmtest.Func{Name: "check", Type: "-> i32", Code: "i32.const 0"},
		// Each turn copies 60,000 bytes, for the price of a few instructions if the host is free.
		wasmtest.Func{Name: "_s", Code: "loop " + at("config") + "i32.const 200 i32.const 60000 call $get drop" +
			" global.get 0 i64.const 1 i64.add global.set 0 global.get 0 i64.const 50000 i64.lt_s br_if 0 end"},
	)
	g.Start = &start
	h := newHouse(t)
	h.write("p.wasm", wasmtest.Assemble(g))
	_, err := Open(t.Context(), Config{Manifest: h.manifest(entry("p", `"config":{"x":"`+strings.Repeat("x", 60_000)+`"}`))})
	if err == nil || !strings.Contains(err.Error(), "out of fuel") {
		t.Errorf("got %v, want it out of fuel", err)
	}
}

// The names of its functions are a module's own. Each trap has them in its trace, which
// goes into the log and the journal.
func TestNamesOfFunctionsDoNotFloodTheRecord(t *testing.T) {
	long := strings.Repeat("A\n\x1b[31m", 100_000)
	list := append(wasmtest.Uint(nil, 1), wasmtest.Uint(nil, uint64(len(imports)))...)
	list = append(list, wasmtest.Name(long)...)
	section := append(append(wasmtest.Name("name"), 1), wasmtest.Uint(nil, uint64(len(list)))...)
	h := newHouse(t)
	h.write("p.wasm", wasmtest.Append(traps, 0, append(section, list...)))
	_, err := h.open(entry("p")).Judge(t.Context(), question("a"))
	if err == nil || len(err.Error()) > 1200 || strings.ContainsFunc(err.Error(), unicode.IsControl) {
		t.Errorf("got %.2000q", err)
	}
	if !strings.Contains(err.Error(), "unreachable") {
		t.Errorf("got %q, want it to say what happened", err)
	}
}

func TestNamesInAModuleAreShownPrintable(t *testing.T) {
	hostile := guestOf(wasmtest.Func{Name: "check", Type: "-> i32", Code: "i32.const 0"}, wasmtest.Func{Name: "\x1b[2Jf\nloads    yes"})
	hostile.Imports = append([]wasmtest.Import{{Module: "\x1b[31m", Name: strings.Repeat("x\n", 10_000)}}, imports...)
	in, err := Inspect(t.Context(), wasmtest.Assemble(hostile), TrialConfig{})
	if err != nil {
		t.Fatal(err)
	}
	all := in.Refused
	for _, f := range append(in.Exports, in.Imports...) {
		all = append(all, f.Module, f.Name)
	}
	for _, text := range all {
		if len(text) > 1200 || strings.ContainsFunc(text, unicode.IsControl) {
			t.Errorf("%.100q, %d bytes", text, len(text))
		}
	}
}

// A guest cannot be interrupted, and that is true of one that starts as well.
func TestReloadWaitsForASlot(t *testing.T) {
	h := newHouse(t)
	h.write("p.wasm", allows)
	host := h.open(entry("p"))
	for range host.engine.slots.most {
		if err := host.engine.slots.take(t.Context(), false); err != nil {
			t.Fatal(err)
		}
		defer host.engine.slots.done(false)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	if _, err := host.Reload(ctx); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("got %v, want it to wait", err)
	}
}

func TestReloadAfterCloseFails(t *testing.T) {
	h := newHouse(t)
	manifest := h.manifest()
	host, err := Open(t.Context(), Config{Manifest: manifest})
	if err != nil {
		t.Fatal(err)
	}
	if err := host.Close(); err != nil {
		t.Fatal(err)
	}
	if _, err := host.Reload(t.Context()); !errors.Is(err, errClosed) {
		t.Errorf("got %v", err)
	}
	if rules := host.Policies(); rules != nil {
		t.Errorf("%v rules", rules)
	}
}

// A client can make a broken policy fail at any rate. The audit log has every failure; the log has to
// stay readable.
func TestLogIsNotFloodedByABrokenPolicy(t *testing.T) {
	h := newHouse(t)
	h.write("p.wasm", traps)
	var log bytes.Buffer
	host, err := Open(t.Context(), Config{Manifest: h.manifest(entry("p")), Logger: slog.New(slog.NewTextHandler(&log, nil))})
	if err != nil {
		t.Fatal(err)
	}
	const calls = 1000
	for range calls {
		if _, err := host.Judge(t.Context(), question("prod/db")); err == nil {
			t.Error("it answers")
		}
	}
	if n := strings.Count(log.String(), "could not answer"); n != 1 {
		t.Errorf("%d calls made %d lines, want 1", calls, n)
	}
	host.Close()
	// A slow machine may let the breaker try the policy again meanwhile.
	var times int
	if _, said, ok := strings.Cut(log.String(), "times="); ok {
		_, _ = fmt.Sscan(said, &times)
	}
	if times < failuresToOpen-1 || times > calls/10 || strings.Count(log.String(), "breaker is open") != 1 {
		t.Errorf("it is not said how often, or that it is not called any more:\n%s", &log)
	}
}

// A policy whose calls are nested too deep is told so: it has fuel left, and "unreachable"
// would have its author look for a panic.
func TestStackThatIsUsedUpIsNamed(t *testing.T) {
	h := newHouse(t)
	h.write("p.wasm", wasmtest.Assemble(guestOf(wasmtest.Func{Name: "check", Type: "-> i32", Code: "call $check"})))
	host := h.open(entry("p", `"fuel":20000000`))
	want := "nested too deep: the 8 MiB of stack are used up"
	if host.Engine() == Interpreted {
		want = "stack overflow" // it has a limit of its own, which comes first
	}
	_, err := host.Judge(t.Context(), question("a"))
	if err == nil || !strings.Contains(err.Error(), want) {
		t.Errorf("got %v", err)
	}
}
