package manifest

import (
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/octostore/octostore/core/lock"
)

// An operator wants to read of all mistakes at once, and where they are.
func TestManifestMistakesAreAllNamed(t *testing.T) {
	_, got := parseManifest([]byte(`{"policies":[
		{"name":"Big","module":"a.wasm","match":["**"]},
		{"name":"freeze","match":["!a"],"hooks":["aquire"],"mode":"on","fuel":1,"memory_mib":"16","colour":1},
		{"name":"ok","module":"a.wasm","match":["**"],"on_error":"ignore","sha256":"abc"},
		{"name":"ok","module":"a.wasm"}, 7]}`), "/etc")
	all := strings.Join(got, "\n")
	for _, want := range []string{
		"policy Big: name: want", "policy freeze: module: is missing", "policy freeze: match: has no pattern that includes",
		`policy freeze: hooks: "aquire" is not known; want acquire`, `policy freeze: mode: is "on"`, "policy freeze: fuel: is 1",
		"policy freeze: memory_mib: is a string; want a whole number, such as 16", "policy freeze: colour: is not known", `policy ok: on_error: is "ignore"`,
		"policy ok: sha256: want 64", "policy ok: name: is used twice", "policy ok: match: is missing", "policy number 5: is 7; want an object",
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

// A value of the wrong type is named, with what is wanted in its place. Every member has
// such a text.
func TestManifestMemberOfTheWrongTypeIsNamed(t *testing.T) {
	for member, want := range map[string]string{
		`"match":"prod/**"`:      `match: is a string; want a list, such as ["prod/**"]`,
		`"match":["a",7]`:        `match: element 2 is 7; want a string`,
		`"match":{"a":1}`:        `match: is an object; want a list, such as ["prod/**"]`,
		`"name":["a"]`:           `name: is a list; want a string, such as "freeze"`,
		`"module":7`:             `module: is 7; want a string, the path of a .wasm file`,
		`"module":null`:          `module: is null; want a string, the path of a .wasm file`,
		`"sha256":false`:         `sha256: is false; want a string of 64 hex digits, or leave it out`,
		`"hooks":"renew"`:        `hooks: is a string; want a list, such as ["acquire", "renew"]`,
		`"mode":true`:            `mode: is true; want "enforce", "shadow" or "off"`,
		`"on_error":{}`:          `on_error: is an object; want "deny" or "allow"`,
		`"fuel":"2000000"`:       `fuel: is a string; want a whole number, such as `,
		`"fuel":1.5`:             `fuel: is 1.5; want a whole number, such as `,
		`"memory_mib":[16]`:      `memory_mib: is a list; want a whole number, such as 16`,
		`"config":null`:          `config: is null; want an object, or leave it out`,
		`"observe_from":["now"]`: `observe_from: is a list; want "now" or "start"`,
	} {
		_, got := parsePolicy([]byte(`{` + member + `}`))
		if !slices.ContainsFunc(got, func(w string) bool { return strings.HasPrefix(w, want) }) {
			t.Errorf("%s: got %q, want %q", member, got, want)
		}
		name, _, _ := strings.Cut(want, ":")
		for _, w := range got {
			if strings.HasPrefix(w, name+":") && !strings.HasPrefix(w, want) {
				t.Errorf("%s: also %q", member, w)
			}
		}
	}
	source, err := os.ReadFile("manifest.go")
	if err != nil {
		t.Fatal(err)
	}
	for _, m := range regexp.MustCompile(`\{"([a-z_0-9]+)", &p\.`).FindAllStringSubmatch(string(source), -1) {
		if memberTypes[m[1]] == "" {
			t.Errorf("there is no text for %s", m[1])
		}
	}
}

// A mistake in the JSON is found by its line and column.
func TestManifestThatIsNotJSONIsReportedWithItsPlace(t *testing.T) {
	path := filepath.Join(t.TempDir(), "policies.json")
	if err := os.WriteFile(path, []byte("{\"policies\": [\n  {\"name\": \"p\",}\n]}\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := Read(path); err == nil || !strings.Contains(err.Error(), path+": is not JSON at line 2, column 16: ") {
		t.Errorf("got %v", err)
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
