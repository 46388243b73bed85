// Package rules_test checks rules of the repository: which package imports which, how long
// files are, where tests are skipped, and that tests which documents rely on are there.
package rules_test

import (
	"bytes"
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"go/parser"
	"go/token"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/octostore/octostore/cmd/octostore/internal/octotest"
)

const module = "github.com/octostore/octostore"

// listed is what `go list -json` says of a package.
type listed struct {
	ImportPath                         string
	Imports, TestImports, XTestImports []string
}

func TestDependenciesPointInward(t *testing.T) {
	packages := goList(t)
	if len(packages) == 0 {
		t.Fatal("go list found no packages")
	}
	for _, v := range violations(packages) {
		t.Error(v)
	}
}

// The checker itself has to see every kind of violation.
func TestDependencyRuleCatches(t *testing.T) {
	tests := []struct {
		name string
		pkg  listed
		want string // part of the one violation; empty: none
	}{
		{"nothing wrong", listed{ImportPath: "core", Imports: []string{"fmt", module + "/core/lock"}}, ""},
		{"inside knows outside", listed{ImportPath: "core/lock", Imports: []string{module + "/core/journal"}},
			"core/lock imports core/journal; it may import core/input"},
		{"neighbours", listed{ImportPath: "transport", Imports: []string{module + "/core/store/sqlite"}},
			"transport imports core/store/sqlite; it may import"},
		{"a package for tests in the binary", listed{ImportPath: "cmd/octostore/internal/demo", Imports: []string{module + "/hooks/wasmtest"}},
			"cmd/octostore/internal/demo imports hooks/wasmtest, which is for tests and does not ship"},
		{"tests may use packages for tests", listed{ImportPath: "cmd/octostore", TestImports: []string{module + "/hooks/wasmtest"}}, ""},
		{"packages for tests may use each other", listed{ImportPath: "plugins/guest/guesttest", Imports: []string{module + "/plugins/guest"}}, ""},
		{"no row", listed{ImportPath: "helpers"}, "helpers has no row in the table of directions"},
		{"deeper than its row", listed{ImportPath: "core/store/sqlite/raw"}, "has no row"},
		{"another's module", listed{ImportPath: "core/journal", Imports: []string{"modernc.org/sqlite"}},
			"core/journal imports modernc.org/sqlite, which only core/store/sqlite/internal/conn may"},
		{"cobra below the command", listed{ImportPath: "cmd/octostore/internal/config", Imports: []string{"github.com/spf13/cobra"}},
			"only cmd/octostore cmd/octostore/internal/manpages may"},
		{"prefix of a name is not a prefix of a path", listed{ImportPath: "core/lock", Imports: []string{"github.com/tidwall/btreex"}},
			"has no row in the table of modules"},
		{"unknown module", listed{ImportPath: "transport", Imports: []string{"example.com/x"}},
			"transport imports example.com/x, which has no row in the table of modules"},
		{"http in the core", listed{ImportPath: "core/auth", Imports: []string{"net/http"}},
			"core/auth imports net/http, which it has to do without"},
		{"http below a banned path", listed{ImportPath: "core", Imports: []string{"net/http/httptest"}},
			"core imports net/http/httptest"},
		{"http where it belongs", listed{ImportPath: "transport", Imports: []string{"net/http"}}, ""},
		{"tests may use the modules of tests", listed{ImportPath: "core", TestImports: []string{"go.uber.org/goleak"}}, ""},
		{"tests may go inward", listed{ImportPath: "transport", XTestImports: []string{module + "/core/store/memory"}}, ""},
		{"tests may stay in their tree", listed{ImportPath: "core/lock", XTestImports: []string{module + "/core/store/memory"}}, ""},
		{"tests may not go outward", listed{ImportPath: "core", XTestImports: []string{module + "/transport"}},
			"tests of core import transport; tests of core may use core"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			tt.pkg.ImportPath = module + "/" + tt.pkg.ImportPath
			got := violations([]listed{tt.pkg})
			if tt.want == "" {
				if len(got) > 0 {
					t.Errorf("got %q, want nothing", got)
				}
				return
			}
			if len(got) != 1 || !strings.Contains(got[0], tt.want) {
				t.Errorf("got %q, want one that says %q", got, tt.want)
			}
		})
	}
}

// unsafeIn lists the packages whose production files may import unsafe: the one that
// speaks SQLite's C interface, and those that run inside a policy, where the interface to the
// host is made of addresses.
const unsafeIn = "core/store/sqlite/internal/conn plugins/guest plugins/guest/internal/host"

func TestUnsafeIsImportedWhereItHasTo(t *testing.T) {
	found, err := unsafeImports(os.DirFS(octotest.Root()))
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range found {
		t.Error(f)
	}
}

func TestUnsafeRuleCatches(t *testing.T) {
	const imports = "package p\n\nimport (\n\t\"fmt\"\n\t\"unsafe\"\n)\n"
	for name, want := range map[string]string{
		"core/lock/fast.go":                    "core/lock/fast.go imports unsafe, which only",
		"core/store/sqlite/fast.go":            "core/store/sqlite/fast.go imports unsafe, which only",
		"core/lock/fast_windows.go":            "core/lock/fast_windows.go imports unsafe, which only",
		"core/lock/fast_test.go":               "",
		"core/lock/testdata/fast.go":           "",
		"core/store/sqlite/internal/conn/c.go": "",
	} {
		text := imports
		if strings.Contains(name, "windows") {
			text = "//go:build windows\n\n" + imports
		}
		found, err := unsafeImports(fstest.MapFS{name: {Data: []byte(text)}})
		if err != nil {
			t.Fatal(err)
		}
		got := strings.Join(found, "\n")
		if want == "" && got != "" || !strings.Contains(got, want) {
			t.Errorf("%s: got %q, want one that says %q", name, got, want)
		}
	}
}

// unsafeImports returns a sentence for each production file that imports unsafe although
// its package may not, for whatever system the file is.
func unsafeImports(root fs.FS) (found []string, err error) {
	err = fs.WalkDir(root, ".", func(p string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if d.IsDir() && p != "." && (strings.HasPrefix(d.Name(), ".") || d.Name() == "testdata") {
			return fs.SkipDir
		}
		if d.IsDir() || path.Ext(p) != ".go" || strings.HasSuffix(p, "_test.go") {
			return nil
		}
		text, err := fs.ReadFile(root, p)
		if err != nil {
			return err
		}
		file, err := parser.ParseFile(token.NewFileSet(), p, text, parser.ImportsOnly)
		if err != nil {
			return err
		}
		for _, imported := range file.Imports {
			if imported.Path.Value == `"unsafe"` && !matchesAny(unsafeIn, path.Dir(p)) {
				found = append(found, fmt.Sprintf("%s imports unsafe, which only %s may", p, unsafeIn))
			}
		}
		return nil
	})
	return found, err
}

func TestNoFileIsTooLong(t *testing.T) {
	const most = 450
	root := octotest.Root()
	err := filepath.WalkDir(root, func(p string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if d.IsDir() && strings.HasPrefix(d.Name(), ".") && p != root {
			return filepath.SkipDir
		}
		if d.IsDir() || filepath.Ext(p) != ".go" {
			return nil
		}
		text, err := os.ReadFile(p)
		if lines := bytes.Count(text, []byte("\n")); lines > most {
			t.Errorf("%s has %d lines; split it, a file has at most %d", strings.TrimPrefix(p, root+"/"), lines, most)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
}

// A folder is one room: a reader sees what is in it without scrolling. package main has a
// file for each command.
func TestNoFolderHasTooManyFiles(t *testing.T) {
	const most = 20
	root := octotest.Root()
	files := map[string]int{}
	err := filepath.WalkDir(root, func(p string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if d.IsDir() && (strings.HasPrefix(d.Name(), ".") || d.Name() == "testdata") && p != root {
			return filepath.SkipDir
		}
		if !d.IsDir() && filepath.Ext(p) == ".go" && !strings.HasSuffix(p, "_test.go") {
			files[filepath.Dir(p)]++
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if len(files) == 0 {
		t.Fatal("there are no files")
	}
	for folder, n := range files {
		if n > most {
			t.Errorf("%s has %d files besides tests; part it, a folder has at most %d", strings.TrimPrefix(folder, root+"/"), n, most)
		}
	}
}

// goList asks the go command for all packages of this module.
func goList(t *testing.T) []listed {
	t.Helper()
	list := exec.Command("go", "list", "-json=ImportPath,Imports,TestImports,XTestImports", "./...")
	list.Dir = octotest.Root()
	list.Stderr = os.Stderr
	out, err := list.Output()
	if err != nil {
		t.Fatalf("go list: %v", err)
	}
	var all []listed
	for dec := json.NewDecoder(bytes.NewReader(out)); ; {
		var p listed
		err := dec.Decode(&p)
		if errors.Is(err, io.EOF) {
			return all
		}
		if err != nil {
			t.Fatalf("go list: %v", err)
		}
		all = append(all, p)
	}
}

// violations returns everything about the packages that breaks a rule, as sentences.
func violations(packages []listed) []string {
	var found []string
	for _, p := range packages {
		name := ours(p.ImportPath)
		allowed, known := direction(name)
		if !known {
			found = append(found, name+" has no row in the table of directions")
			continue
		}
		for _, imported := range p.Imports {
			found = append(found, checkImport(name, imported, allowed)...)
		}
		for _, imported := range append(p.TestImports, p.XTestImports...) {
			found = append(found, checkTestImport(name, imported)...)
		}
	}
	slices.Sort(found)
	return slices.Compact(found)
}

func checkImport(name, imported, allowed string) []string {
	switch {
	case ours(imported) != "" && forTests(imported) && !forTests(name):
		return []string{fmt.Sprintf("%s imports %s, which is for tests and does not ship", name, ours(imported))}
	case ours(imported) != "":
		if matchesAny(allowed, ours(imported)) {
			return nil
		}
		return []string{fmt.Sprintf("%s imports %s; it may import %s", name, ours(imported), cmp.Or(allowed, "nothing of ours"))}
	case standard(imported):
		for _, b := range banned {
			if below(b.path, imported) && matchesAny(b.in, name) {
				return []string{fmt.Sprintf("%s imports %s, which it has to do without", name, imported)}
			}
		}
		return nil
	}
	for _, m := range modules {
		if !below(m.prefix, imported) {
			continue
		}
		if matchesAny(m.in, name) {
			return nil
		}
		return []string{fmt.Sprintf("%s imports %s, which only %s may", name, imported, m.in)}
	}
	return []string{fmt.Sprintf("%s imports %s, which has no row in the table of modules", name, imported)}
}

// forTests reports whether a package helps tests, and so belongs in no binary: its name says so.
func forTests(importPath string) bool { return strings.HasSuffix(importPath, "test") }

// checkTestImport lets tests use whatever is further inside, and the real parts of
// their own tree. Which modules of others they use is no matter of architecture.
func checkTestImport(name, imported string) []string {
	if ours(imported) == "" {
		return nil
	}
	tree, _, _ := strings.Cut(name, "/")
	importedTree, _, _ := strings.Cut(ours(imported), "/")
	if tree == importedTree || slices.Contains(strings.Fields(trees[tree]), importedTree) {
		return nil
	}
	return []string{fmt.Sprintf("tests of %s import %s; tests of %s may use %s",
		name, ours(imported), tree, strings.TrimSpace(tree+" "+trees[tree]))}
}

// ours returns the path of a package within this module, empty if it is another's.
func ours(importPath string) string {
	inside, is := strings.CutPrefix(importPath, module+"/")
	if !is {
		return ""
	}
	return inside
}

// standard reports whether a package is of the standard library: only there the
// first segment has no dot.
func standard(importPath string) bool {
	first, _, _ := strings.Cut(importPath, "/")
	return !strings.Contains(first, ".")
}

func direction(name string) (imports string, known bool) {
	for _, d := range directions {
		if matches(d.pkg, name) {
			return d.imports, true
		}
	}
	return "", false
}

func matchesAny(patterns, name string) bool {
	return slices.ContainsFunc(strings.Fields(patterns), func(p string) bool { return matches(p, name) })
}

func matches(pattern, name string) bool {
	if prefix, is := strings.CutSuffix(pattern, "..."); is {
		return strings.HasPrefix(name, prefix)
	}
	matched, err := path.Match(pattern, name)
	return matched && err == nil
}

func below(prefix, importPath string) bool {
	return importPath == prefix || strings.HasPrefix(importPath, prefix+"/")
}
