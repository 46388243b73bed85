package hooks

import (
	"context"
	"fmt"
	"math"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/octostore/octostore/core"
	"github.com/octostore/octostore/hooks/wasmtest"
)

// sets makes a policy that calls cap("priority", n) for each n, then allows or denies.
func sets(result int, priorities ...int64) []byte {
	var code strings.Builder
	for _, n := range priorities {
		fmt.Fprintf(&code, "i32.const 0 i32.const 8 i64.const %d call $cap ", n)
	}
	fmt.Fprintf(&code, "i32.const %d", result)
	return wasmtest.Assemble(wasmtest.Module{
		Imports: imports, Pages: 1, Globals: 1, Data: []wasmtest.Data{{At: 0, Text: "priority"}},
		Funcs: []wasmtest.Func{{Name: "check", Type: "-> i32", Code: code.String()}},
	})
}

// priorityOf is what came of a question, and what is on record of each policy.
func priorityOf(v core.Decision, err error) string {
	text := "none"
	if v.SetPriority {
		text = v.Priority.String()
	}
	if err != nil {
		text = "refused"
	}
	for _, r := range v.Verdicts {
		text += strings.TrimRight(fmt.Sprintf("; %s %s %s", r.Policy, r.Verdict, r.Priority), " ")
	}
	return text
}

func writePriorities(h house) {
	for name, module := range map[string][]byte{
		"front": sets(0, 1), "normal": sets(0, 0), "back": sets(0, -1), "silent": sets(0),
		"both": sets(0, 1, 0, 1), "denies": sets(1, 1), "two": sets(0, 2), "low": sets(0, -2), "huge": sets(0, 1, math.MaxInt64),
		"minute": sets(0, 60_000), "least": sets(0, math.MinInt64),
	} {
		h.write(name+".wasm", module)
	}
}

func TestPriorityOfPoliciesTogether(t *testing.T) {
	h := newHouse(t)
	writePriorities(h)
	shadow := `"mode":"shadow"`
	for _, c := range []struct {
		policies []string
		want     string
	}{
		{[]string{entry("silent")}, "none"},
		{[]string{entry("front")}, "front; front allow front"},
		{[]string{entry("back")}, "back; back allow back"},
		{[]string{entry("both")}, "normal; both allow normal"},
		{[]string{entry("front"), entry("silent")}, "front; front allow front"},
		{[]string{entry("front"), entry("normal")}, "normal; front allow front; normal allow normal"},
		{[]string{entry("normal"), entry("back"), entry("front")}, "back; normal allow normal; back allow back; front allow front"},
		// In shadow mode it is recorded, and does not count.
		{[]string{entry("front", shadow)}, "none; front allow front"},
		{[]string{entry("front"), entry("back", shadow)}, "front; front allow front; back allow back"},
		{[]string{entry("two", shadow), entry("front")}, "front; two error; front allow front"},
		// A policy that failed has said nothing.
		{[]string{entry("huge", `"on_error":"allow"`)}, "none; huge error"},
		{[]string{entry("denies")}, "refused; denies deny front"},
	} {
		for _, reversed := range []bool{false, true} {
			policies, want := slices.Clone(c.policies), strings.Split(c.want, "; ")
			if reversed {
				slices.Reverse(policies)
				slices.Reverse(want[1:])
			}
			host := h.open(policies...)
			if got := priorityOf(host.Judge(context.Background(), question("x"))); got != strings.Join(want, "; ") {
				t.Errorf("%v\n got %s\nwant %s", policies, got, strings.Join(want, "; "))
			}
		}
	}
}

func TestPriorityOfAnotherNumberIsAnError(t *testing.T) {
	h := newHouse(t)
	writePriorities(h)
	for _, name := range []string{"two", "low", "huge", "minute", "least"} {
		host := h.open(entry(name))
		_, err := host.Judge(context.Background(), question("x"))
		failed, is := err.(*core.PolicyError)
		if !is || !strings.Contains(err.Error(), "a priority is -1 (back), 0 (normal) or 1 (front), not ") {
			t.Errorf("%s: %v (%T), want an error that names what would be right", name, err, failed)
		}
	}
}

// A policy may say it whenever it is asked; it counts for an acquire that has just come in.
func TestPriorityCountsInPhaseRequestOnly(t *testing.T) {
	h := newHouse(t)
	writePriorities(h)
	host := h.open(entry("front", `"hooks":["acquire","renew","break"]`))
	for _, c := range []struct {
		hook  core.Hook
		phase core.Phase
		want  string
	}{
		{core.HookAcquire, core.PhaseRequest, "front; front allow front"},
		{core.HookAcquire, core.PhaseGrant, "none"},
		{core.HookRenew, core.PhaseRequest, "none"},
		{core.HookBreak, core.PhaseRequest, "none"},
	} {
		q := question("x")
		q.Hook, q.Phase = c.hook, c.phase
		if got := priorityOf(host.Judge(context.Background(), q)); got != c.want {
			t.Errorf("%s in phase %s: got %s, want %s", c.hook, c.phase, got, c.want)
		}
	}
}

func TestPriorityIsExplained(t *testing.T) {
	h := newHouse(t)
	writePriorities(h)
	host := h.open(entry("silent"), entry("back", `"mode":"shadow"`), entry("normal"), entry("front"))
	e, err := host.Explain(context.Background(), question("x"), time.Time{})
	if err != nil {
		t.Fatal(err)
	}
	got := e.Priority
	for _, p := range e.Policies {
		got += "; " + p.Said.Priority
	}
	if want := "normal; ; back; normal; front"; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
	host = h.open(entry("silent"))
	if e, err = host.Explain(context.Background(), question("x"), time.Time{}); err != nil || e.Priority != "" {
		t.Errorf("policies that say nothing make the priority %q (%v)", e.Priority, err)
	}
}
