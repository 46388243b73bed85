package hooks

import (
	"strings"
	"testing"

	"github.com/octostore/octostore/core/lock"
)

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
	f.Add([]byte(`{"policies":[{"name":"p","module":"p.wasm","match":["@types/*","!**/*:57400","~a+b/**"]}]}`), "@types/a+b:57400/~")
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
