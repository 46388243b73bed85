//go:build linux || darwin || freebsd

package job

import (
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/octostore/octostore/cmd/octostore/internal/octotest"
	"github.com/octostore/octostore/core/boottime"
)

// guardOf returns the guard of a process that runs a job.
func guardOf(t *testing.T, pid int) int {
	t.Helper()
	octotest.NeedTools(t, "pgrep")
	guard := 0
	until(t, "there is a guard", func() bool {
		out, _ := exec.Command("pgrep", "-P", strconv.Itoa(pid), "-f", Argument).Output()
		guard, _ = strconv.Atoi(strings.TrimSpace(string(out)))
		return guard != 0
	})
	return guard
}

const stubborn = `trap '' TERM
sh -c 'trap "" TERM; while :; do sleep 0.1; done' & echo $! >grandchild
echo $$ >leader; while :; do sleep 0.1; done`

func TestGuardEndsTheJobOfAStoppedProcess(t *testing.T) {
	t.Parallel()
	r := startRun(t, stubborn, "-deadline", "4s", "-kill-after", "1s")
	leader, grandchild := r.pid(t, "leader"), r.pid(t, "grandchild")
	r.wait(t, "deadline")
	if err := r.Process.Signal(syscall.SIGSTOP); err != nil {
		t.Fatal(err)
	}
	until(t, "the job has ended", func() bool { return gone(leader) && gone(grandchild) })
	if left := r.left(t); left < 0 || left > lag+100*time.Millisecond {
		t.Errorf("it has ended %s before its deadline", left)
	}
	until(t, "the deadline is over", func() bool { return r.left(t) < 0 })
	if err := r.Process.Signal(syscall.SIGCONT); err != nil {
		t.Fatal(err)
	}
	if got := r.end(t); got.Cause != ErrDeadline.Error() || got.Signal != int(syscall.SIGKILL) {
		t.Errorf("its status is %+v", got)
	}
}

func TestGuardSendsOneTERM(t *testing.T) {
	t.Parallel()
	r := startRun(t, "trap 'echo got >>terms' TERM; echo $$ >leader; while :; do sleep 0.05; done", "-deadline", "4s", "-kill-after", "2s")
	r.pid(t, "leader")
	r.wait(t, "deadline")
	if err := r.Process.Signal(syscall.SIGSTOP); err != nil {
		t.Fatal(err)
	}
	r.wait(t, "terms")
	if err := r.Process.Signal(syscall.SIGCONT); err != nil {
		t.Fatal(err)
	}
	if got := r.end(t); got.Cause != ErrDeadline.Error() {
		t.Errorf("its status is %+v", got)
	}
	if terms := r.read("terms"); terms != "got\n" {
		t.Errorf("it got TERM: %q", terms)
	}
}

func TestGuardKnowsAJobThatEndedBefore(t *testing.T) {
	t.Parallel()
	r := startRun(t, "echo $$ >leader; while ! test -e go; do sleep 0.05; done; exit 4", "-deadline", "3s", "-kill-after", "1s")
	leader := r.pid(t, "leader")
	r.wait(t, "deadline")
	if err := r.Process.Signal(syscall.SIGSTOP); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(r.dir, "go"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	until(t, "the command has ended", func() bool { return gone(leader) })
	until(t, "the deadline is over", func() bool { return r.left(t) < 0 })
	if err := r.Process.Signal(syscall.SIGCONT); err != nil {
		t.Fatal(err)
	}
	if got := r.end(t); got != (report{Code: 4}) {
		t.Errorf("its status is %+v", got)
	}
}

// A process that is stopped as soon as it has started the command ends it in time all the same.
func TestGuardKnowsTheDeadlineFromTheFirstMoment(t *testing.T) {
	t.Parallel()
	r := startRun(t, "echo $$ >leader; exec sleep 60", "-deadline", "2s", "-kill-after", "200ms", "-stopped")
	leader := r.pid(t, "leader")
	until(t, "the job has ended", func() bool { return gone(leader) })
	if err := r.Process.Signal(syscall.SIGCONT); err != nil {
		t.Fatal(err)
	}
	if got := r.end(t); got.Cause != ErrDeadline.Error() {
		t.Errorf("its status is %+v", got)
	}
}

func TestGuardEndsTheJobOfAKilledProcess(t *testing.T) {
	t.Parallel()
	r := startRun(t, stubborn, "-kill-after", "500ms")
	leader, grandchild := r.pid(t, "leader"), r.pid(t, "grandchild")
	guard := guardOf(t, r.Process.Pid)
	if err := r.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	until(t, "the job has ended", func() bool { return gone(leader) && gone(grandchild) })
	until(t, "the guard has ended", func() bool { return gone(guard) })
}

func TestGuardIsReplaced(t *testing.T) {
	t.Parallel()
	r := startRun(t, stubborn, "-kill-after", "500ms")
	leader := r.pid(t, "leader")
	first := guardOf(t, r.Process.Pid)
	for _, sig := range []syscall.Signal{syscall.SIGTERM, syscall.SIGINT, syscall.SIGHUP, syscall.SIGQUIT, syscall.SIGKILL} {
		if err := syscall.Kill(first, sig); err != nil {
			t.Fatalf("%s has ended the guard", sig)
		}
	}
	until(t, "the guard has ended", func() bool { return gone(first) })
	second := guardOf(t, r.Process.Pid)
	if first == second || gone(leader) {
		t.Fatal("the guard is not replaced")
	}
	if err := r.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	until(t, "the job has ended", func() bool { return gone(leader) && gone(r.pid(t, "grandchild")) })
}

func TestGroupWhoseNumberBelongsToAnotherIsNotSignalled(t *testing.T) {
	t.Parallel()
	cmd := exec.Command("sleep", "60")
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	g := groupOf(cmd.Process.Pid)
	if g.Started == "" {
		t.Log("this system does not tell when a process was started")
	} else if err := (group{g.ID, g.Started + "0"}).signal(syscall.SIGKILL); !errors.Is(err, syscall.ESRCH) {
		t.Errorf("another group: %v", err)
	}
	if err := g.signal(syscall.SIGTERM); err != nil {
		t.Errorf("its group: %v", err)
	}
	_ = cmd.Wait()
	if s := cmd.ProcessState.Sys().(syscall.WaitStatus); s.Signal() != syscall.SIGTERM {
		t.Errorf("it has ended by %s", s.Signal())
	}
	if n := g.running(); n != 0 {
		t.Errorf("%d processes are left", n)
	}
}

// A process that takes its guard for idle ends it, and with it the end of what has left the group.
func TestGuardMayBeAheadOfTheProcess(t *testing.T) {
	w := watch{deadline: 10 * time.Second, command: Command{KillAfter: 2 * time.Second}}
	acts := w.lastMoment() - 2*time.Second + lag // on the clock of the guard
	for now, want := range map[time.Duration]bool{
		acts - boottime.Behind - 1: false,
		acts - boottime.Behind:     true,
		acts:                       true,
	} {
		if got := w.guardMayEnd(now); got != want {
			t.Errorf("%s before: %t", acts-now, got)
		}
	}
	if w.deadline = 0; w.guardMayEnd(time.Hour) {
		t.Error("without a deadline")
	}
}
