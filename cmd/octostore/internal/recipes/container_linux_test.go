package recipes_test

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"github.com/octostore/octostore/cmd/octostore/internal/octotest"
)

// asContainer makes of a command one that runs as in a container: in the root of the file
// system, as a user without a name, and as the first process of its own. All but the first
// need root.
func asContainer(t *testing.T, s *site, cmd *exec.Cmd, user uint32) {
	t.Helper()
	cmd.Dir = "/"
	if os.Getuid() != 0 || exec.Command("unshare", "--pid", "--fork", "--mount-proc", "setpriv", "--clear-groups", "true").Run() != nil {
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
	id := strconv.Itoa(int(user))
	cmd.Args = append([]string{
		"unshare", "--pid", "--fork", "--mount-proc", "setpriv", "--reuid=" + id, "--regid=" + id, "--clear-groups", cmd.Path,
	}, cmd.Args[1:]...)
	cmd.Path = "unshare"
}

// stopContainer sends SIGTERM to the first process of a container.
func stopContainer(t *testing.T, r *run) {
	t.Helper()
	first := r.cmd.Process.Pid
	if filepath.Base(r.cmd.Path) == "unshare" {
		octotest.WaitUntil(t, "there is a first process", func() bool {
			children, err := os.ReadFile(fmt.Sprintf("/proc/%d/task/%[1]d/children", r.cmd.Process.Pid))
			if err != nil {
				t.Fatal(err)
			}
			first, err = strconv.Atoi(strings.TrimSpace(string(children)))
			return err == nil
		})
	}
	if err := syscall.Kill(first, syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
}
