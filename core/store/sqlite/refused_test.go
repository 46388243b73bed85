package sqlite

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/octostore/octostore/core/store/sqlite/internal/conn"
	"github.com/octostore/octostore/core/store/storetest"
)

// filesIn returns the names in a directory, on one line; none if it is not there.
func filesIn(t *testing.T, dir string) string {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		t.Fatal(err)
	}
	var names []string
	for _, e := range entries {
		names = append(names, e.Name())
	}
	return strings.Join(names, " ")
}

// A refused file stays as it is, and so do the files beside it.
func TestRefusedFiles(t *testing.T) {
	made := func(t *testing.T, sql ...string) string {
		path := newPath(t)
		s := open(t, Config{Path: path})
		for _, q := range sql {
			if err := s.w.Exec(q); err != nil {
				t.Fatal(err)
			}
		}
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
		return path
	}
	for _, test := range []struct {
		name string
		path func(*testing.T) string
		want error // nil: any
	}{
		{"made by a newer version", func(t *testing.T) string { return made(t, "PRAGMA user_version = 99") }, ErrNewer},
		{"made by another program", func(t *testing.T) string { return made(t, "PRAGMA application_id = 7") }, ErrForeign},
		{"made by a program without an id", func(t *testing.T) string { return made(t, "PRAGMA application_id = 0") }, ErrForeign},
		{"no database", func(t *testing.T) string {
			path := newPath(t)
			if err := os.WriteFile(path, []byte(strings.Repeat("some text\n", 1000)), 0o600); err != nil {
				t.Fatal(err)
			}
			return path
		}, nil},
		{"a directory", func(t *testing.T) string { return t.TempDir() }, nil},
		{"in a directory that does not exist", func(t *testing.T) string { return filepath.Join(t.TempDir(), "no", "x.db") }, nil},
		{"a database in use by another program", func(t *testing.T) string {
			path := newPath(t)
			c, err := conn.Open(path, conn.ReadWrite|conn.Create)
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { c.Close() })
			for _, q := range []string{"PRAGMA journal_mode = WAL", "CREATE TABLE theirs (a)"} {
				if err := c.Exec(q); err != nil {
					t.Fatal(err)
				}
			}
			return path
		}, ErrForeign},
		{"a link that leads nowhere", func(t *testing.T) string {
			path := newPath(t)
			if err := os.Symlink(path+"-gone", path); err != nil {
				t.Fatal(err)
			}
			return path
		}, fs.ErrNotExist},
		{"no path", func(*testing.T) string { return "" }, nil},
	} {
		t.Run(test.name, func(t *testing.T) {
			path := test.path(t)
			before, _ := os.ReadFile(path)
			beside := filesIn(t, filepath.Dir(path))
			for range 2 { // the second would find a lock the first had left
				_, err := Open(t.Context(), Config{Path: path})
				if err == nil || errors.Is(err, ErrInUse) || test.want != nil && !errors.Is(err, test.want) {
					t.Fatalf("Open = %v, want %v", err, test.want)
				}
				if path != "" && !strings.Contains(err.Error(), filepath.Base(path)) {
					t.Errorf("error %q does not name the file", err)
				}
			}
			if after, _ := os.ReadFile(path); string(after) != string(before) {
				t.Error("the refused file was changed")
			}
			if after := filesIn(t, filepath.Dir(path)); after != beside {
				t.Errorf("there are %s, and were %s", after, beside)
			}
		})
	}
}

// Each name of a file would have a side lock and a write-ahead log of its own, so a file
// with several names is refused, also while a server has it open.
func TestHardLinksAreRefused(t *testing.T) {
	dir := t.TempDir()
	one, two := filepath.Join(dir, "one.db"), filepath.Join(dir, "two.db")
	s := open(t, Config{Path: one})
	storetest.Load(t, s)
	new(storetest.Line).Commit(t, s, 1)
	if err := os.Link(one, two); err != nil {
		t.Fatal(err)
	}
	before := filesIn(t, dir)
	refused := func(path string) {
		t.Helper()
		other, err := Open(t.Context(), Config{Path: path})
		if err == nil {
			other.Close()
		}
		if err == nil || !strings.Contains(err.Error(), "2 names") || !strings.Contains(err.Error(), path) {
			t.Errorf("Open of %s = %v, want an error that names it and says that it has 2 names", path, err)
		}
	}
	refused(two)
	link := filepath.Join(t.TempDir(), "link.db")
	if err := os.Symlink(two, link); err != nil {
		t.Fatal(err)
	}
	_, err := Open(t.Context(), Config{Path: link})
	if err == nil || !strings.Contains(err.Error(), "2 names") {
		t.Errorf("Open of a symbolic link to it = %v", err)
	}
	if after := filesIn(t, dir); after != before {
		t.Errorf("there are %s, and were %s", after, before)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	refused(one)
	refused(two)
	if err := os.Remove(two); err != nil {
		t.Fatal(err)
	}
	open(t, Config{Path: one})
}

// A directory has one side lock, whatever its name.
func TestSymlinkDoesNotBypassTheSideLock(t *testing.T) {
	dir, link := t.TempDir(), filepath.Join(t.TempDir(), "link")
	if err := os.Symlink(dir, link); err != nil {
		t.Fatal(err)
	}
	// The first is opened where there is no file yet.
	open(t, Config{Path: filepath.Join(link, "octostore.db")})
	for _, d := range []string{dir, link} {
		if _, err := Open(t.Context(), Config{Path: filepath.Join(d, "octostore.db")}); !errors.Is(err, ErrInUse) {
			t.Errorf("second Open in %s = %v, want ErrInUse", d, err)
		}
	}
}
