package hooks

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"testing"

	"github.com/octostore/octostore/hooks/internal/compile"
)

// engineTest names, in the environment of a test binary that a test has started, what its
// tests are to do without.
const engineTest = "OCTOSTORE_TEST_ENGINE"

// engineTests say how. That of executable memory is there where it can be forbidden.
var engineTests = map[string]func(){
	"interpreter": func() {
		compile.MachineCodeMissing = func() error { return errors.New("a test does without") }
	},
}

// anyEngine are tests of what a change of the engine would break first.
const anyEngine = "^Test(EngineIsSaid|PoliciesTogether)$"

// Policies mean the same where there is no compiler: the same tests pass.
func TestInterpreterKeepsEveryPromise(t *testing.T) {
	tests := "."
	if testing.Short() {
		tests = strings.Replace(anyEngine, ")$", "|FuelIsThatOfAFreshInstance|HostileUsesOfTheHostEnd)$", 1)
	}
	runTestsWithout(t, "interpreter", tests)
}

// runTestsWithout runs tests in a process of their own, and fails if one does, or if none
// has run.
func runTestsWithout(t *testing.T, what, tests string) {
	t.Helper()
	if os.Getenv(engineTest) != "" {
		return // it is this process that a test has started
	}
	cmd := exec.CommandContext(t.Context(), os.Args[0], "-test.run="+tests, "-test.short", "-test.v")
	cmd.Env = append(os.Environ(), engineTest+"="+what)
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	if n := strings.Count(string(out), "--- PASS"); n < 1 {
		t.Fatalf("no test has run:\n%s", out)
	}
}

// The engine that runs policies is the reported one.
func TestEngineIsSaid(t *testing.T) {
	h, log := newHouse(t), newLogBook()
	h.write("p.wasm", allows)
	host, err := Open(t.Context(), Config{Manifest: h.manifest(entry("p")), Logger: log.logger()})
	if err != nil {
		t.Fatal(err)
	}
	defer host.Close()
	want, said := Compiled, 0
	if without := os.Getenv(engineTest); without != "" || compile.NoMachineCode() != nil {
		want, said = Interpreted, 1
	}
	if got := host.Engine(); got != want {
		t.Errorf("it is said to be the %s, want the %s", got, want)
	}
	if n := log.count("policies are interpreted"); n != said {
		t.Errorf("it is logged %d times, want %d", n, said)
	}
}

// Where no process can be started to compile in, policies are interpreted.
func TestEngineIsTheInterpreterWithoutProcesses(t *testing.T) {
	h, log := newHouse(t), newLogBook()
	h.write("p.wasm", denies)
	cfg := Config{Manifest: h.manifest(entry("p")), Logger: log.logger()}
	cfg.Compile = func(ctx context.Context, dir string, module []byte) error {
		return fmt.Errorf("%w: no processes", ErrUnavailable)
	}
	host, err := Open(t.Context(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	defer host.Close()
	if host.Engine() != Interpreted || os.Getenv(engineTest) == "" && compile.NoMachineCode() == nil && log.count("no processes") == 0 || log.count("policies are interpreted") != 1 {
		t.Errorf("%s runs them; the log says %s", host.Engine(), log)
	}
	if got := said(host.Judge(t.Context(), question("a"))); !strings.HasPrefix(got, "p deny") {
		t.Error(got)
	}
}
