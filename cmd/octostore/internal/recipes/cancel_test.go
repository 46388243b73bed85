//go:build unix

package recipes_test

import (
	"syscall"
	"testing"

	"github.com/octostore/octostore/cmd/octostore/internal/octotest"
)

// A workflow that is cancelled sends SIGINT to the shell of the step, and to no other
// process.
func TestRecipeForGitHubActionsIsCancelled(t *testing.T) {
	t.Parallel()
	octotest.NeedTools(t, "bash", "curl", "sha256sum")
	r := newRunner(t, newSite(t))
	r.start(t, "Install octostore", same).ends(t, 0)
	deploy := r.start(t, "Deploy", same)
	deploy.runs(t, "deploy/prod", "deploy.sh")
	if err := deploy.cmd.Process.Signal(syscall.SIGINT); err != nil {
		t.Fatal(err)
	}
	deploy.ends(t, 128+int(syscall.SIGINT))
	r.expectFree(t, "deploy/prod")
}

// Runners that tell a cancelled job so send SIGTERM to all processes of its group or of its
// container.
func TestRecipeForGitLabIsCancelled(t *testing.T) {
	t.Parallel()
	octotest.NeedTools(t, "curl", "sha256sum")
	s := newSite(t)
	r, _ := startGitLab(t, s, "sh", same)
	r.runs(t, "deploy/prod", "deploy.sh")
	if err := syscall.Kill(-r.cmd.Process.Pid, syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	<-r.done
	octotest.WaitWithin(t, octotest.Promptly, "the lock is free", func() bool { return s.look("deploy/prod").Lease == nil })
}

// With KillMode=mixed, SIGTERM goes to the main process only.
func TestRecipeForSystemdIsStopped(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	r := startSystemd(t, s, same)
	r.runs(t, "backup/db", "backup")
	if err := r.cmd.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	r.ends(t, 128+int(syscall.SIGTERM))
	s.expectFree(t, "backup/db")
}

// The end of a pod is SIGTERM for the first process of each container.
func TestRecipeForKubernetesIsStopped(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	r := startKubernetes(t, s, same)
	r.runs(t, "backup/db", "backup")
	stopContainer(t, r)
	r.ends(t, 128+int(syscall.SIGTERM))
	s.expectFree(t, "backup/db")
}

func TestRecipeForKubernetesIsStoppedWhileItWaits(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	s.hold(t, "backup/db")
	r := startKubernetes(t, s, same)
	octotest.WaitUntil(t, "it waits", func() bool { return s.look("backup/db").WaitersTotal == 1 })
	stopContainer(t, r)
	r.ends(t, 128+int(syscall.SIGTERM))
	s.expectNotRun(t, "backup")
}
