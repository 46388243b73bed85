package sqlite

import (
	"errors"
	"path/filepath"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/octostore/octostore/core/lock"
	"github.com/octostore/octostore/core/store/storetest"
)

// mountTmpfs returns the root of a new file system of that size.
func mountTmpfs(t *testing.T, size string) string {
	t.Helper()
	dir := t.TempDir()
	if err := unix.Mount("tmpfs", dir, "tmpfs", 0, "size="+size); err != nil {
		t.Skipf("cannot mount a small file system (needs root): %v", err)
	}
	t.Cleanup(func() {
		if err := unix.Unmount(dir, 0); err != nil {
			t.Errorf("something still uses the file system: %v", err)
			unix.Unmount(dir, unix.MNT_DETACH)
		}
	})
	return dir
}

// A backup beside a server leaves the server its space. Elsewhere, and without a server, it may
// take all there is.
func TestBackupLeavesSpaceToAServer(t *testing.T) {
	dir := mountTmpfs(t, "32m")
	s := open(t, Config{Path: filepath.Join(dir, "o.db"), Reserve: -1, walSize: -1})
	storetest.Load(t, s)
	if err := Backup(t.Context(), s.path, filepath.Join(dir, "copy.db"), nil); !errors.Is(err, lock.ErrFull) {
		t.Errorf("on the disk of the server: %v, want that there is too little space", err)
	}
	if err := Backup(t.Context(), s.path, newPath(t), nil); err != nil {
		t.Errorf("on another disk: %v", err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	if err := Backup(t.Context(), s.path, filepath.Join(dir, "copy.db"), nil); err != nil {
		t.Errorf("without a server: %v", err)
	}
}
