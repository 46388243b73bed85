package sqlite

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"github.com/octostore/octostore/core/lock"
	"github.com/octostore/octostore/core/store/storetest"
)

var restoredAt = time.Date(2026, 11, 27, 20, 0, 0, 0, time.UTC)

// backedUp makes a database of some events, a backup of it, and then more events, which lie
// in its write-ahead log as after a crash. It returns the heads of both.
func backedUp(t *testing.T) (path, backup string, old, present lock.Head) {
	t.Helper()
	running := newPath(t)
	s := open(t, Config{Path: running, Reserve: -1})
	storetest.Load(t, s)
	var line storetest.Line
	line.Commit(t, s, 3, storetest.Row("a", line.Head.Seq+1, time.Hour))
	old = line.Head
	backup = newPath(t)
	if err := Backup(t.Context(), running, backup, nil); err != nil {
		t.Fatal(err)
	}
	line.Commit(t, s, 3)
	path = newPath(t)
	copyFile(t, running, path)
	copyFile(t, running+"-wal", path+"-wal")
	return path, backup, old, line.Head
}

// headOf returns the head of a database as a start finds it.
func headOf(t *testing.T, path string) lock.Head {
	t.Helper()
	s, err := Open(t.Context(), Config{Path: path, Reserve: -1})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	return storetest.Load(t, s).Head
}

func restore(t *testing.T, path, backup string, with func(*Restoration)) (kept string, err error) {
	t.Helper()
	return restoreAt(t, restoredAt, path, backup, with)
}

func restoreAt(t *testing.T, at time.Time, path, backup string, with func(*Restoration)) (kept string, err error) {
	t.Helper()
	r, err := BeginRestore(path)
	if err != nil {
		return "", err
	}
	defer r.Close()
	if with != nil {
		with(r)
	}
	if err := r.Copy(t.Context(), backup, nil); err != nil {
		return "", err
	}
	return r.Replace(at)
}

func TestRestoreKeepsTheOldDatabaseAside(t *testing.T) {
	path, backup, old, present := backedUp(t)
	if err := os.Chmod(backup, 0o644); err != nil { // as a copy may have become on its way
		t.Fatal(err)
	}
	r, err := BeginRestore(path)
	if err != nil {
		t.Fatal(err)
	}
	if in, err := r.Present(t.Context()); err != nil || in.Head != present {
		t.Errorf("present: %v, %v, want %v", in.Head, err, present)
	}
	if _, err := Open(t.Context(), Config{Path: path}); !errors.Is(err, ErrInUse) {
		t.Errorf("a server starts during a restore: %v", err)
	}
	if _, err := BeginRestore(path); !errors.Is(err, ErrInUse) {
		t.Errorf("a second restore begins: %v", err)
	}
	if err := r.Copy(t.Context(), backup, nil); err != nil {
		t.Fatal(err)
	}
	if in, err := r.Examine(t.Context(), func(Inspection) func(lock.Segment) error { return nil }); err != nil || in.Head != old {
		t.Errorf("the draft: %v, %v, want %v", in.Head, err, old)
	}
	kept, err := r.Replace(restoredAt)
	if err != nil {
		t.Fatal(err)
	}
	r.Close()
	if info, err := os.Stat(path); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("the database: %v, %v", info, err)
	}
	if kept != path+".replaced-20261127T200000Z" {
		t.Errorf("kept as %s", kept)
	}
	for _, gone := range []string{path + "-wal", path + "-shm", kept + "-wal"} {
		if _, err := os.Stat(gone); !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("%s: %v", gone, err)
		}
	}
	if got := headOf(t, path); got != old {
		t.Errorf("the restored database ends at %v, want %v", got, old)
	}
	if got := headOf(t, kept); got != present {
		t.Errorf("the one that was kept ends at %v, want %v", got, present)
	}
	if left, _ := filepath.Glob(path + ".partial-*"); len(left) > 0 {
		t.Errorf("left: %v", left)
	}
}

func TestRestoreRefusals(t *testing.T) {
	path, backup, _, present := backedUp(t)
	s := open(t, Config{Path: path, Reserve: -1})
	storetest.Load(t, s)
	if _, err := restore(t, path, backup, nil); !errors.Is(err, ErrInUse) {
		t.Errorf("while a server runs: %v", err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	text := newPath(t)
	if err := os.WriteFile(text, []byte("not a database"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := restore(t, path, text, nil); err == nil {
		t.Error("a file that is not a database")
	}
	if _, err := restore(t, path, newPath(t), nil); err == nil {
		t.Error("a file that is not there")
	}
	if err := os.WriteFile(path+".replaced-20261127T200000Z", nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := restore(t, path, backup, nil); !errors.Is(err, fs.ErrExist) {
		t.Errorf("over a database that was kept: %v", err)
	}
	if got := headOf(t, path); got != present {
		t.Errorf("after all refusals it ends at %v, want %v", got, present)
	}
	if left, _ := filepath.Glob(path + ".partial-*"); len(left) > 0 {
		t.Errorf("left: %v", left)
	}
}

// Without a database there is none to keep. One beside the log of another database is kept as
// it is, with that log.
func TestRestoreInPlaceOfNothingAndOfDamage(t *testing.T) {
	path, backup, old, _ := backedUp(t)
	fresh := filepath.Join(t.TempDir(), "o.db")
	if kept, err := restore(t, fresh, backup, nil); err != nil || kept != "" {
		t.Fatalf("in a new place: %q, %v", kept, err)
	}
	if got := headOf(t, fresh); got != old {
		t.Errorf("in a new place it ends at %v, want %v", got, old)
	}

	copyFile(t, backup, path)
	wal, err := os.ReadFile(path + "-wal")
	if err != nil {
		t.Fatal(err)
	}
	kept, err := restore(t, path, backup, nil)
	if err != nil {
		t.Fatal(err)
	}
	if log, err := os.ReadFile(kept + "-wal"); err != nil || string(log) != string(wal) {
		t.Errorf("its log has %d bytes, want %d, %v", len(log), len(wal), err)
	}
	if got := headOf(t, path); got != old {
		t.Errorf("it ends at %v, want %v", got, old)
	}
}

// A restore that is killed leaves the old database or the restored one, whole, at every step.
// Neither is lost, and the next restore succeeds.
func TestRestoreThatIsKilled(t *testing.T) {
	if os.Getenv("OCTOSTORE_TEST_KILL") != "" {
		restoreUntilKilled(t)
	}
	for _, test := range []struct {
		step      string
		exchanges bool // the file system swaps two files in one step
		restored  bool
	}{
		{"prepared", true, false},
		{"folded the log", true, false},
		{"named", true, false},
		{"replaced", true, true},
		{"removed -wal", true, true},
		{"removed -shm", true, true},
		{"named", false, false},
		{"linked the database", false, false},
		{"replaced", false, true},
	} {
		t.Run(fmt.Sprintf("%s, swap %v", test.step, test.exchanges), func(t *testing.T) { // not parallel: a process that begins has the locks of the others for a moment
			path, backup, old, present := backedUp(t)
			cmd := exec.Command(os.Args[0], "-test.run=^TestRestoreThatIsKilled$")
			cmd.Env = append(os.Environ(), "OCTOSTORE_TEST_KILL="+test.step, "OCTOSTORE_TEST_PATH="+path, "OCTOSTORE_TEST_BACKUP="+backup)
			if !test.exchanges {
				cmd.Env = append(cmd.Env, "OCTOSTORE_TEST_NO_SWAP=1")
			}
			if out, _ := cmd.CombinedOutput(); cmd.ProcessState.ExitCode() != 9 {
				t.Fatalf("%v\n%s", cmd.ProcessState, out)
			}
			if kept, _ := filepath.Glob(path + ".replaced-*Z"); test.restored && (len(kept) != 1 || !hasHead(t, kept[0], present)) {
				t.Errorf("%v is not the old database", kept)
			}
			switch {
			case test.step == "linked the database":
				if _, err := Open(t.Context(), Config{Path: path, Reserve: -1}); err == nil || !hasHead(t, path, present) {
					t.Errorf("a server starts: %v; or it is not the old database", err)
				}
			case test.restored:
				checkHead(t, "after the kill", path, old)
			default:
				checkHead(t, "after the kill", path, present)
			}
			if kept, err := restoreAt(t, restoredAt.Add(time.Second), path, backup, nil); err != nil {
				t.Errorf("the next restore: %s, %v", kept, err)
			}
			checkHead(t, "after the next restore", path, old)
		})
	}
}

func restoreUntilKilled(t *testing.T) {
	t.Helper()
	_, err := restore(t, os.Getenv("OCTOSTORE_TEST_PATH"), os.Getenv("OCTOSTORE_TEST_BACKUP"), func(r *Restoration) {
		if os.Getenv("OCTOSTORE_TEST_NO_SWAP") != "" {
			r.swap = func(string, string) error { return errors.ErrUnsupported }
		}
		r.step = func(at string) {
			if at == os.Getenv("OCTOSTORE_TEST_KILL") {
				os.Exit(9)
			}
		}
	})
	t.Fatalf("it was not killed: %v", err)
}

func checkHead(t *testing.T, when, path string, want lock.Head) {
	t.Helper()
	if got := headOf(t, path); got != want {
		t.Errorf("%s it ends at %v, want %v", when, got, want)
	}
}

// hasHead reports whether the database at path ends at a head.
func hasHead(t *testing.T, path string, head lock.Head) bool {
	t.Helper()
	in, err := Inspect(t.Context(), path, 0, nil)
	return err == nil && in.Head == head
}
