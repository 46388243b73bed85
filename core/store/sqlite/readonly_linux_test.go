package sqlite

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

// A database that cannot be written to is refused at start, not at the first commit.
func TestReadOnly(t *testing.T) {
	m := makeImages(t).stopped
	check := func(t *testing.T, path string) {
		t.Helper()
		_, err := Open(t.Context(), Config{Path: path})
		if err == nil || !strings.Contains(err.Error(), path) {
			t.Errorf("Open = %v, want an error that names the file", err)
		}
		t.Log(err)
	}
	t.Run("file", func(t *testing.T) {
		path := filepath.Join(mountTmpfs(t, "4m"), "octostore.db")
		write(t, m.files, "", path)
		if err := unix.Mount(path, path, "", unix.MS_BIND, ""); err != nil {
			t.Fatal(err)
		}
		defer unix.Unmount(path, 0)
		if err := unix.Mount("", path, "", unix.MS_REMOUNT|unix.MS_BIND|unix.MS_RDONLY, ""); err != nil {
			t.Fatal(err)
		}
		check(t, path)
	})
	t.Run("directory", func(t *testing.T) {
		dir := mountTmpfs(t, "4m")
		path := filepath.Join(dir, "octostore.db")
		write(t, m.files, "", path)
		if err := unix.Mount("", dir, "", unix.MS_REMOUNT|unix.MS_RDONLY, ""); err != nil {
			t.Fatal(err)
		}
		check(t, path)
	})
	t.Run("permissions", func(t *testing.T) {
		if os.Geteuid() == 0 {
			t.Skip("root may write to any file")
		}
		path := newPath(t)
		write(t, m.files, "", path)
		if err := os.Chmod(path, 0o400); err != nil {
			t.Fatal(err)
		}
		check(t, path)
	})
}
