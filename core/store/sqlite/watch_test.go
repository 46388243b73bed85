package sqlite

import (
	"errors"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/octostore/octostore/core/store/sqlite/internal/conn"
	"github.com/octostore/octostore/core/store/sqlite/internal/host"
	"github.com/octostore/octostore/core/store/storetest"
)

// never is an interval for tests that must not depend on the checks.
const never = time.Hour

func mustRemove(t *testing.T, paths ...string) {
	t.Helper()
	for _, path := range paths {
		if err := os.Remove(path); err != nil {
			t.Fatal(err)
		}
	}
}

// Faults of the files under an open store, and the expected files afterwards.
var vanishings = []struct {
	name string
	do   func(t *testing.T, path string)
	want string
	kept bool // the next start still has every commit
}{
	{"all deleted", func(t *testing.T, path string) {
		mustRemove(t, path, path+"-wal", path+"-shm", path+"-lock")
	}, "octostore.db was deleted", false},
	{"the database deleted", func(t *testing.T, path string) { mustRemove(t, path) }, "octostore.db was deleted", false},
	{"the log deleted", func(t *testing.T, path string) { mustRemove(t, path+"-wal") }, "octostore.db-wal was deleted", true},
	{"its index deleted", func(t *testing.T, path string) { mustRemove(t, path+"-shm") }, "octostore.db-shm was deleted", true},
	{"the lock deleted", func(t *testing.T, path string) { mustRemove(t, path+"-lock") }, "octostore.db-lock was deleted", true},
	{"the lock replaced", func(t *testing.T, path string) {
		writeFile(t, path+"-new", nil)
		if err := os.Rename(path+"-new", path+"-lock"); err != nil {
			t.Fatal(err)
		}
	}, "in the place of octostore.db-lock", true},
	{"another database in its place", func(t *testing.T, path string) {
		other := newPath(t)
		s := open(t, Config{Path: other})
		storetest.Load(t, s)
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
		if err := os.Rename(other, path); err != nil {
			t.Fatal(err)
		}
	}, "in the place of octostore.db", false},
	{"written to by something else", func(t *testing.T, path string) {
		other, err := conn.Open(path, conn.ReadWrite)
		if err != nil {
			t.Fatal(err)
		}
		defer other.Close()
		if err := other.Exec("INSERT INTO segments VALUES (500, 10, 11, 0, x'7b7d0a', 0)"); err != nil {
			t.Fatal(err)
		}
	}, "ended with event 1 and now ends with 510", false},
}

func writeFile(t *testing.T, path string, b []byte) {
	t.Helper()
	if err := os.WriteFile(path, b, 0o600); err != nil {
		t.Fatal(err)
	}
}

// A store notices that its files were taken away, accepts nothing more, and says what
// happened. It saves its commits if there is a file to save them in.
func TestWatchNoticesWhatBecameOfTheFiles(t *testing.T) {
	for _, test := range vanishings {
		t.Run(test.name, func(t *testing.T) {
			var log told
			path := newPath(t)
			s := open(t, Config{Path: path, Logger: log.logger(), checkEvery: time.Millisecond})
			storetest.Load(t, s)
			var line storetest.Line
			line.Commit(t, s, 1, storetest.Row("a", 1, time.Minute))
			test.do(t, path)
			select {
			case <-s.Failed():
			case <-time.After(10 * time.Second):
				t.Fatal("not noticed")
			}
			err := s.Commit(t.Context(), line.Batch(1))
			if !errors.Is(err, ErrReplaced) || !strings.Contains(err.Error(), test.want) {
				t.Errorf("commit = %v, want ErrReplaced, which says %q", err, test.want)
			}
			if !strings.Contains(log.String(), test.want) {
				t.Errorf("the log says %q, and not %q", log.String(), test.want)
			}
			if err := s.Close(); err != nil {
				t.Errorf("close: %v", err)
			}
			if !test.kept || !host.HasInodeLocks && !strings.Contains(test.name, "lock") {
				return
			}
			if snap := storetest.Load(t, open(t, Config{Path: path})); len(snap.Leases) != 1 || snap.Head != line.Head {
				t.Errorf("afterwards there are %d leases, and the head is %v, want 1 and %v", len(snap.Leases), snap.Head, line.Head)
			}
		})
	}
}

// Close leaves files alone that were put in the place of the database: it does not read
// them as the database, and does not delete their log as its own.
func TestWatchLeavesTheFilesOfAnotherDatabase(t *testing.T) {
	for _, suffixes := range [][]string{{"", "-wal"}, {"-wal"}} {
		leavesTheFiles(t, suffixes)
	}
}

func leavesTheFiles(t *testing.T, suffixes []string) {
	t.Helper()
	path, other := newPath(t), newPath(t)
	s := open(t, Config{Path: path, checkEvery: never})
	storetest.Load(t, s)
	new(storetest.Line).Commit(t, s, 1)
	for _, suffix := range suffixes {
		writeFile(t, other+suffix, []byte("of another database"))
		if err := os.Rename(other+suffix, path+suffix); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := s.Segments(t.Context(), 0, 1); !errors.Is(err, ErrReplaced) {
		t.Errorf("a first read = %v, want ErrReplaced", err)
	}
	s.markFailed(s.checkFiles())
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	for _, suffix := range suffixes {
		if b, err := os.ReadFile(path + suffix); err != nil || string(b) != "of another database" {
			t.Errorf("%s%s now has %q, %v", path, suffix, b, err)
		}
	}
}

// A check does not fail while another process keeps the database locked, nor while commits,
// checkpoints and reads go on.
func TestWatchIsQuietWhileAllIsWell(t *testing.T) {
	s := open(t, Config{Path: newPath(t), checkEvery: 100 * time.Microsecond})
	storetest.Load(t, s)
	var line storetest.Line
	for n := range 500 {
		line.Commit(t, s, 1, bulkyRow(line.Head.Seq+1))
		if n%50 == 0 {
			if _, err := s.Segments(t.Context(), 0, 10); err != nil {
				t.Fatal(err)
			}
		}
	}
	other, err := conn.Open(s.path, conn.ReadWrite)
	if err != nil {
		t.Fatal(err)
	}
	defer other.Close()
	if err := other.Exec("BEGIN EXCLUSIVE"); err != nil {
		t.Fatal(err)
	}
	for range 20 {
		if err := s.checkContents(); err != nil {
			t.Error(err)
		}
	}
	if err := other.Exec("ROLLBACK"); err != nil {
		t.Fatal(err)
	}
	line.Commit(t, s, 1)
}

// A single failed check proves nothing. The store stops only after several in a row.
func TestWatchOutlivesALookThatFails(t *testing.T) {
	s := open(t, Config{Path: newPath(t), checkEvery: never})
	storetest.Load(t, s)
	lock := s.path + "-lock"
	failing := func() { // stat of a symbolic link to itself fails, with another error than that of no file
		t.Helper()
		if err := errors.Join(os.Link(lock, lock+"-kept"), os.Symlink(lock, lock+"-loop"), os.Rename(lock+"-loop", lock)); err != nil {
			t.Fatal(err)
		}
	}
	failed := 0
	for range 3 {
		failing()
		for range maxFailedChecks - 1 {
			if err := s.check(&failed); err != nil {
				t.Fatalf("look %d in vain = %v", failed, err)
			}
		}
		if err := os.Rename(lock+"-kept", lock); err != nil {
			t.Fatal(err)
		}
		if err := s.check(&failed); err != nil || failed != 0 {
			t.Fatalf("a look that succeeds = %v, %d failed", err, failed)
		}
	}
	failing()
	for range maxFailedChecks - 1 {
		s.check(&failed)
	}
	if err := s.check(&failed); err == nil || errors.Is(err, ErrReplaced) {
		t.Errorf("look %d in vain = %v, want the error of the file system", failed, err)
	}
}
