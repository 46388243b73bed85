package recipes_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"testing"
)

// asContainer makes of a command one that runs as in a container: as the first process of
// its own, as a user without a name, in the root of the file system. Both need root.
func asContainer(t *testing.T, s *site, cmd *exec.Cmd, user uint32) {
	t.Helper()
	cmd.Dir = "/"
	if os.Getuid() != 0 {
		return
	}
	if err := os.Chown(s.tokenFile, 0, int(user)); err != nil { // as fsGroup does
		t.Fatal(err)
	}
	if err := os.Chmod(s.tokenFile, 0o440); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(s.notes, 0o777); err != nil {
		t.Fatal(err)
	}
	for dir := filepath.Dir(s.bin); dir != "/" && dir != os.TempDir(); dir = filepath.Dir(dir) {
		if err := os.Chmod(dir, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	cmd.SysProcAttr = &syscall.SysProcAttr{
		Credential: &syscall.Credential{Uid: user, Gid: user},
		Cloneflags: syscall.CLONE_NEWPID,
	}
}
