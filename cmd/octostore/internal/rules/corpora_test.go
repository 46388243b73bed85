package rules

import (
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/octostore/octostore/cmd/octostore/internal/octotest"
)

// The seeds in testdata/fuzz/NAME run as part of the tests only if the package has the fuzz
// test NAME. Without it they would lie there unused, and nothing would fail.
func TestFuzzSeedsHaveTheirTest(t *testing.T) {
	root, found := octotest.Root(), 0
	err := filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if d.IsDir() && strings.HasPrefix(d.Name(), ".") && path != root {
			return filepath.SkipDir
		}
		if !d.IsDir() || filepath.Base(filepath.Dir(path)) != "fuzz" || filepath.Base(filepath.Dir(filepath.Dir(path))) != "testdata" {
			return nil
		}
		found++
		pkg := filepath.Dir(filepath.Dir(filepath.Dir(path)))
		if !hasFuzzTest(t, pkg, d.Name()) {
			t.Errorf("no test of %s is %s, whose seeds lie there", strings.TrimPrefix(pkg, root+"/"), d.Name())
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if found == 0 {
		t.Fatal("no seeds were found")
	}
}

func hasFuzzTest(t *testing.T, pkg, name string) bool {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(pkg, "*_test.go"))
	if err != nil {
		t.Fatal(err)
	}
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		if strings.Contains(string(text), "\nfunc "+name+"(") {
			return true
		}
	}
	return false
}
