//go:build unix && !linux

package recipes_test

import (
	"os/exec"
	"syscall"
	"testing"
)

// asContainer runs the command in the root of the file system; only Linux has more of a
// container.
func asContainer(_ *testing.T, _ *site, cmd *exec.Cmd, _ uint32) { cmd.Dir = "/" }

// stopContainer sends SIGTERM to the command.
func stopContainer(t *testing.T, r *run) {
	t.Helper()
	if err := r.cmd.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
}
