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
	"sync"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// screen is a terminal with a program in it.
type screen struct {
	*testing.T
	dir  string
	tty  *os.File // the side of the one who types
	cmd  *exec.Cmd
	over chan struct{}

	mu   sync.Mutex
	text bytes.Buffer
}

// newScreen starts a program as the leader of a session with a terminal of its own.
func newScreen(t *testing.T, args ...string) *screen {
	t.Helper()
	master, err := os.OpenFile("/dev/ptmx", os.O_RDWR|syscall.O_NOCTTY, 0)
	if err != nil {
		t.Fatal(err)
	}
	fd := int(master.Fd())
	if err := unix.IoctlSetPointerInt(fd, unix.TIOCSPTLCK, 0); err != nil {
		t.Fatal(err)
	}
	number, err := unix.IoctlGetInt(fd, unix.TIOCGPTN)
	if err != nil {
		t.Fatal(err)
	}
	tty, err := os.OpenFile("/dev/pts/"+strconv.Itoa(number), os.O_RDWR|syscall.O_NOCTTY, 0)
	if err != nil {
		t.Fatal(err)
	}
	s := &screen{T: t, dir: t.TempDir(), tty: master, cmd: exec.Command(args[0], args[1:]...), over: make(chan struct{})}
	s.cmd.Dir = s.dir
	s.cmd.Env = append(os.Environ(), "PS1=ready> ", "PS2=", "TERM=dumb", "ENV=", "HISTFILE=", "W="+os.Args[0]+" "+wrapper+" -status status")
	s.cmd.Stdin, s.cmd.Stdout, s.cmd.Stderr = tty, tty, tty
	s.cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true, Setctty: true}
	if err := s.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	tty.Close()
	read := make(chan struct{})
	go func() { defer close(read); s.follow() }()
	go func() { defer close(s.over); _ = s.cmd.Wait() }()
	t.Cleanup(func() {
		if t.Failed() {
			out, _ := exec.Command("ps", "-o", "pid,ppid,pgid,tpgid,stat,args", "--sid", strconv.Itoa(s.cmd.Process.Pid)).Output()
			t.Logf("processes:\n%s", out)
		}
		if pid, err := strconv.Atoi(strings.TrimSpace(s.read("leader"))); err == nil {
			_ = syscall.Kill(-pid, syscall.SIGKILL) // of a test that has failed
		}
		_ = s.cmd.Process.Kill()
		<-s.over
		<-read
		master.Close()
		if t.Failed() {
			t.Logf("the terminal shows:\n%s", s.shown())
		}
	})
	return s
}

// newShell starts an interactive shell in a terminal.
func newShell(t *testing.T, shell ...string) *screen {
	t.Helper()
	s := newScreen(t, shell...)
	s.sees("ready> ")
	return s
}

func (s *screen) follow() {
	b := make([]byte, 4096)
	for {
		n, err := s.tty.Read(b)
		if err != nil {
			return // nothing has the terminal open anymore
		}
		s.mu.Lock()
		s.text.Write(b[:n])
		s.mu.Unlock()
	}
}

func (s *screen) shown() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.text.String()
}

// types types; a line ends with \r.
func (s *screen) types(text string) {
	s.Helper()
	s.mu.Lock()
	s.text.Reset()
	s.mu.Unlock()
	if _, err := s.tty.WriteString(text); err != nil {
		s.Fatal(err)
	}
}

// sees waits until the text is shown, since something was typed last.
func (s *screen) sees(text string) {
	s.Helper()
	until(s.T, fmt.Sprintf("the terminal shows %q", text), func() bool { return strings.Contains(s.shown(), text) })
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

// foreground returns the group in the foreground.
func (s *screen) foreground() int {
	group, err := unix.IoctlGetInt(int(s.tty.Fd()), unix.TIOCGPGRP)
	if err != nil {
		s.Fatal(err)
	}
	return group
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

const (
	ctrlC = "\x03"
	ctrlZ = "\x1a"
)

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
			s.types("$W sh -c '" + sleeper + "'\r")
			leader := s.leader()
			until(t, "it has the terminal", func() bool { return s.foreground() == leader })
			for range 2 {
				s.types(ctrlZ)
				s.sees("Stopped")
				s.sees("ready> ")
				if state(leader) != "T" || s.foreground() != s.cmd.Process.Pid {
					t.Fatalf("it is in state %s, and %d has the terminal", state(leader), s.foreground())
				}
				s.types("fg\r")
				until(t, "it goes on in the foreground", func() bool { return state(leader) != "T" && s.foreground() == leader })
			}
			s.types(ctrlZ)
			s.sees("ready> ")
			s.types("bg\r")
			until(t, "it goes on", func() bool { return state(leader) != "T" })
			if s.foreground() != s.cmd.Process.Pid {
				t.Errorf("%d has the terminal", s.foreground())
			}
			s.types("fg\r")
			until(t, "it goes on in the foreground", func() bool { return s.foreground() == leader })
			s.types(ctrlC)
			s.sees("ready> ")
			s.types("echo status $?\r")
			s.sees("status 130")
			if got := s.report(); got.Signal != int(syscall.SIGINT) || got.Cause != "" {
				t.Errorf("its status is %+v", got)
			}
			if s.foreground() != s.cmd.Process.Pid {
				t.Errorf("%d has the terminal", s.foreground())
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
			s.types("$W sh -c 'trap \"echo got >>ints\" INT; echo $$ >leader; while :; do sleep 0.1; done'" + tail + "\r")
			leader := s.pid("leader")
			s.types(ctrlC)
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
			s.types(line + "\r")
			s.sees(line)
			s.types("hello\r")
			s.sees("it says hello")
			s.sees("ready> ")
			if s.foreground() != s.cmd.Process.Pid {
				t.Errorf("%d has the terminal", s.foreground())
			}
		})
	}
}

func TestTerminalIsNotTakenFromTheBackground(t *testing.T) {
	t.Parallel()
	s := newShell(t, shells["bash"]...)
	s.types("$W sh -c 'echo $$ >leader; read x; echo it says $x' &\r")
	leader := s.pid("leader")
	until(t, "it is stopped", func() bool { return state(leader) == "T" })
	if s.foreground() != s.cmd.Process.Pid {
		t.Errorf("%d has the terminal", s.foreground())
	}
	until(t, "the shell knows", func() bool { s.types("jobs\r"); s.sees("ready> "); return strings.Contains(s.shown(), "Stopped") })
	s.types("fg\r")
	until(t, "it has the terminal", func() bool { return s.foreground() == leader })
	s.types("hello\r")
	s.sees("it says hello")
}

func TestTerminalInterruptEndsTheScript(t *testing.T) {
	t.Parallel()
	for _, shell := range []string{"bash", "dash"} {
		t.Run(shell, func(t *testing.T) {
			t.Parallel()
			s := newShell(t, shells["bash"]...)
			script := "$W sh -c '" + sleeper + "'\necho went on >later\n"
			if err := os.WriteFile(filepath.Join(s.dir, "script"), []byte(script), 0o600); err != nil {
				t.Fatal(err)
			}
			s.types(shell + " script\r")
			leader := s.leader()
			until(t, "it has the terminal", func() bool { return s.foreground() == leader })
			s.types(ctrlZ)
			s.sees("Stopped")
			s.types("fg\r")
			until(t, "it has the terminal", func() bool { return s.foreground() == leader })
			s.types(ctrlC)
			s.sees("ready> ")
			if s.read("later") != "" {
				t.Error("the script went on")
			}
		})
	}
}

func TestTerminalOfAStoppedJobWhoseDeadlineIsOver(t *testing.T) {
	t.Parallel()
	s := newShell(t, shells["bash"]...)
	s.types("$W -deadline 3s -kill-after 500ms sh -c '" + sleeper + "'\r")
	leader := s.leader()
	s.types(ctrlZ)
	s.sees("Stopped")
	until(t, "it has ended", func() bool { return gone(leader) })
	s.types("fg\r")
	if got := s.report(); got.Cause != ErrDeadline.Error() {
		t.Errorf("its status is %+v", got)
	}
	s.types("echo back\r")
	s.sees("back")
}

func TestTerminalGetsItsModesBack(t *testing.T) {
	t.Parallel()
	s := newShell(t, shells["bash"]...)
	before, err := unix.IoctlGetTermios(int(s.tty.Fd()), unix.TCGETS)
	if err != nil {
		t.Fatal(err)
	}
	s.types("$W sh -c 'stty raw -echo; kill -KILL $$'\r")
	s.report()
	s.types("\r")
	s.sees("ready> ")
	after, err := unix.IoctlGetTermios(int(s.tty.Fd()), unix.TCGETS)
	if err != nil {
		t.Fatal(err)
	}
	if *before != *after {
		t.Errorf("modes %+v, before %+v", after, before)
	}
}

// Without a shell there is nobody to continue what ctrl-Z stops.
func TestTerminalWithoutAShellDoesNotStop(t *testing.T) {
	t.Parallel()
	s := newScreen(t, os.Args[0], wrapper, "-status", "status", "sh", "-c", "mkfifo go; echo $$ >leader; read x <go; exit 6")
	s.pid("leader")
	s.types(ctrlZ)
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
	s.types("stty tostop; $W -end-after 500ms -say ended sh -c '" + sleeper + "'\r")
	s.leader()
	s.sees("\nended")
	if got := s.report(); got.Cause == "" {
		t.Errorf("its status is %+v", got)
	}
}
