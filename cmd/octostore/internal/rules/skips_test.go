package rules_test

import (
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/octostore/octostore/cmd/octostore/internal/octotest"
)

// A test that is skipped proves nothing, so every place that can skip one stands in
// testdata/skips.txt with its reason. A new one, or one that is gone, fails here.
func TestSkipsAreKnown(t *testing.T) {
	known := map[string]bool{}
	list, err := os.ReadFile("testdata/skips.txt")
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(list)) {
		place, reason, _ := strings.Cut(strings.TrimSpace(line), ": ")
		if place == "" || strings.HasPrefix(place, "#") {
			continue
		}
		if reason == "" {
			t.Errorf("%s is listed without a reason", place)
		}
		known[place] = true
	}
	found := skips(t, octotest.Root())
	for _, place := range found {
		if !known[place] {
			t.Errorf("%s can skip a test; say why in cmd/octostore/internal/rules/testdata/skips.txt, or better, do not", place)
		}
		delete(known, place)
	}
	for place := range known {
		t.Errorf("%s skips nothing any more", place)
	}
}

// skips returns "path function" for every function below root that calls Skip, Skipf
// or SkipNow.
func skips(t *testing.T, root string) (found []string) {
	t.Helper()
	files := token.NewFileSet()
	err := filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() || !strings.HasSuffix(path, ".go") {
			return err
		}
		file, err := parser.ParseFile(files, path, nil, 0)
		if err != nil {
			return err
		}
		path, err = filepath.Rel(root, path)
		if err != nil {
			return err
		}
		for _, decl := range file.Decls {
			if f, ok := decl.(*ast.FuncDecl); ok && callsSkip(f) {
				found = append(found, filepath.ToSlash(path)+" "+f.Name.Name)
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	slices.Sort(found)
	return found
}

func callsSkip(f *ast.FuncDecl) (found bool) {
	ast.Inspect(f, func(n ast.Node) bool {
		call, ok := n.(*ast.CallExpr)
		if !ok {
			return true
		}
		if sel, ok := call.Fun.(*ast.SelectorExpr); ok {
			switch sel.Sel.Name {
			case "Skip", "Skipf", "SkipNow":
				found = true
			}
		}
		return true
	})
	return found
}
