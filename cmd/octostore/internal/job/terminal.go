//go:build linux || darwin || freebsd

package job

import (
	"os"
	"os/signal"
	"slices"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// terminal is the controlling terminal of this process: what ctrl-C and ctrl-Z are typed at.
// The group in its foreground gets these signals, and may read.
type terminal struct {
	fd    int
	own   int           // the group of this process
	modes *unix.Termios // before the command was started, or nil
}

// openTerminal returns the controlling terminal, or nil: there is none.
func openTerminal() *terminal {
	fd, err := syscall.Open("/dev/tty", syscall.O_RDWR|syscall.O_CLOEXEC|syscall.O_NOCTTY, 0)
	if err != nil {
		return nil
	}
	t := &terminal{fd: fd, own: syscall.Getpgrp()}
	if t.foreground() == t.own {
		t.modes, _ = unix.IoctlGetTermios(fd, getModes)
	}
	return t
}

func (t *terminal) foreground() int {
	group, err := unix.IoctlGetInt(t.fd, unix.TIOCGPGRP)
	if err != nil {
		return 0 // it was hung up
	}
	return int(int32(group))
}

// give brings a group to the foreground, from the background, too. SIGTTOU is ignored from now on.
func (t *terminal) give(group int) {
	signal.Ignore(syscall.SIGTTOU)
	_ = unix.IoctlSetPointerInt(t.fd, unix.TIOCSPGRP, group)
}

// restore sets the modes that a command may have left behind which a signal has ended.
func (t *terminal) restore() {
	if t.modes != nil {
		_ = unix.IoctlSetTermios(t.fd, setModes, t.modes)
	}
}

// handOver reports whether a command gets the terminal when it starts: if this process is in
// the foreground and reads from the terminal, and no other program needs it, as less does in
// "octostore … | less", and a script does that has started this process in the background.
// Else the command gets the terminal when it reads from it.
func (t *terminal) handOver() bool {
	if t == nil || t.foreground() != t.own || isPipe(1) {
		return false
	}
	_, err := unix.IoctlGetTermios(0, getModes)
	return err == nil
}

func isPipe(fd int) bool {
	var s syscall.Stat_t
	if syscall.Fstat(fd, &s) != nil {
		return false
	}
	return s.Mode&syscall.S_IFMT == syscall.S_IFIFO || s.Mode&syscall.S_IFMT == syscall.S_IFSOCK
}

// catchStops sees to the signals of a terminal. What this process writes while its command
// has the terminal must not stop it, whatever the modes of the terminal. A ctrl-Z reaches the
// command if it has the terminal; else it is passed on. Go cannot give a signal back to the
// system that it was notified of, so that this process then stops itself by another one.
func (w *watch) catchStops() {
	if w.tty != nil {
		signal.Ignore(syscall.SIGTTOU)
	}
	w.stopBy = syscall.SIGTSTP
	if !w.interactive {
		w.stopBy = syscall.SIGTTIN
		signal.Notify(w.job.signals, syscall.SIGTSTP)
	}
}

// stopped follows a command that was stopped.
func (w *watch) stopped(by syscall.Signal, now time.Duration) {
	w.halted = true
	reads := by == syscall.SIGTTIN || by == syscall.SIGTTOU
	switch {
	case w.termed:
		_ = w.group.signal(syscall.SIGCONT)
	case w.tty == nil:
	case reads && w.tty.foreground() == w.tty.own:
		w.interactive = true
		w.resume()
	case by != syscall.SIGSTOP || w.tty.foreground() == w.group.ID:
		w.suspend(now)
	}
	// Else somebody has stopped the command alone: the lock is still held.
}

// suspend stops this process, and those that were started with it, as if ctrl-Z had been typed
// at them. The shell that sees it takes the terminal.
func (w *watch) suspend(now time.Duration) {
	w.wake = now + wakeAfter
	_ = syscall.Kill(0, w.stopBy)
}

// wakeAfter is when a command goes on if the signal does not stop this process: in a group that
// no shell would continue.
const wakeAfter = 100 * time.Millisecond

// resume lets the command go on, in the foreground if this process is there.
func (w *watch) resume() {
	w.wake = 0
	if w.interactive && w.tty.foreground() == w.tty.own {
		w.tty.give(w.group.ID)
	}
	if w.halted {
		w.halted = false
		_ = w.group.signal(syscall.SIGCONT)
	}
}

// takeBack brings this process to the foreground in place of its command, or of a group that
// has ended, and reports whether one of them was there.
func (w *watch) takeBack() bool {
	if w.tty == nil {
		return false
	}
	front := w.tty.foreground()
	if front != w.group.ID && (front <= 0 || syscall.Kill(-front, 0) != syscall.ESRCH) {
		return false
	}
	w.tty.give(w.tty.own)
	return true
}

// leaveTerminal takes the terminal back from a command that has ended. What was typed to
// interrupt it is for the shell that runs this process, too, and the rest of a pipeline.
func (w *watch) leaveTerminal() {
	ended := w.status.Signal
	if !w.takeBack() {
		w.status.Typed = ended != 0 && ended == w.typed
		return
	}
	if ended == 0 {
		return
	}
	w.tty.restore()
	if w.status.Cause == nil && isTyped(ended) {
		w.status.Typed = true
		w.pretendTyped(ended)
	}
}

// isTyped reports whether a signal is one of those that are typed to interrupt a command.
func isTyped(s syscall.Signal) bool { return s == syscall.SIGINT || s == syscall.SIGQUIT }

// pretendTyped sends a signal to this process and those that were started with it, as ctrl-C
// does, and waits until this one has got it: then it may be left to the system again.
func (w *watch) pretendTyped(s syscall.Signal) {
	_ = syscall.Kill(0, s)
	if slices.Contains(ignored, os.Signal(s)) {
		return
	}
	for late := time.After(time.Second); ; {
		select {
		case got := <-w.job.signals:
			if got == s {
				return
			}
			w.received(got)
		case <-late:
			return
		}
	}
}

func (w *watch) closeTerminal() {
	if w.tty != nil {
		_ = syscall.Close(w.tty.fd)
	}
}
