package host

import (
	"os"
	"path/filepath"
	"testing"
)

// A refused start removes its lock file. Another start may have opened it by then, and a
// lock on a file without a name excludes no other process.
func TestSideLockOfAFileThatIsGoneDoesNotCount(t *testing.T) {
	name := filepath.Join(t.TempDir(), "octostore.db-lock")
	for _, replaced := range []bool{false, true} {
		l, err := openSideLock(name)
		if err != nil {
			t.Fatal(err)
		}
		defer l.Release()
		if err := os.Remove(name); err != nil {
			t.Fatal(err)
		}
		if replaced {
			if err := os.WriteFile(name, nil, 0o600); err != nil {
				t.Fatal(err)
			}
		}
		if taken, err := l.take(); taken || err != nil {
			t.Errorf("with another file in its place (%v): taken %v, %v", replaced, taken, err)
		}
	}
}

// A side lock whose file was removed between opening and locking does not count.
func TestSideLockTakenAwayIsTakenAnew(t *testing.T) {
	path := filepath.Join(t.TempDir(), "octostore.db")
	refused, err := TakeSideLock(path)
	if err != nil {
		t.Fatal(err)
	}
	waiting, err := openSideLock(path + "-lock") // of another process, just before
	if err != nil {
		t.Fatal(err)
	}
	refused.Abandon()
	if waiting.isNamed() {
		t.Error("a file without a name counts as the lock")
	}
	waiting.Release()
	held, err := TakeSideLock(path)
	if err != nil {
		t.Fatal(err)
	}
	defer held.Release()
	if !held.isNamed() {
		t.Error("the lock is not the one of its name")
	}
}
