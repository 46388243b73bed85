//go:build unix

package peer

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestPeerNamesTheFolderThatKeepsItOut(t *testing.T) {
	open := openFolder(t)
	if err := enterable(filepath.Join(open, "own")); err != nil {
		t.Errorf("an open folder: %v", err)
	}
	closed := filepath.Join(open, "closed")
	if err := os.MkdirAll(filepath.Join(closed, "below"), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := enterable(filepath.Join(closed, "below", "own")); err == nil || !strings.Contains(err.Error(), "below is closed to other users") {
		t.Errorf("below a closed folder: got error %v", err)
	}
}
