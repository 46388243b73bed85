//go:build unix

package sqlite

import (
	"os"
	"path/filepath"
	"syscall"
	"testing"
)

// What root restores belongs to the owner of the folder or of the old database, with the lock
// file, so the server of that user can open it.
func TestRestoreByRootLeavesNothingOfRoot(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("only root can restore for another user")
	}
	path, backup, _, _ := backedUp(t)
	fresh := filepath.Join(t.TempDir(), "o.db")
	const user = 12345
	for _, name := range []string{filepath.Dir(fresh), path} {
		if err := os.Chown(name, user, user); err != nil {
			t.Fatal(err)
		}
	}
	for _, at := range []string{fresh, path} {
		if _, err := restore(t, at, backup, nil); err != nil {
			t.Fatal(err)
		}
		for _, name := range []string{at, at + "-lock"} {
			info, err := os.Stat(name)
			if err != nil {
				t.Fatal(err)
			}
			if got := info.Sys().(*syscall.Stat_t).Uid; got != user {
				t.Errorf("%s belongs to user %d, want %d", filepath.Base(name), got, user)
			}
		}
	}
}
