package sqlite

import (
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/octostore/octostore/core/lock"
)

// A database that is not writable is refused at the start, not at the first commit, and no
// new files stay.
func TestReadOnly(t *testing.T) {
	m := makeImages(t).stopped
	check := func(t *testing.T, path string) {
		t.Helper()
		before := filesIn(t, filepath.Dir(path))
		s, err := Open(t.Context(), Config{Path: path})
		if err == nil {
			s.Close()
		}
		if err == nil || !strings.Contains(err.Error(), path) {
			t.Errorf("Open = %v, want an error that names the file", err)
		}
		t.Log(err)
		if place := CheckLocation(path); place == nil || err == nil || place.Error() != err.Error() {
			t.Errorf("CheckPlace = %v, want %v", place, err)
		}
		if after := filesIn(t, filepath.Dir(path)); after != before {
			t.Errorf("there are %s, and were %s", after, before)
		}
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
	for _, test := range []struct {
		name      string
		file, dir os.FileMode
	}{
		{"mode of the file", 0o444, 0o700},
		{"mode of the directory", 0o600, 0o500},
		{"unreadable file", 0o000, 0o700},
	} {
		t.Run(test.name, func(t *testing.T) {
			path := newPath(t)
			write(t, m.files, "", path)
			dir := filepath.Dir(path)
			if err := os.Chmod(path, test.file); err != nil {
				t.Fatal(err)
			}
			if err := os.Chmod(dir, test.dir); err != nil {
				t.Fatal(err)
			}
			defer os.Chmod(dir, 0o700) // so that it can be removed
			boundByModes(t)
			check(t, path)
		})
	}
}

// boundByModes lets file modes count for the rest of the test, also if root runs it. Linux
// keeps privileges per thread, so the test stays on its own thread.
func boundByModes(t *testing.T) {
	t.Helper()
	runtime.LockOSThread()
	header := unix.CapUserHeader{Version: unix.LINUX_CAPABILITY_VERSION_3}
	var had [2]unix.CapUserData
	if err := unix.Capget(&header, &had[0]); err != nil {
		t.Fatal(err)
	}
	now := had
	now[0].Effective &^= 1<<unix.CAP_DAC_OVERRIDE | 1<<unix.CAP_DAC_READ_SEARCH
	if err := unix.Capset(&header, &now[0]); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := unix.Capset(&header, &had[0]); err != nil {
			t.Error(err) // the thread ends with its goroutine
			return
		}
		runtime.UnlockOSThread()
	})
}

// A backup may lie on a medium that cannot be written to, also one that is the file of a
// server that was stopped: SQLite would write files beside such a file.
func TestRestoreFromAReadOnlyFolder(t *testing.T) {
	dir := mountTmpfs(t, "4m")
	backup := filepath.Join(dir, "copy.db")
	write(t, makeImages(t).stopped.files, "", backup)
	if err := unix.Mount("", dir, "", unix.MS_REMOUNT|unix.MS_RDONLY, ""); err != nil {
		t.Fatal(err)
	}
	want, err := Examine(t.Context(), backup, func(Inspection) (none func(lock.Segment) error) { return nil })
	if err != nil {
		t.Fatal(err)
	}
	path := newPath(t)
	if _, err := restore(t, path, backup, nil); err != nil {
		t.Fatal(err)
	}
	checkHead(t, "restored", path, want.Head)
}
