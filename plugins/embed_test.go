package plugins

import (
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

func TestSDKIsComplete(t *testing.T) {
	files := func(in fs.FS) (all []string) {
		err := fs.WalkDir(in, "guest", func(path string, d fs.DirEntry, err error) error {
			if err == nil && filepath.Ext(path) == ".go" && !strings.HasSuffix(path, "_test.go") {
				all = append(all, path)
			}
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
		return all
	}
	got, want := files(SDK), files(os.DirFS("."))
	if !slices.Equal(got, want) {
		t.Errorf("embedded are %q\nthere are    %q", got, want)
	}
}

// A copy has to build without a network and without the rest of the module.
func TestSDKNeedsOnlyItself(t *testing.T) {
	err := fs.WalkDir(SDK, ".", func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		text, err := fs.ReadFile(SDK, path)
		for line := range strings.Lines(string(text)) {
			imported := strings.Trim(strings.TrimSpace(line), `"`)
			if strings.HasPrefix(line, "\t\"") && strings.Contains(imported, ".") && !strings.HasPrefix(imported, "github.com/octostore/octostore/plugins/guest") {
				t.Errorf("%s imports %s", path, imported)
			}
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
}
