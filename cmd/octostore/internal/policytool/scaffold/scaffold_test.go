package scaffold

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/octostore/octostore/cmd/octostore/internal/policytool/fixture"
)

var someSDK = fstest.MapFS{"guest/guest.go": {Data: []byte("package guest // NAME\n")}}

func TestNewLaysDownAPolicy(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "freeze")
	if err := New(dir, "freeze", "go", Sources{SDK: someSDK}); err != nil {
		t.Fatal(err)
	}
	for path, want := range map[string]string{
		"go.mod": "module policies.local/freeze\n", "sdk/go.mod": "module github.com/octostore/octostore\n",
		"sdk/plugins/guest/guest.go": "package guest // NAME\n", "main.go": "// Command freeze is a policy",
		"main_test.go": "package main\n", "Makefile": "freeze.wasm: go.mod", "README.md": "# freeze\n", ".gitignore": "*.wasm\n",
		"fixtures/ticket.json": `{"longest": "15m"}`, "fixtures/refuses.json": "load_error",
	} {
		text, err := os.ReadFile(filepath.Join(dir, path))
		if err != nil {
			t.Error(err)
		} else if !strings.Contains(string(text), want) || path != "sdk/plugins/guest/guest.go" && strings.Contains(string(text), "NAME") {
			t.Errorf("%s is\n%s\nwant %q in it", path, text, want)
		}
	}
	if _, err := fixture.Read(filepath.Join(dir, "fixtures")); err != nil {
		t.Error(err)
	}
	if err := New(dir, "freeze", "go", Sources{SDK: someSDK}); err == nil || !strings.Contains(err.Error(), "is there already") {
		t.Errorf("got %v", err)
	}
	if _, err := os.Stat(filepath.Join(dir, "go.mod")); err != nil {
		t.Error("what was there is gone:", err)
	}
	for _, name := range []string{"", "..", "a/b", "A", "a b", "-x"} {
		if err := New(filepath.Join(t.TempDir(), "p"), name, "go", Sources{SDK: someSDK}); err == nil || !strings.Contains(err.Error(), "is no name for a policy") {
			t.Errorf("%q: got %v", name, err)
		}
	}
}

// A policy is whole, or it is not there.
func TestNewLeavesNothingHalfDone(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "p")
	if err := New(dir, "p", "go", Sources{SDK: os.DirFS(filepath.Join(dir, "missing"))}); err == nil {
		t.Fatal("it was made")
	}
	if _, err := os.Stat(dir); err == nil {
		t.Error("something is left")
	}
}
