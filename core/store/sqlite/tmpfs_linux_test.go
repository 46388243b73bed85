package sqlite

import (
	"testing"

	"golang.org/x/sys/unix"
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
