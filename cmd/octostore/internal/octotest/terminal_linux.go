package octotest

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"
)

// What is typed to interrupt and to stop.
const (
	CtrlC = "\x03"
	CtrlZ = "\x1a"
)

// Terminal is a terminal with a program in it, seen by the person who types.
type Terminal struct {
	Cmd  *exec.Cmd
	Done chan struct{} // closed when the program has ended

	Before unix.Termios // the modes of the terminal before the program started

	t   *testing.T
	tty *os.File

	mu   sync.Mutex
	text bytes.Buffer
}

// StartInTerminal starts a program as the leader of a session with a terminal of its own. It
// is killed with the test.
func StartInTerminal(t *testing.T, cmd *exec.Cmd) *Terminal {
	t.Helper()
	master, name, err := openPTY()
	if err != nil {
		t.Fatal(err)
	}
	tty, err := os.OpenFile(name, os.O_RDWR|syscall.O_NOCTTY, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer tty.Close()
	s := &Terminal{Cmd: cmd, Done: make(chan struct{}), t: t, tty: master}
	cmd.Stdin, cmd.Stdout, cmd.Stderr = tty, tty, tty
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true, Setctty: true}
	s.Before = s.Modes()
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	read := make(chan struct{})
	go func() { defer close(read); s.follow() }()
	go func() { defer close(s.Done); _ = cmd.Wait() }()
	t.Cleanup(func() {
		if t.Failed() {
			out, _ := exec.Command("ps", "-o", "pid,ppid,pgid,tpgid,stat,args", "--sid", strconv.Itoa(cmd.Process.Pid)).Output()
			t.Logf("the terminal shows:\n%s\nof these processes:\n%s", s.Shown(), out)
		}
		_ = cmd.Process.Kill()
		<-s.Done
		<-read
		master.Close()
	})
	return s
}

// openPTY opens a new pseudo-terminal: the side of the person, and the name of the other one.
func openPTY() (master *os.File, name string, err error) {
	master, err = os.OpenFile("/dev/ptmx", os.O_RDWR|syscall.O_NOCTTY, 0)
	if err != nil {
		return nil, "", err
	}
	fd := int(master.Fd())
	if err := unix.IoctlSetPointerInt(fd, unix.TIOCSPTLCK, 0); err != nil {
		return nil, "", err
	}
	number, err := unix.IoctlGetInt(fd, unix.TIOCGPTN)
	return master, "/dev/pts/" + strconv.Itoa(number), err
}

func (s *Terminal) follow() {
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

// Shown returns what was shown since something was typed last, the echo of it included.
func (s *Terminal) Shown() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.text.String()
}

// Types types; a line ends with \r.
func (s *Terminal) Types(text string) {
	s.t.Helper()
	s.mu.Lock()
	s.text.Reset()
	s.mu.Unlock()
	if _, err := s.tty.WriteString(text); err != nil {
		s.t.Fatal(err)
	}
}

// Sees waits until the text is shown, since something was typed last.
func (s *Terminal) Sees(text string) {
	s.t.Helper()
	WaitUntil(s.t, fmt.Sprintf("the terminal shows %q", text), func() bool { return strings.Contains(s.Shown(), text) })
}

// Foreground returns the process group in the foreground.
func (s *Terminal) Foreground() int {
	group, err := unix.IoctlGetInt(int(s.tty.Fd()), unix.TIOCGPGRP)
	if err != nil {
		s.t.Fatal(err)
	}
	return group
}

// Resize gives the terminal another size.
func (s *Terminal) Resize(columns, rows uint16) {
	s.t.Helper()
	if err := unix.IoctlSetWinsize(int(s.tty.Fd()), unix.TIOCSWINSZ, &unix.Winsize{Col: columns, Row: rows}); err != nil {
		s.t.Fatal(err)
	}
}

// Modes returns the modes of the terminal: raw or not, and so on.
func (s *Terminal) Modes() unix.Termios {
	modes, err := unix.IoctlGetTermios(int(s.tty.Fd()), unix.TCGETS)
	if err != nil {
		s.t.Fatal(err)
	}
	return *modes
}
