package hooks

import (
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"github.com/octostore/octostore/core/lock"
)

func TestPatterns(t *testing.T) {
	for _, tt := range []struct {
		patterns string
		yes, no  string
	}{
		{"prod/**", "prod/a prod/a/b", "prod production/a a/prod/b"},
		{"**", "a a/b a/b/c", ""},
		{"prod/** !prod/tmp/**", "prod/a prod/tmp", "prod/tmp/a prod/tmp/a/b"},
		{"prod/** !prod/tmp/** prod/tmp/keep", "prod/tmp/keep", "prod/tmp/other"},
		{"*", "a abc", "a/b"},
		{"prod/*", "prod/a", "prod prod/a/b"},
		{"db-*", "db- db-1", "db xdb-1 db-1/x"},
		{"a*b*c", "abc axbxc abbcc", "ab acb abcx"},
		{"**/db", "x/db x/y/db", "db x/db/z"},
		{"a/**/z", "a/b/z a/b/c/z a/z/z", "a/z a/b"},
	} {
		ps, err := ParsePatterns(strings.Fields(tt.patterns))
		if err != nil {
			t.Errorf("%s: %v", tt.patterns, err)
			continue
		}
		for _, name := range strings.Fields(tt.yes) {
			if !ps.Match(lock.Name(name)) {
				t.Errorf("%s does not match %s", tt.patterns, name)
			}
		}
		for _, name := range strings.Fields(tt.no) {
			if ps.Match(lock.Name(name)) {
				t.Errorf("%s matches %s", tt.patterns, name)
			}
		}
	}
	for _, wrong := range []string{"!prod/**", "", "/a", "a//b", "a**", "**/a/**/b/**/c/**", "prod/x?", "prod /a"} {
		if ps, err := ParsePatterns([]string{wrong}); err == nil {
			t.Errorf("%q is taken: %v", wrong, ps)
		}
	}
}

// A caller chooses the name, and the table's own loop asks whether a policy covers it.
func TestAPatternOfManyDeepsIsQuick(t *testing.T) {
	pattern := strings.Split(strings.Repeat("**/a/", 20)+"x", "/")
	name := strings.Repeat("a/", 127) + "a"
	start := time.Now()
	if matchSegments(pattern, name) {
		t.Errorf("%s matches", name)
	}
	if took := time.Since(start); took > time.Second {
		t.Errorf("it took %v", took)
	}
}

func TestPatternsMatchAsTheirDefinitionSays(t *testing.T) {
	var byDefinition func(pattern, name []string) bool
	byDefinition = func(pattern, name []string) bool {
		switch {
		case len(pattern) == 0 || len(name) == 0:
			return len(pattern) == len(name)
		case pattern[0] == "**":
			return byDefinition(pattern[1:], name[1:]) || byDefinition(pattern, name[1:])
		}
		return matchSegment(pattern[0], name[0]) && byDefinition(pattern[1:], name[1:])
	}
	random := rand.New(rand.NewPCG(1, 2))
	some := func(most int, of ...string) (all []string) {
		for range 1 + random.IntN(most) {
			all = append(all, of[random.IntN(len(of))])
		}
		return all
	}
	for range 100_000 {
		pattern, name := some(6, "**", "**", "*", "a", "b", "a*"), some(8, "a", "b", "ab")
		want := byDefinition(pattern, name)
		if got := matchSegments(pattern, strings.Join(name, "/")); got != want {
			t.Fatalf("%q and %q: %t, want %t", pattern, name, got, want)
		}
	}
}

// An operator wants to read of all mistakes at once, and where they are.
func TestEveryMistakeOfAManifestIsNamed(t *testing.T) {
	_, got := parseManifest([]byte(`{"policies":[
		{"name":"Big","module":"a.wasm","match":["**"]},
		{"name":"freeze","match":["!a"],"hooks":["aquire"],"mode":"on","fuel":1,"memory_mib":"16","colour":1},
		{"name":"ok","module":"a.wasm","match":["**"],"on_error":"ignore","sha256":"abc"},
		{"name":"ok","module":"a.wasm"}, 7]}`), "/etc")
	all := strings.Join(got, "\n")
	for _, want := range []string{
		"policy Big: name: want", "policy freeze: module: is missing", "policy freeze: match: has no pattern that includes",
		`policy freeze: hooks: "aquire" is not known; want acquire`, `policy freeze: mode: is "on"`, "policy freeze: fuel: is 1",
		"policy freeze: memory_mib: has the wrong type", "policy freeze: colour: is not known", `policy ok: on_error: is "ignore"`,
		"policy ok: sha256: want 64", "policy ok: name: is used twice", "policy ok: match: is missing", "policy number 5: is not an object",
	} {
		if !strings.Contains(all, want) {
			t.Errorf("%q is not among\n%s", want, all)
		}
	}
	for _, text := range []string{
		"", "[]", "null", "{}", `{"polices":[]}`, `{"Policies":[]}`, `{"policies":null}`, `{"policies":{}}`, `{"policies":[]} x`, `{"policies":[7`,
		`{"policies":[{"name":"p","module":"p.wasm","match":["**"]}],"policies":[]}`,
		`{"policies":[{"name":"p","module":"p.wasm","match":["**"],"mode":"enforce","mode":"off"}]}`,
		`{"policies":[{"name":"p","module":"p.wasm","match":["**"],"sha256":null}]}`,
	} {
		if _, wrong := parseManifest([]byte(text), "."); len(wrong) != 1 {
			t.Errorf("%q: %q", text, wrong)
		}
	}
	m, wrong := parseManifest([]byte(`{"policies":[{"name":"p","module":"p.wasm","match":["**"]}]}`), "/etc/octostore")
	if len(wrong) > 0 {
		t.Fatal(wrong)
	}
	if p := m.Policies[0]; p.Module != "/etc/octostore/p.wasm" || p.Fuel != DefaultFuel || p.Mode != Enforce || p.OnError != DenyOnError || string(p.Config) != "{}" {
		t.Errorf("%+v", p)
	}
}

func FuzzManifest(f *testing.F) {
	f.Add([]byte(`{"policies":[{"name":"p","module":"p.wasm","match":["a/**","!a/*b*"],"config":{"x":[1]}}]}`), "a/b")
	f.Add([]byte(`{"policies":[{"hooks":null,"match":["**/**/a"]}]}`), "a/a/a/a/a/a/a/a")
	f.Fuzz(func(t *testing.T, text []byte, name string) {
		m, wrong := parseManifest(text, "/")
		n, err := lock.ParseName(name)
		if len(wrong) > 0 || err != nil {
			return
		}
		for _, p := range m.Policies {
			p.patterns.Match(n)
		}
	})
}
