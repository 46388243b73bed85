//go:build unix

package recipes_test

import (
	"syscall"
	"testing"

	"github.com/octostore/octostore/cmd/octostore/internal/octotest"
)

func TestRecipeForKubernetesIsStoppedWhileItWaits(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	s.hold(t, "backup/db")
	r := startKubernetes(t, s, same)
	octotest.WaitUntil(t, "it waits", func() bool { return s.look("backup/db").WaitersTotal == 1 })
	if err := r.cmd.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	r.ends(t, 128+int(syscall.SIGTERM))
	octotest.WaitUntil(t, "it has left the queue", func() bool { return s.look("backup/db").WaitersTotal == 0 })
	s.expectNotRun(t, "backup")
}
