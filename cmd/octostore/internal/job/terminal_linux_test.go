package job

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/octostore/octostore/cmd/octostore/internal/octotest"
)

// screen is a terminal in which jobs run, in a folder of its own.
type screen struct {
	*testing.T
	*octotest.Terminal

	dir string
}

// newScreen starts a program in a terminal.
func newScreen(t *testing.T, args ...string) *screen {
	t.Helper()
	cmd := exec.Command(args[0], args[1:]...)
	cmd.Dir = t.TempDir()
	cmd.Env = append(os.Environ(), "PS1=ready> ", "PS2=", "TERM=dumb", "ENV=", "HISTFILE=", "W="+os.Args[0]+" "+wrapper+" -status status")
	s := &screen{t, octotest.StartInTerminal(t, cmd), cmd.Dir}
	t.Cleanup(func() {
		if pid, err := strconv.Atoi(strings.TrimSpace(s.read("leader"))); err == nil {
			_ = syscall.Kill(-pid, syscall.SIGKILL) // of a test that has failed
		}
	})
	return s
}

// newShell starts an interactive shell in a terminal.
func newShell(t *testing.T, shell ...string) *screen {
	t.Helper()
	s := newScreen(t, shell...)
	s.Sees("ready> ")
	return s
}

func (s *screen) read(file string) string {
	content, _ := os.ReadFile(filepath.Join(s.dir, file))
	return string(content)
}

func (s *screen) pid(file string) (pid int) {
	s.Helper()
	until(s.T, file+" is written", func() bool {
		var err error
		pid, err = strconv.Atoi(strings.TrimSuffix(s.read(file), "\n"))
		return err == nil && strings.HasSuffix(s.read(file), "\n")
	})
	return pid
}

func (s *screen) report() (r report) {
	s.Helper()
	until(s.T, "the status is written", func() bool { return json.Unmarshal([]byte(s.read("status")), &r) == nil })
	return r
}

// state returns the state of a process: R, S, T, Z.
func state(pid int) string {
	stat, _ := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	_, rest, _ := bytes.Cut(stat, []byte(") "))
	if len(rest) == 0 {
		return ""
	}
	return string(rest[:1])
}

var shells = map[string][]string{
	"bash": {"bash", "--norc", "--noprofile", "--noediting", "-i"},
	"dash": {"dash", "-i"},
}

// sleeper is a command that can be stopped at any time. Shells cannot: dash, like others,
// does not stop while a child that it has started with vfork is stopped before its exec.
const sleeper = "echo $$ >leader; exec sleep 60"

// leader returns the process id of a sleeper that sleeps.
func (s *screen) leader() int {
	s.Helper()
	pid := s.pid("leader")
	until(s.T, "it sleeps", func() bool {
		comm, _ := os.ReadFile(fmt.Sprintf("/proc/%d/comm", pid))
		return string(comm) == "sleep\n"
	})
	return pid
}

func TestTerminalStopsAndContinuesAJob(t *testing.T) {
	t.Parallel()
	for name, shell := range shells {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newShell(t, shell...)
			s.Types("$W sh -c '" + sleeper + "'\r")
			leader := s.leader()
			until(t, "it has the terminal", func() bool { return s.Foreground() == leader })
			for range 2 {
				s.Types(octotest.CtrlZ)
				s.Sees("Stopped")
				s.Sees("ready> ")
				if state(leader) != "T" || s.Foreground() != s.Cmd.Process.Pid {
					t.Fatalf("it is in state %s, and %d has the terminal", state(leader), s.Foreground())
				}
				s.Types("fg\r")
				until(t, "it goes on in the foreground", func() bool { return state(leader) != "T" && s.Foreground() == leader })
			}
			s.Types(octotest.CtrlZ)
			s.Sees("ready> ")
			s.Types("bg\r")
			until(t, "it goes on", func() bool { return state(leader) != "T" })
			if s.Foreground() != s.Cmd.Process.Pid {
				t.Errorf("%d has the terminal", s.Foreground())
			}
			s.Types("fg\r")
			until(t, "it goes on in the foreground", func() bool { return s.Foreground() == leader })
			s.Types(octotest.CtrlC)
			s.Sees("ready> ")
			s.Types("echo status $?\r")
			s.Sees("status 130")
			if got := s.report(); got.Signal != int(syscall.SIGINT) || got.Cause != "" {
				t.Errorf("its status is %+v", got)
			}
			if s.Foreground() != s.Cmd.Process.Pid {
				t.Errorf("%d has the terminal", s.Foreground())
			}
		})
	}
}

func TestTerminalInterruptsOnce(t *testing.T) {
	t.Parallel()
	for name, tail := range map[string]string{"in the foreground": "", "in a pipeline": " | cat"} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newShell(t, shells["bash"]...)
			s.Types("$W sh -c 'trap \"echo got >>ints\" INT; echo $$ >leader; while :; do sleep 0.1; done'" + tail + "\r")
			leader := s.pid("leader")
			s.Types(octotest.CtrlC)
			until(t, "it has got SIGINT", func() bool { return s.read("ints") != "" })
			if err := syscall.Kill(leader, syscall.SIGTERM); err != nil {
				t.Fatal(err)
			}
			if s.report(); s.read("ints") != "got\n" {
				t.Errorf("it got %q", s.read("ints"))
			}
		})
	}
}

func TestTerminalIsReadByTheJob(t *testing.T) {
	t.Parallel()
	for name, line := range map[string]string{
		"standard input": "$W sh -c 'read x; echo it says $x'",
		"in a pipeline":  "$W sh -c 'read x; echo it says $x' | cat",
		"opened":         "echo | $W sh -c 'read x </dev/tty; echo it says $x'",
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newShell(t, shells["bash"]...)
			s.Types(line + "\r")
			s.Sees(line)
			s.Types("hello\r")
			s.Sees("it says hello")
			s.Sees("ready> ")
			if s.Foreground() != s.Cmd.Process.Pid {
				t.Errorf("%d has the terminal", s.Foreground())
			}
		})
	}
}

func TestTerminalIsNotTakenFromTheBackground(t *testing.T) {
	t.Parallel()
	s := newShell(t, shells["bash"]...)
	s.Types("$W sh -c 'echo $$ >leader; read x; echo it says $x' &\r")
	leader := s.pid("leader")
	until(t, "it is stopped", func() bool { return state(leader) == "T" })
	if s.Foreground() != s.Cmd.Process.Pid {
		t.Errorf("%d has the terminal", s.Foreground())
	}
	until(t, "the shell knows", func() bool { s.Types("jobs\r"); s.Sees("ready> "); return strings.Contains(s.Shown(), "Stopped") })
	s.Types("fg\r")
	until(t, "it has the terminal", func() bool { return s.Foreground() == leader })
	s.Types("hello\r")
	s.Sees("it says hello")
}

func TestTerminalInterruptEndsTheScript(t *testing.T) {
	t.Parallel()
	for _, shell := range []string{"bash", "dash"} {
		for _, input := range []string{"", " </dev/null", " | cat"} { // with and without the terminal
			t.Run(shell+input, func(t *testing.T) {
				t.Parallel()
				s := newShell(t, shells["bash"]...)
				script := "for i in 1 2; do $W sh -c 'echo round >>rounds; " + sleeper + "'" + input + "; done\necho went on >later\n"
				if err := os.WriteFile(filepath.Join(s.dir, "script"), []byte(script), 0o600); err != nil {
					t.Fatal(err)
				}
				s.Types(shell + " script\r")
				leader := s.leader()
				until(t, "it has the terminal", func() bool { return input != "" || s.Foreground() == leader })
				if input == "" { // else the shell reports the script as stopped before all of it is, and fg comes too soon
					s.Types(octotest.CtrlZ)
					s.Sees("Stopped")
					s.Sees("ready> ")
					s.Types("fg\r")
					until(t, "it goes on", func() bool { return state(leader) != "T" && s.Foreground() == leader })
				}
				s.Types(octotest.CtrlC)
				s.Sees("ready> ")
				s.Types("echo status $?\r")
				s.Sees("status 130")
				if rounds := s.read("rounds"); rounds != "round\n" || s.read("later") != "" {
					t.Errorf("the script went on, with %q", rounds)
				}
			})
		}
	}
}

func TestTerminalOfAStoppedJobWhoseDeadlineIsOver(t *testing.T) {
	t.Parallel()
	s := newShell(t, shells["bash"]...)
	s.Types("$W -deadline 8s -kill-after 500ms sh -c '" + sleeper + "'\r")
	leader := s.leader()
	s.Types(octotest.CtrlZ)
	s.Sees("Stopped")
	until(t, "it has ended", func() bool { return gone(leader) })
	s.Types("fg\r")
	if got := s.report(); got.Cause != ErrDeadline.Error() {
		t.Errorf("its status is %+v", got)
	}
	s.Types("echo back\r")
	s.Sees("back")
}

func TestTerminalGetsItsModesBack(t *testing.T) {
	t.Parallel()
	s := newShell(t, shells["bash"]...)
	before := s.Modes()
	s.Types("$W sh -c 'stty raw -echo; kill -KILL $$'\r")
	s.report()
	s.Types("\r")
	s.Sees("ready> ")
	if after := s.Modes(); before != after {
		t.Errorf("modes %+v, before %+v", after, before)
	}
}

// Without a shell there is nobody to continue what ctrl-Z stops.
func TestTerminalWithoutAShellDoesNotStop(t *testing.T) {
	t.Parallel()
	s := newScreen(t, os.Args[0], wrapper, "-status", "status", "sh", "-c", "mkfifo go; echo $$ >leader; read x <go; exit 6")
	s.pid("leader")
	s.Types(octotest.CtrlZ)
	time.Sleep(300 * time.Millisecond) // longer than a stop is waited for
	if err := os.WriteFile(filepath.Join(s.dir, "go"), []byte("\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if got := s.report(); got.Code != 6 {
		t.Errorf("its status is %+v", got)
	}
}

// A program that may not write while it is in the background is stopped if it does.
func TestTerminalThatStopsWritersDoesNotStopTheWrapper(t *testing.T) {
	t.Parallel()
	s := newShell(t, shells["bash"]...)
	s.Types("stty tostop; $W -end-after 500ms -say ended sh -c '" + sleeper + "'\r")
	s.leader()
	s.Sees("\nended")
	if got := s.report(); got.Cause == "" {
		t.Errorf("its status is %+v", got)
	}
}

// The rest of a script is in the foreground, although its shell does not see to it.
func TestTerminalIsBackAfterTheJob(t *testing.T) {
	t.Parallel()
	for _, does := range []string{"exit 3", "kill -KILL $$"} {
		s := newShell(t, shells["bash"]...)
		script := "$W sh -c 'echo $$ >leader; read x; " + does + "'\nread y; echo it says $y\n"
		if err := os.WriteFile(filepath.Join(s.dir, "script"), []byte(script), 0o600); err != nil {
			t.Fatal(err)
		}
		s.Types("sh script\r")
		leader := s.pid("leader")
		until(t, "the job has the terminal", func() bool { return s.Foreground() == leader })
		s.Types("one\r")
		s.report()
		s.Types("two\r")
		s.Sees("it says two")
	}
}
