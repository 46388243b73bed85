package hooks

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/octostore/octostore/core"
	"github.com/octostore/octostore/core/lock"
	"github.com/octostore/octostore/hooks/abi"
	"github.com/octostore/octostore/hooks/wasmtest"
)

func TestMain(m *testing.M) {
	if prepare := engineTests[os.Getenv(engineTest)]; prepare != nil {
		prepare()
	}
	goleak.VerifyTestMain(m)
}

// house is a folder with modules and a manifest.
type house struct {
	t   testing.TB
	dir string
}

func newHouse(t testing.TB) house { return house{t, t.TempDir()} }

func (h house) write(name string, b []byte) {
	h.t.Helper()
	if err := os.WriteFile(filepath.Join(h.dir, name), b, 0o600); err != nil {
		h.t.Fatal(err)
	}
}

func (h house) manifest(policies ...string) string {
	h.write("policies.json", []byte(`{"policies":[`+strings.Join(policies, ",")+`]}`))
	return filepath.Join(h.dir, "policies.json")
}

func (h house) open(policies ...string) *Host {
	h.t.Helper()
	host, err := Open(context.Background(), Config{Manifest: h.manifest(policies...)})
	if err != nil {
		h.t.Fatal(err)
	}
	h.t.Cleanup(func() {
		if err := host.Close(); err != nil {
			h.t.Error(err)
		}
	})
	return host
}

// policy is an entry of a manifest for every name, with more members.
func entry(name string, members ...string) string {
	all := append([]string{fmt.Sprintf(`"name":%q,"module":%q`, name, name+".wasm")}, members...)
	if !strings.Contains(strings.Join(members, ","), `"match"`) {
		all = append(all, `"match":["**"]`)
	}
	return "{" + strings.Join(all, ",") + "}"
}

// littleFuel is for guests that use up whatever there is: interpreted, they take long to.
const littleFuel = `"fuel":100000`

// texts are put at address 0 of every test guest, one after the other; at gives an
// address and a length to be used as operands.
const texts = "ttl_mswait_mslock.namemetadata.ticketnot todayconfigrequestaccount.held:prod/now_mskeyvalueeventhook"

func at(text string) string {
	i := strings.Index(texts, text)
	if i < 0 {
		panic(text)
	}
	return fmt.Sprintf("i32.const %d i32.const %d ", i, len(text))
}

var imports = []wasmtest.Import{
	{Module: "octostore_v1", Name: "get", Type: "i32 i32 i32 i32 -> i32"},
	{Module: "octostore_v1", Name: "get_i64", Type: "i32 i32 -> i64"},
	{Module: "octostore_v1", Name: "deny", Type: "i32 i32"},
	{Module: "octostore_v1", Name: "retry_after_ms", Type: "i64"},
	{Module: "octostore_v1", Name: "cap", Type: "i32 i32 i64"},
	{Module: "octostore_v1", Name: "note", Type: "i32 i32 i32 i32"},
	{Module: "octostore_v1", Name: "log", Type: "i32 i32 i32"},
}

// check makes a guest of the code of its check.
func check(code string) []byte {
	return wasmtest.Assemble(guestOf(wasmtest.Func{Name: "check", Type: "-> i32", Locals: "i32 i64", Code: code}))
}

func guestOf(funcs ...wasmtest.Func) wasmtest.Module {
	return wasmtest.Module{Imports: imports, Pages: 1, Globals: 1, Data: []wasmtest.Data{{At: 0, Text: texts}}, Funcs: funcs}
}

var (
	allows     = check("i32.const 0")
	denies     = check(at("not today") + "call $deny i64.const 60000 call $retry_after_ms i32.const 1")
	loops      = check("loop br 0 end i32.const 0")
	traps      = check("unreachable")
	leavesNote = check(at("key") + at("value") + "call $note i32.const 0")
)

func question(name lock.Name) core.Question {
	return core.Question{
		Hook: core.HookAcquire, Phase: core.PhaseRequest,
		Asked: lock.Acquisition{
			Origin: lock.Origin{Actor: lock.Actor{Account: "acme", RemoteAddr: "192.0.2.1:7"}, RequestID: "r1"},
			Name:   name, Holder: "ci", Reason: "deploy", TTL: time.Minute, Wait: 30 * time.Second,
			Metadata: map[string]string{"ticket": "OPS-7"},
		},
		View: lock.View{Name: name},
		Held: func(prefix string) int { return len(prefix) },
	}
}

// said is a short form of what a host answers.
func said(v core.Decision, err error) string {
	var parts []string
	for _, r := range v.Verdicts {
		parts = append(parts, r.Policy+" "+r.Verdict)
	}
	answer := "yes"
	switch e := err.(type) {
	case *core.DeniedError:
		answer = fmt.Sprintf("no of %s: %s, %s", e.Policy, e.Reason, e.RetryAfter)
	case *core.PolicyError:
		answer = "error of " + e.Policy
	}
	return strings.Join(append(parts, answer), "; ")
}

func TestPoliciesTogether(t *testing.T) {
	h := newHouse(t)
	for name, module := range map[string][]byte{"allows": allows, "denies": denies, "loops": loops, "traps": traps,
		"two": check("i32.const 2"), "silent": check("i32.const 1"),
		"caps":  check(at("ttl_ms") + "i64.const 5 call $cap " + at("wait_ms") + "i64.const -7 call $cap i32.const 0"),
		"notes": leavesNote,
	} {
		h.write(name+".wasm", module)
	}
	for _, tt := range []struct {
		name     string
		policies []string
		want     string
	}{
		{"no policy", nil, "yes"},
		{"one allows", []string{entry("allows")}, "yes"},
		{"a veto", []string{entry("denies")}, "denies deny; no of denies: not today, 1m0s"},
		{"without a reason", []string{entry("silent")}, "silent deny; no of silent: denied by silent, 0s"},
		{"any veto denies", []string{entry("allows"), entry("denies")}, "denies deny; no of denies: not today, 1m0s"},
		{"in any order", []string{entry("denies"), entry("allows")}, "denies deny; no of denies: not today, 1m0s"},
		{"a veto counts more than an error", []string{entry("traps"), entry("denies")}, "traps error; denies deny; no of denies: not today, 1m0s"},
		{"out of fuel", []string{entry("loops", littleFuel)}, "loops error; error of loops"},
		{"a trap", []string{entry("traps")}, "traps error; error of traps"},
		{"another result", []string{entry("two")}, "two error; error of two"},
		{"an error that is allowed", []string{entry("traps", `"on_error":"allow"`)}, "traps error; yes"},
		{"shadow veto", []string{entry("denies", `"mode":"shadow"`)}, "denies deny; yes"},
		{"shadow error", []string{entry("traps", `"mode":"shadow"`), entry("loops", `"mode":"shadow"`, littleFuel)}, "traps error; loops error; yes"},
		{"off", []string{entry("denies", `"mode":"off"`)}, "yes"},
		{"another name", []string{entry("denies", `"match":["other/**"]`)}, "yes"},
		{"another hook", []string{entry("denies", `"hooks":["renew"]`)}, "yes"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			host := h.open(tt.policies...)
			for range 3 { // also after an instance was thrown away
				if got := said(host.Judge(t.Context(), question("prod/db"))); got != tt.want {
					t.Errorf("got  %s\nwant %s", got, tt.want)
				}
			}
		})
	}
	host := h.open(entry("caps"), entry("notes"))
	v, err := host.Judge(t.Context(), question("prod/db"))
	if err != nil || v.TTL != time.Second || !v.CapWait || v.Wait != 0 {
		t.Errorf("caps: %+v, %v", v, err)
	}
	if fmt.Sprint(v.Notes) != "[{notes key value}]" {
		t.Errorf("notes: %v", v.Notes)
	}
}

func TestGettersGiveTheFieldsOfTheRequest(t *testing.T) {
	h := newHouse(t)
	// It denies with the field itself as the reason, or allows if there is none.
	const show = "i32.const 500 i32.const 400 call $get local.tee 0 i32.const -1 i32.eq if i32.const 0 return end i32.const 500 local.get 0 call $deny i32.const 1"
	for _, tt := range []struct{ key, want string }{
		{"lock.name", "prod/db"}, {"ttl_ms", "60000"}, {"metadata.ticket", "OPS-7"}, {"config", `{"a":1}`},
		{"account.held:prod/", "5"}, {"key", ""},
	} {
		h.write("p.wasm", check(at(tt.key)+show))
		got := ""
		if _, err := h.open(entry("p", `"config":{"a":1}`)).Judge(t.Context(), question("prod/db")); err != nil {
			got = err.(*core.DeniedError).Reason
		}
		if got != tt.want {
			t.Errorf("%s: got %q, want %q", tt.key, got, tt.want)
		}
	}
	h.write("p.wasm", check(at("request")+show))
	_, err := h.open(entry("p")).Judge(t.Context(), question("prod/db"))
	var document map[string]any
	if text := err.(*core.DeniedError).Reason; json.Unmarshal([]byte(text), &document) != nil && len(text) < 400 {
		t.Errorf("the document is %s", text)
	}
}

// A key may have the longest name of a lock in it; what is longer than any key is absent.
func TestGettersKnowKeysWithTheLongestName(t *testing.T) {
	const held = abi.PrefixAccountHeld
	h := newHouse(t)
	for size, want := range map[int]string{len(held) + lock.MaxName: strconv.Itoa(lock.MaxName), abi.MaxKey + 1: ""} {
		m := guestOf(wasmtest.Func{Name: "check", Type: "-> i32", Locals: "i32 i64", Code: fmt.Sprintf(
			"i32.const 4000 i32.const %d i32.const 500 i32.const 400 call $get local.tee 0 i32.const -1 i32.eq if i32.const 0 return end "+
				"i32.const 500 local.get 0 call $deny i32.const 1", size)})
		m.Data = append(m.Data, wasmtest.Data{At: 4000, Text: held + strings.Repeat("a", size-len(held))})
		h.write("p.wasm", wasmtest.Assemble(m))
		got := ""
		if _, err := h.open(entry("p")).Judge(t.Context(), question("prod/db")); err != nil {
			got = err.(*core.DeniedError).Reason
		}
		if got != want {
			t.Errorf("a key of %d bytes: got %q, want %q", size, got, want)
		}
	}
}

func TestHostileUsesOfTheHostEnd(t *testing.T) {
	h := newHouse(t)
	for name, code := range map[string]string{
		"endless get":           "loop " + at("lock.name") + "i32.const 500 i32.const 100 call $get drop br 0 end i32.const 0",
		"endless get request":   "loop " + at("request") + "i32.const 500 i32.const 60000 call $get drop br 0 end i32.const 0",
		"endless log":           "loop i32.const 1 i32.const 0 i32.const 60000 call $log br 0 end i32.const 0",
		"key out of bounds":     "i32.const 65530 i32.const 100 call $get_i64 drop i32.const 0",
		"buffer out of bounds":  at("ttl_ms") + "i32.const 65535 i32.const 2 call $get drop i32.const 0",
		"length of 4 GiB":       "i32.const 0 i32.const -1 call $deny i32.const 1",
		"unknown cap":           at("key") + "i64.const 1 call $cap i32.const 0",
		"too many notes":        "loop " + at("key") + at("value") + "call $note br 0 end i32.const 0",
		"a note that is large":  "i32.const 0 i32.const 5000 i32.const 0 i32.const 1 call $note i32.const 0",
		"deny with what is not": "i32.const 90000 i32.const 1 call $deny i32.const 1",
	} {
		t.Run(name, func(t *testing.T) {
			h.write("p.wasm", check(code))
			host := h.open(entry("p"))
			start := time.Now()
			if got := said(host.Judge(t.Context(), question("a"))); got != "p error; error of p" {
				t.Errorf("got %s", got)
			}
			if took := time.Since(start); took > 5*time.Second {
				t.Errorf("it took %v", took)
			}
		})
	}
}

func TestLoadRefusesBadModules(t *testing.T) {
	good := guestOf(wasmtest.Func{Name: "check", Type: "-> i32", Code: "i32.const 0"})
	with := func(f func(*wasmtest.Module)) []byte {
		m := good
		f(&m)
		return wasmtest.Assemble(m)
	}
	configure := func(code string) []byte {
		return with(func(m *wasmtest.Module) {
			m.Funcs = append([]wasmtest.Func{{Name: "configure", Type: "-> i32", Code: code}}, m.Funcs...)
		})
	}
	start := 0
	h := newHouse(t)
	for _, tt := range []struct {
		name    string
		module  []byte
		members string
		want    string
	}{
		{"not a module", []byte("hello"), "", "not a WebAssembly module"},
		{"no check", wasmtest.Assemble(guestOf(wasmtest.Func{Name: "f"})), "", "does not export check"},
		{"check of another type", wasmtest.Assemble(guestOf(wasmtest.Func{Name: "check", Type: "i32 -> i32", Code: "local.get 0"})), "", "wrong type"},
		{"no memory", wasmtest.Assemble(wasmtest.Module{Funcs: []wasmtest.Func{{Name: "check", Type: "-> i32", Code: "i32.const 0"}}}), "", "memory"},
		{"unknown import", with(func(m *wasmtest.Module) {
			m.Imports = []wasmtest.Import{{Module: "octostore_v1", Name: "unlock", Type: ""}}
		}), "", "octostore_v1.unlock, which is not offered"},
		{"a file", with(func(m *wasmtest.Module) {
			m.Imports = []wasmtest.Import{{Module: wasiModule, Name: "path_open", Type: ""}}
		}), "", "path_open with the wrong type"},
		{"a socket", with(func(m *wasmtest.Module) {
			m.Imports = []wasmtest.Import{{Module: wasiModule, Name: "sock_accept", Type: ""}}
		}), "", "sock_accept"},
		{"an import of another type", with(func(m *wasmtest.Module) {
			m.Imports = []wasmtest.Import{{Module: "octostore_v1", Name: "deny", Type: "i64"}}
		}), "", "deny with the wrong type"},
		{"too much memory", with(func(m *wasmtest.Module) { m.Pages = 17 }), `"memory_mib":1`, "more than the limit of 16"},
		{"another digest", wasmtest.Assemble(good), `"sha256":"` + strings.Repeat("0", 64) + `"`, "SHA-256"},
		{"an endless start", with(func(m *wasmtest.Module) {
			m.Start = &start
			m.Funcs = append([]wasmtest.Func{{Name: "_s", Code: "loop br 0 end"}}, m.Funcs...)
		}), "", "start"},
		{"configure refuses", configure(at("not today") + "call $deny i32.const 1"), "", "not today"},
		{"configure refuses silently", configure("i32.const 3"), "", "configuration with 3"},
		{"configure traps", configure("unreachable"), "", "configure"},
		{"configure asks for the request", configure(at("lock.name") + "i32.const 500 i32.const 9 call $get"), "", "configuration with -1"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			h.write("p.wasm", tt.module)
			members := []string{}
			if tt.members != "" {
				members = append(members, tt.members)
			}
			_, err := Open(t.Context(), Config{Manifest: h.manifest(entry("p", members...))})
			if err == nil || !strings.Contains(err.Error(), tt.want) || !strings.Contains(err.Error(), "policy p: module "+h.dir) {
				t.Errorf("got %v, want one that says %q", err, tt.want)
			}
		})
	}
}

// What a guest once kept may cost it more fuel than there is, as the collector of a
// language does. Then a fresh instance is asked.
func TestFuelIsThatOfAFreshInstance(t *testing.T) {
	h := newHouse(t)
	h.write("p.wasm", check(`global.get 0 i64.const 1 i64.add global.set 0
		global.get 0 i64.const 3 i64.eq if loop br 0 end end i32.const 0`))
	host := h.open(entry("p", littleFuel))
	for i := range 7 {
		if got := said(host.Judge(t.Context(), question("x"))); got != "yes" {
			t.Errorf("call %d: %s", i, got)
		}
	}
}

// A reload replaces the whole set or nothing, also under load.
func TestReloadUnderLoad(t *testing.T) {
	h := newHouse(t)
	h.write("a.wasm", leavesNote) // so that both are on record
	h.write("b.wasm", check("nop "+at("key")+at("value")+"call $note i32.const 0"))
	both := []string{entry("a"), entry("b")}
	host := h.open(both...)
	stop := make(chan struct{})
	var all sync.WaitGroup
	var ids sync.Map // of what is said to the id of the set that says it
	for range 4 {
		all.Go(func() {
			for {
				select {
				case <-stop:
					return
				default:
				}
				v, err := host.Judge(context.Background(), question("x"))
				got := said(v, err)
				if _, is := map[string]bool{"a allow; b allow; yes": true, "b allow; yes": true}[got]; !is {
					t.Errorf("got %s", got)
					return
				}
				if other, known := ids.LoadOrStore(got, v.PolicySet); known && other != v.PolicySet || v.PolicySet == "" {
					t.Errorf("%s is said to be of set %q, and of %q", got, v.PolicySet, other)
					return
				}
			}
		})
	}
	for i := range 100 {
		want := both
		if i%2 == 0 {
			want = both[1:]
		}
		if i%10 == 9 {
			want = []string{`{"name":"broken"}`}
		}
		h.manifest(want...)
		if _, err := host.Reload(t.Context()); (err != nil) != (i%10 == 9) {
			t.Fatal(i, err)
		}
	}
	close(stop)
	all.Wait()
	if n := len(host.Policies()); n != 1 { // of the last that was right
		t.Errorf("%d policies rule", n)
	}
}

func TestStatusCounts(t *testing.T) {
	h := newHouse(t)
	h.write("d.wasm", denies)
	h.write("t.wasm", traps)
	host := h.open(entry("d"), entry("t", `"mode":"shadow"`))
	for range 3 {
		_, _ = host.Judge(t.Context(), question("x"))
	}
	s := host.Policies()
	if s[0].Calls != 3 || s[0].Denials != 3 || s[0].Errors != 0 || s[0].FuelP99 < 200 || s[0].FuelP50 > 2000 {
		t.Errorf("%+v", s[0])
	}
	// After the first its instance has to be made anew, for which a shadow policy keeps no request.
	if s[1].Calls < 1 || s[1].Calls > 3 || s[1].Denials != 0 || s[1].Errors != 3 {
		t.Errorf("%+v", s[1])
	}
	if host.Covers(core.HookRenew, "x") || !host.Covers(core.HookAcquire, "x") {
		t.Error("it covers the wrong hooks")
	}
}

func BenchmarkCalls(b *testing.B) {
	h := newHouse(b)
	h.write("empty.wasm", allows)
	h.write("getters.wasm", check(at("ttl_ms")+"call $get_i64 i64.const 3600000 i64.gt_s if i32.const 1 return end "+
		at("lock.name")+"i32.const 500 i32.const 100 call $get drop "+at("metadata.ticket")+"i32.const 500 i32.const 100 call $get drop i32.const 0"))
	for _, name := range []string{"empty", "getters"} {
		host := h.open(entry(name))
		q := question("prod/db")
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if _, err := host.Judge(context.Background(), q); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
	host := h.open(entry("empty", `"match":["other/**"]`))
	b.Run("not covered", func(b *testing.B) {
		for b.Loop() {
			host.Covers(core.HookAcquire, "prod/db")
		}
	})
}
