package guest_test

import (
	"go/ast"
	"go/parser"
	"go/token"
	"maps"
	"math"
	"os"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/octostore/octostore/hooks/abi"
	"github.com/octostore/octostore/plugins/guest"
	"github.com/octostore/octostore/plugins/guest/internal/host"
)

// recorder notes which keys are asked for.
type recorder struct{ asked map[string]bool }

func (r recorder) Get(key string) (string, bool) {
	r.asked[strings.Clone(key)] = true
	return "", false
}
func (r recorder) GetI64(key string) int64 {
	r.asked[strings.Clone(key)] = true
	if key == abi.PrefixLockState+"x" {
		return 1 // the other getters are asked of a lock that is held
	}
	return math.MinInt64
}
func (recorder) Deny(string)               {}
func (recorder) RetryAfterMS(int64)        {}
func (r recorder) Cap(key string, _ int64) { r.asked["cap "+key] = true }
func (recorder) Note(_, _ string)          {}
func (recorder) Log(int32, string)         {}

// The SDK can be copied out of the project, so it does not import hooks/abi. What it
// repeats of it has to be the same, and complete.
func TestKeysHaveGetters(t *testing.T) {
	asked := asks(func(q guest.Request) {
		_, _ = q.Hook(), q.Phase()
		_, _, _, _, _ = q.LockName(), q.LockHeld(), q.LockHolder(), q.LockAccount(), q.LockExpiresAt()
		_, _, _, _, _ = q.QueueLength(), q.Account(), q.Holder(), q.Reason(), q.RemoteAddr()
		_, _, _ = q.TTL(), q.Wait(), q.Waited()
		_, _ = q.Held(""), q.Held("prod/")
		_, _, _ = q.Now(), q.DecisionID(), q.JSON()
		_, _ = q.Metadata("ticket")
		_, _ = q.LockGrantedAt(), q.HeldByAll("prod/")
		q.OtherLock("x")
		q.Groups()
		q.LocalTime("UTC")
		q.CapTTL(1)
		q.CapWait(1)
		q.SetPriority(guest.Front)
	})
	want := map[string]bool{"cap " + abi.KeyTTL: true, "cap " + abi.KeyWait: true, "cap " + abi.CapPriority: true}
	for name, value := range constants(t, "../../hooks/abi/abi.go") {
		switch {
		case strings.HasPrefix(name, "Key"):
			want[value] = true
		case name == "PrefixMetadata":
			want[value+"ticket"] = true
		case name == "PrefixLockState" || name == "PrefixLockHolder" || name == "PrefixLockAccount":
			want[value+"x"] = true
		case name == "PrefixLocalTime":
			want[value+"UTC"] = true
		case name == "PrefixAccountHeld" || name == "PrefixHeld":
			want[value+"prod/"] = true
		}
	}
	for _, key := range slices.Sorted(maps.Keys(want)) {
		if !asked[key] {
			t.Errorf("no getter asks for %q", key)
		}
		delete(asked, key)
	}
	for key := range asked {
		t.Errorf("a getter asks for %q, which is no key", key)
	}
}

// asks returns the keys that configure, check and observe ask for.
func asks(ask func(guest.Request)) map[string]bool {
	r := recorder{map[string]bool{}}
	host.Now = r
	guest.Configure(func([]byte) error { return nil })
	guest.Check(func(q guest.Request) guest.Verdict { ask(q); return guest.Allow })
	guest.Observe(func(guest.Event) error { return nil })
	host.Configure()
	host.RunCheck()
	host.RunObserve()
	host.Configure, host.Check, host.Observe, host.Now = nil, nil, nil, nil
	return r.asked
}

func TestNamesAndNumbersAreThoseOfTheInterface(t *testing.T) {
	for got, want := range map[string]string{
		guest.HookAcquire: abi.HookAcquire, guest.HookRenew: abi.HookRenew, guest.HookBreak: abi.HookBreak,
		guest.PhaseRequest: abi.PhaseRequest, guest.PhaseGrant: abi.PhaseGrant,
	} {
		if got != want {
			t.Errorf("got %q, want %q", got, want)
		}
	}
	for got, want := range map[guest.Level]guest.Level{
		guest.Debug: abi.LevelDebug, guest.Info: abi.LevelInfo, guest.Warn: abi.LevelWarn, guest.Error: abi.LevelError,
	} {
		if got != want {
			t.Errorf("level %d, want %d", got, want)
		}
	}
	for got, want := range map[guest.Priority]guest.Priority{
		guest.Front: abi.PriorityFront, guest.Normal: abi.PriorityNormal, guest.Back: abi.PriorityBack,
	} {
		if got != want {
			t.Errorf("priority %d, want %d", got, want)
		}
	}
	source, err := os.ReadFile("internal/host/wasm.go")
	if err != nil {
		t.Fatal(err)
	}
	known := constants(t, "../../hooks/abi/abi.go")
	check := func(directive, prefix string, except ...string) {
		want := map[string]bool{}
		for name, value := range known {
			if strings.HasPrefix(name, prefix) && !slices.Contains(except, name) {
				want[value] = true
			}
		}
		for _, m := range regexp.MustCompile(`(?m)^//go:`+directive+` (.+)$`).FindAllStringSubmatch(string(source), -1) {
			if !want[m[1]] {
				t.Errorf("%s %s is not of the interface, or there twice", directive, m[1])
			}
			delete(want, m[1])
		}
		for name := range want {
			t.Errorf("%s %s is missing", directive, name)
		}
	}
	check("wasmimport "+abi.Module, "Import")
	check("wasmexport", "Export", "ExportMemory", "ExportInitialize") // the compiler's
}

// A call of an export that the policy did not register must not look like a yes.
func TestUnregisteredExportIsAnError(t *testing.T) {
	if n := host.RunCheck(); n == abi.Allow || n == abi.Deny {
		t.Errorf("check returns %d", n)
	}
	if host.RunObserve() == 0 {
		t.Error("observe is done with it")
	}
}

// constants returns the text constants of a file.
func constants(t *testing.T, path string) map[string]string {
	t.Helper()
	file, err := parser.ParseFile(token.NewFileSet(), path, nil, 0)
	if err != nil {
		t.Fatal(err)
	}
	found := map[string]string{}
	ast.Inspect(file, func(n ast.Node) bool {
		if spec, is := n.(*ast.ValueSpec); is && len(spec.Values) == 1 {
			if lit, is := spec.Values[0].(*ast.BasicLit); is && lit.Kind == token.STRING {
				found[spec.Names[0].Name], _ = strconv.Unquote(lit.Value)
			}
		}
		return true
	})
	if len(found) == 0 {
		t.Fatalf("%s has no constants", path)
	}
	return found
}
