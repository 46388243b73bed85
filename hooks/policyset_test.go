package hooks

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/octostore/octostore/core"
	"github.com/octostore/octostore/hooks/internal/manifest"
)

// The id of a set is that of what makes it, and of nothing else.
func TestPolicySetHasTheIDOfWhatMakesIt(t *testing.T) {
	h := newHouse(t)
	h.write("a.wasm", allows)
	h.write("b.wasm", allows)
	h.write("copy.wasm", allows)
	id := func(policies ...string) string {
		t.Helper()
		return h.open(policies...).PolicySet().ID
	}
	one := id(entry("a", `"config":{"x":1}`), entry("b"))
	for name, same := range map[string][]string{
		"again":                   {entry("a", `"config":{"x":1}`), entry("b")},
		"another order":           {entry("b"), entry("a", `"config":{"x":1}`)},
		"other space":             {entry("a", `"config": { "x" : 1 }`), entry("b")},
		"what is the default":     {entry("a", `"config":{"x":1}`, `"mode":"enforce"`), entry("b", `"hooks":["acquire"]`)},
		"one that is off":         {entry("a", `"config":{"x":1}`), entry("b"), entry("copy", `"mode":"off"`)},
		"the module's other path": {`{"name":"a","module":"copy.wasm","match":["**"],"config":{"x":1}}`, entry("b")},
	} {
		if got := id(same...); got != one {
			t.Errorf("%s: %s, and %s before", name, got, one)
		}
	}
	seen := map[string]string{one: "the first", id(): "none"}
	for name, other := range map[string]string{
		"a config":       entry("a", `"config":{"x":2}`),
		"a number's way": entry("a", `"config":{"x":1.0}`),
		"a mode":         entry("a", `"config":{"x":1}`, `"mode":"shadow"`),
		"on_error":       entry("a", `"config":{"x":1}`, `"on_error":"allow"`),
		"fuel":           entry("a", `"config":{"x":1}`, `"fuel":123456`),
		"memory":         entry("a", `"config":{"x":1}`, `"memory_mib":17`),
		"hooks":          entry("a", `"config":{"x":1}`, `"hooks":["acquire","break"]`),
		"match":          entry("a", `"config":{"x":1}`, `"match":["**","!x"]`),
		"a name":         `{"name":"c","module":"a.wasm","match":["**"],"config":{"x":1}}`,
	} {
		got := id(other, entry("b"))
		if before, known := seen[got]; known {
			t.Errorf("%s: it has the id of %s", name, before)
		}
		seen[got] = name
	}
	h.write("b.wasm", check("nop i32.const 0"))
	if got := id(entry("a", `"config":{"x":1}`), entry("b")); seen[got] != "" || len(got) != 16 {
		t.Errorf("another module: the id is %q, that of %s", got, seen[got])
	}
}

// A reload reports exactly its changes, and a policy that is off does not count as removed.
func TestReloadSaysWhatHasChanged(t *testing.T) {
	h := newHouse(t)
	h.write("a.wasm", allows)
	h.write("b.wasm", check("nop i32.const 0"))
	h.write("o.wasm", watching("i32.const 0"))
	o := func(more ...string) string { return entry("o", append(more, `"hooks":["observe"]`)...) }
	host := h.open(entry("a"), entry("b"), o())
	var known []string
	for _, p := range host.Policies() {
		known = append(known, p.Digest, strings.ToUpper(p.Name))
	}
	digests := strings.NewReplacer(known...)
	for _, test := range []struct {
		policies []string
		want     string
	}{
		{[]string{entry("a"), entry("b", `"mode":"off"`), o()}, "a (enforce, A), o (enforce, O), off b"},
		{[]string{entry("a", `"mode":"off"`), o(`"observe_from":"start"`)}, "changed o (enforce, O), off a"},
		{[]string{entry("a"), o(`"observe_from":"start"`, `"config":{ }`)}, "new a (enforce, A), o (enforce, O)"},
		{[]string{o(`"observe_from":"start"`, `"reads":["x"]`)}, "changed o (enforce, O), gone a"},
		{nil, "gone o"},
	} {
		h.manifest(test.policies...)
		got, err := host.Reload(t.Context())
		if got = digests.Replace(got); err != nil || got != test.want {
			t.Errorf("got %q, %v; want %q", got, err, test.want)
		}
	}
}

// The record of a policy set is bounded, whatever the manifest says.
func TestPolicySetLeavesOutTooManyPatterns(t *testing.T) {
	h := newHouse(t)
	h.write("a.wasm", allows)
	h.write("b.wasm", allows)
	many := strings.Repeat(`"some/name/or/other",`, 100) + `"**"`
	s := h.open(entry("a", `"match":[`+many+`]`), entry("b", `"match":["prod/**","!prod/x"]`)).PolicySet()
	if s.Policies[0].Match != nil || fmt.Sprint(s.Policies[1].Match) != "[prod/** !prod/x]" {
		t.Errorf("recorded: %+v", s.Policies)
	}
	h.write("policy.wasm", allows)
	match := `"match":[` + strings.Repeat(`"some/name/or/other",`, 40) + `"**"]`
	var policies []string
	for i := range manifest.MaxPolicies {
		policies = append(policies, fmt.Sprintf(`{"name":"p%d","module":"policy.wasm",%s}`, i, match))
	}
	recorded := 0
	for _, p := range h.open(policies...).PolicySet().Policies {
		recorded += sizeOf(p.Match)
	}
	if recorded < maxMatchAll-maxMatch || recorded > maxMatchAll {
		t.Errorf("%d bytes of patterns are recorded, want at most %d", recorded, maxMatchAll)
	}
}

// Of those that were asked only those are recorded that said something; that they were
// asked is on record all the same.
func TestVerdictsLeaveOutSilentPolicies(t *testing.T) {
	h := newHouse(t)
	capped := func(key string, n int) []byte {
		return check(at(key) + fmt.Sprintf("i64.const %d call $cap i32.const 0", n))
	}
	for name, module := range map[string][]byte{
		"allows": allows, "denies": denies, "traps": traps, "notes": leavesNote,
		"ttl": capped("ttl_ms", 30_000), "same-ttl": capped("ttl_ms", 60_000), "more-ttl": capped("ttl_ms", 90_000),
		"wait": capped("wait_ms", 2000), "no-wait": capped("wait_ms", 0), "same-wait": capped("wait_ms", 30_000),
	} {
		h.write(name+".wasm", module)
	}
	for _, tt := range []struct {
		policies []string
		want     string
	}{
		{[]string{"allows"}, ""},
		{[]string{"allows", "allows"}, ""},
		{[]string{"denies", "allows"}, "denies deny"},
		{[]string{"traps", "allows"}, "traps error"},
		{[]string{"notes", "allows"}, "notes allow"},
		{[]string{"ttl", "allows"}, "ttl allow ttl 30s"},
		{[]string{"same-ttl", "more-ttl", "same-wait"}, ""},
		{[]string{"wait"}, "wait allow wait 2s"},
		{[]string{"no-wait"}, "no-wait allow wait 0s"},
	} {
		for _, mode := range []string{"enforce", "shadow"} {
			var entries []string
			for i, p := range tt.policies {
				name := p
				if i > 0 && p == tt.policies[i-1] {
					name += "-again"
				}
				entries = append(entries, fmt.Sprintf(`{"name":%q,"module":"%s.wasm","match":["**"],"mode":%q}`, name, p, mode))
			}
			host := h.open(entries...)
			v, _ := host.Judge(t.Context(), question("prod/db"))
			got := ""
			for _, r := range v.Verdicts {
				got = r.Policy + " " + r.Verdict
				if r.CapTTL > 0 {
					got += " ttl " + r.CapTTL.String()
				}
				if r.LowersWait {
					got += " wait " + r.CapWait.String()
				}
				if r.Mode != mode || len(r.Digest) != 16 || r.At != "request" {
					t.Errorf("%v: %+v", tt.policies, r)
				}
			}
			if got != tt.want || len(v.Verdicts) > 1 {
				t.Errorf("%v in mode %s: got %q, want %q", tt.policies, mode, got, tt.want)
			}
			if v.PolicySet != host.PolicySet().ID || v.SetAtGrant != "" {
				t.Errorf("%v: judged by %q and %q, want %q", tt.policies, v.PolicySet, v.SetAtGrant, host.PolicySet().ID)
			}
		}
	}
	// A cap is of an acquire, and of names that no policy covers nothing is said.
	renewal := question("prod/db")
	renewal.Hook, renewal.Asked.TTL = core.HookRenew, time.Hour
	host := h.open(entry("ttl", `"hooks":["acquire","renew"]`, `"match":["prod/**"]`))
	if v, err := host.Judge(t.Context(), renewal); err != nil || len(v.Verdicts) > 0 || v.PolicySet == "" {
		t.Errorf("renew: %+v, %v", v, err)
	}
	if v, err := host.Judge(t.Context(), question("test/db")); err != nil || v.PolicySet != "" {
		t.Errorf("not covered: %+v, %v", v, err)
	}
}
