//go:build unix

package hooks

import (
	"github.com/octostore/octostore/hooks/internal/manifest"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

func TestManifestThatIsNoFileIsNotRead(t *testing.T) {
	h := newHouse(t)
	pipe := filepath.Join(h.dir, "p.wasm")
	if err := syscall.Mkfifo(pipe, 0o600); err != nil {
		t.Fatal(err)
	}
	for _, path := range []string{pipe, "/dev/zero", h.dir} {
		if _, err := ReadModule(path); err == nil || !strings.Contains(err.Error(), "not a regular file") {
			t.Errorf("%s: got %v", path, err)
		}
		if _, err := manifest.Read(path); err == nil || !strings.Contains(err.Error(), "not a regular file") {
			t.Errorf("%s: got %v", path, err)
		}
	}
}
