package policybuilds_test

import (
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/octostore/octostore/cmd/octostore/internal/octotest"
	"github.com/octostore/octostore/cmd/octostore/internal/policytool/scaffold"
	"github.com/octostore/octostore/plugins"
	policyexamples "github.com/octostore/octostore/sdk-examples/policies"
)

// scaffoldOf creates a policy called ticket in a folder of the test.
func scaffoldOf(t *testing.T, lang string) (dir string) {
	t.Helper()
	dir = filepath.Join(t.TempDir(), "ticket")
	if err := scaffold.New(dir, "ticket", lang, scaffold.Sources{SDK: plugins.SDK, Examples: policyexamples.Examples}); err != nil {
		t.Fatal(err)
	}
	return dir
}

// What policy new creates builds with one make, which runs its fixtures. A compiler that
// is not there skips its language.
func TestPolicyNewBuildsInEveryLanguage(t *testing.T) {
	if testing.Short() {
		t.Skip("compilers take their time")
	}
	tools := map[string]string{"go": "go", "rust": "rustc", "c": "clang", "assemblyscript": "npm", "wat": "npm"}
	for _, lang := range scaffold.Languages() {
		t.Run(lang, func(t *testing.T) {
			if why := cannot(tools[lang]); why != "" {
				t.Skip("SKIP: " + why)
			}
			dir := scaffoldOf(t, lang)
			run := func(script string) (string, error) {
				out, err := octotest.Shell(t, dir, script, "GOPROXY=off", "GOTOOLCHAIN=local", "GOFLAGS=", "GOWORK=off").CombinedOutput()
				return string(out), err
			}
			if tools[lang] == "npm" {
				if out, err := run("make node_modules"); err != nil {
					t.Skipf("SKIP: the compiler could not be installed by npm: %v\n%s", err, out)
				}
			}
			out, err := run("make")
			if err != nil || !strings.Contains(out, ": all as expected\n") || strings.Contains(out, "\n0 cases") {
				t.Errorf("%v\n%s", err, out)
			}
			if _, err := os.Stat(filepath.Join(dir, "ticket.wasm")); err != nil {
				t.Error(err)
			}
		})
	}
}

// A scaffold has the source and the fixtures of the example, and its Makefile the command
// that the examples' README shows, so that there is one truth of each.
func TestPolicyNewIsTheExampleOfItsLanguage(t *testing.T) {
	commands := buildCommands(t)
	for lang, e := range map[string]struct{ title, source, file string }{
		"rust":           {"Rust", "rust/ticket.rs", "policy.rs"},
		"c":              {"C", "c/ticket.c", "policy.c"},
		"assemblyscript": {"AssemblyScript", "assemblyscript/ticket.ts", "policy.ts"},
		"wat":            {"WAT", "wat/ticket.wat", "policy.wat"},
	} {
		t.Run(lang, func(t *testing.T) {
			dir := scaffoldOf(t, lang)
			for from, to := range map[string]string{e.source: e.file, "fixtures/ticket.json": "fixtures/ticket.json"} {
				want, err := os.ReadFile(filepath.Join(examples, from))
				if err != nil {
					t.Fatal(err)
				}
				if got, err := os.ReadFile(filepath.Join(dir, to)); err != nil || string(got) != string(want) {
					t.Errorf("%s is not %s of the examples (%v)", to, from, err)
				}
			}
			makefile, err := os.ReadFile(filepath.Join(dir, "Makefile"))
			if err != nil {
				t.Fatal(err)
			}
			command := strings.NewReplacer(e.source, e.file, "-o ticket.wasm", "-o $@").Replace(commands[e.title])
			if command == "" || !strings.Contains(string(makefile), "\t"+command+"\n") {
				t.Errorf("the README has the command %q; the Makefile is\n%s", command, makefile)
			}
			noPlaceholders(t, dir)
		})
	}
}

// noPlaceholders fails if a file of a scaffold has a word that stands for another.
func noPlaceholders(t *testing.T, dir string) {
	t.Helper()
	err := fs.WalkDir(os.DirFS(dir), ".", func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		text, err := fs.ReadFile(os.DirFS(dir), path)
		for _, word := range []string{"NAME", "LANGUAGE", "SOURCE", "TOOLS", "octostore-policy-examples"} {
			if strings.Contains(string(text), word) {
				t.Errorf("%s has %s", path, word)
			}
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
}
