package runs_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"github.com/octostore/octostore/cmd/octostore/internal/octotest"
	"github.com/octostore/octostore/transport/api"
)

// newShell is an interactive shell in a terminal, which finds octostore on its PATH.
func newShell(t *testing.T, p *octotest.Server, dir string) *octotest.Terminal {
	t.Helper()
	octotest.NeedTools(t, "bash")
	bin := octotest.Binary(t)
	cmd := exec.Command("bash", "--norc", "--noprofile", "--noediting", "-i")
	cmd.Dir = dir
	cmd.Env = environ(t, "http://"+p.Addr, t.TempDir(), "PS1=ready> ", "TERM=dumb", "HISTFILE=")
	cmd.Env[0] = "PATH=" + filepath.Dir(bin) + ":" + octotest.SearchPath(t)
	s := octotest.StartInTerminal(t, cmd)
	s.Sees("ready> ")
	return s
}

// sleeps waits until the command runs, and returns its process id.
func sleeps(t *testing.T, s *octotest.Terminal, dir string) (pid int) {
	t.Helper()
	octotest.WaitUntil(t, "the command has the terminal", func() bool {
		if !isThere(dir, "pid") {
			return false
		}
		pid, _ = strconv.Atoi(content(t, dir, "pid"))
		return pid != 0 && s.Foreground() == pid
	})
	return pid
}

func TestRunAtATerminalIsStoppedContinuedAndInterrupted(t *testing.T) {
	t.Parallel()
	p, dir := octotest.Start(t, t.TempDir()), t.TempDir()
	s := newShell(t, p, dir)
	s.Types("octostore run a -- sh -c 'echo $$ >pid; exec sleep 60'\r")
	command := sleeps(t, s, dir)
	s.Types(octotest.CtrlZ)
	s.Sees("Stopped")
	s.Sees("ready> ")
	if s.Foreground() != s.Cmd.Process.Pid {
		t.Errorf("%d has the terminal, not the shell", s.Foreground())
	}
	if l := p.Look("a"); l.State != api.Held {
		t.Errorf("the lock is %+v", l)
	}
	s.Types("fg\r")
	octotest.WaitUntil(t, "the command has the terminal", func() bool { return s.Foreground() == command })
	s.Types(octotest.CtrlC)
	s.Sees("ready> ")
	s.Types("echo status $?\r")
	s.Sees("status 130")
	expectFree(t, p, "a")
}

// A command that was stopped for longer than the lease must not go on.
func TestRunStoppedAtATerminalForLongerThanItsLeaseDoesNotGoOn(t *testing.T) {
	t.Parallel()
	p, dir := octotest.Start(t, t.TempDir()), t.TempDir()
	s := newShell(t, p, dir)
	s.Types("octostore run --ttl 6s --kill-after 1s a -- sh -c 'echo $$ >pid; exec sleep 60'\r")
	command := sleeps(t, s, dir)
	s.Types(octotest.CtrlZ)
	s.Sees("Stopped")
	nextHolder(t, p, "a")
	if err := syscall.Kill(command, 0); err == nil && state(command) != "Z" {
		t.Errorf("the command is in state %s when somebody else has the lock", state(command))
	}
	s.Types("fg\r")
	s.Sees("the lease was lost while the command ran")
	s.Types("echo status $?\r")
	s.Sees("status 79")
}

func TestRunAtATerminalLetsTheCommandRead(t *testing.T) {
	t.Parallel()
	p, dir := octotest.Start(t, t.TempDir()), t.TempDir()
	s := newShell(t, p, dir)
	for _, line := range []string{
		"octostore run a -- sh -c 'read x; echo it says $x'",
		"octostore run a -- sh -c 'read x; echo it says $x' | cat",
	} {
		s.Types(line + "\r")
		octotest.WaitUntil(t, "the lock is held", func() bool { return p.Look("a").State == api.Held })
		s.Types("hello\r")
		s.Sees("it says hello")
		s.Sees("ready> ")
	}
}

// A loop of a script ends with ctrl-C, as it does without octostore.
func TestRunInterruptedAtATerminalEndsTheScript(t *testing.T) {
	t.Parallel()
	p, dir := octotest.Start(t, t.TempDir()), t.TempDir()
	writeFile(t, dir, "script", "for i in 1 2; do octostore run a -- sh -c 'echo $$ >pid; exec sleep 60'; done; echo went on\n")
	s := newShell(t, p, dir)
	s.Types("bash script\r")
	sleeps(t, s, dir)
	s.Types(octotest.CtrlC)
	s.Sees("ready> ")
	s.Types("echo status $?\r")
	s.Sees("status 130")
	expectFree(t, p, "a")
}

// state returns the state of a process: R, S, T, Z.
func state(pid int) string {
	stat, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/stat")
	if err != nil {
		return ""
	}
	_, rest, _ := strings.Cut(string(stat), ") ")
	return rest[:1]
}
