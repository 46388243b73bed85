package guest

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"reflect"
	"testing"
	"time"

	"github.com/tetratelabs/wazero"
	"github.com/tetratelabs/wazero/imports/wasi_snapshot_preview1"

	"github.com/octostore/octostore/core"
	"github.com/octostore/octostore/core/lock"
	"github.com/octostore/octostore/hooks/internal/compile"
	"github.com/octostore/octostore/hooks/internal/manifest"
	"github.com/octostore/octostore/hooks/meter"
	"github.com/octostore/octostore/hooks/wasmtest"
)

// program compiles a module for a policy with the defaults.
func program(t *testing.T, m wasmtest.Module) *Program {
	t.Helper()
	metered, err := meter.Instrument(wasmtest.Assemble(m), meter.Config{Fuel: LoadFuel, MaxPages: 16})
	if err != nil {
		t.Fatal(err)
	}
	p := &Program{Policy: manifest.Policy{Name: "p", Fuel: manifest.DefaultFuel}, Zones: new(Zones), Lines: LogLines{To: slog.New(slog.DiscardHandler)}}
	p.Configure(json.RawMessage("{}"))
	runtime, err := compile.Open(t.Context(), compile.Config{Offer: Offer}, func(r *compile.Runtime) (err error) {
		p.Runtime = r.Runtime
		p.Compiled, err = r.Compile(t.Context(), metered)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := runtime.Close(); err != nil {
			t.Error(err)
		}
	})
	return p
}

// An instance is used again for other requests, so it forgets the last one: whatever the guest
// did with it, and also if that was too much.
func TestInstanceKeepsNothingOfARequest(t *testing.T) {
	const texts = "keyvaluettl_msaccount.held:prod/request"
	at := func(at, n int) string { return fmt.Sprintf("i32.const %d i32.const %d ", at, n) }
	key, value, ttl, held, request := at(0, 3), at(3, 5), at(8, 6), at(14, 18), at(32, 7)
	p := program(t, wasmtest.Module{
		Imports: []wasmtest.Import{
			{Module: "octostore_v1", Name: "get", Type: "i32 i32 i32 i32 -> i32"},
			{Module: "octostore_v1", Name: "get_i64", Type: "i32 i32 -> i64"},
			{Module: "octostore_v1", Name: "deny", Type: "i32 i32"},
			{Module: "octostore_v1", Name: "retry_after_ms", Type: "i64"},
			{Module: "octostore_v1", Name: "cap", Type: "i32 i32 i64"},
			{Module: "octostore_v1", Name: "note", Type: "i32 i32 i32 i32"},
		},
		Pages: 1, Data: []wasmtest.Data{{Text: texts}},
		Funcs: []wasmtest.Func{{Name: "check", Type: "-> i32", Code: key + value + "call $note " + value + "call $deny i64.const 60000 call $retry_after_ms " +
			ttl + "i64.const 5000 call $cap " + held + "call $get_i64 drop " + request + "i32.const 500 i32.const 100 call $get drop i32.const 1"}},
	})
	i, failed := p.Start()
	if failed != nil {
		t.Fatal(failed)
	}
	defer i.Close()
	r := NewRequest(core.Question{
		Hook: core.HookAcquire, Phase: core.PhaseRequest,
		Asked: lock.Acquisition{Name: "prod/db", TTL: time.Minute},
	}, time.Now())
	for _, fuel := range []int64{p.Fuel, 1000} {
		var o Answer
		i.Answer(&r, fuel, &o)
		if fuel == p.Fuel && (o.Fault != nil || !o.Denies || len(o.Notes) != 1 || o.TTL == 0) || fuel != p.Fuel && (o.Fault == nil || o.Fault.Kind != OutOfFuel) {
			t.Errorf("got %+v", o)
		}
		if !reflect.ValueOf(i.answering).IsZero() || i.now != nil || i.caller.call != nil || i.caller.inside {
			t.Errorf("the instance keeps %+v, %+v", i.answering, i.caller)
		}
	}
}

// A request has one time, whichever of its policies asks first, and however late.
func TestRequestHasOneTime(t *testing.T) {
	r := new(Request)
	first := r.now()
	for r.now() == first && time.Since(first) < time.Millisecond {
	}
	if n, is := r.number("now_ms"); !is || n != first.UnixMilli() || r.now() != first {
		t.Errorf("got %d, then %v, after %v", n, r.now(), first)
	}
}

// locksAround are locks beside that of a request.
type locksAround map[lock.Name]*lock.Lease

func (l locksAround) Get(name lock.Name) lock.View { return lock.View{Name: name, Lease: l[name]} }

func (l locksAround) HeldUnder(string, int) (held, looked int) { return 0, 0 }

// A policy that asks for a state and then for an account has the answers of one lease.
func TestKeysOfAnotherLockDoNotChangeWithinARequest(t *testing.T) {
	locks := locksAround{"a": {Name: "a", Account: "x"}}
	r := NewRequest(core.Question{Locks: locks}, time.Now())
	first := r.lookAt("a")
	delete(locks, "a")
	for i := range len(looks{}.views) - 1 { // as many as are kept
		r.lookAt(fmt.Sprint("b", i))
	}
	if again := r.lookAt("a"); first.Lease == nil || again.Lease != first.Lease {
		t.Error("it has ended between two getters")
	}
	r.lookAt("c")
	if r.lookAt("a").Lease != nil {
		t.Error("it is kept longer than that")
	}
}

// Calls of a guest must not increase the memory that the server keeps.
func TestZonesAreBounded(t *testing.T) {
	var z Zones
	for i := range 2 * maxZones {
		z.load(fmt.Sprintf("No/Zone%d", i))
	}
	if len(z.known) != 0 {
		t.Errorf("%d are kept that are none", len(z.known))
	}
	z.known = map[string]*time.Location{}
	for i := range maxZones {
		z.known[fmt.Sprint(i)] = time.UTC
	}
	if z.load("Europe/Berlin") == nil || len(z.known) != 1 {
		t.Errorf("%d are kept", len(z.known))
	}
}

// Modules import the functions that their language links, so all of WASI is offered, with types.
func TestWASIIsOfferedWhole(t *testing.T) {
	ctx := context.Background()
	runtime := wazero.NewRuntimeWithConfig(ctx, wazero.NewRuntimeConfigInterpreter())
	defer runtime.Close(ctx)
	theirs, err := wasi_snapshot_preview1.NewBuilder(runtime).Compile(ctx)
	if err != nil {
		t.Fatal(err)
	}
	whole := theirs.ExportedFunctions()
	if len(whole) != 46 || len(wasi) != len(whole) {
		t.Errorf("%d functions are offered of %d; want all 46", len(wasi), len(whole))
	}
	for name, f := range whole {
		if err := CheckImport(wasiModule, name, f); err != nil {
			t.Error(err)
		}
	}
}
