//go:build linux || darwin || freebsd

package job

import (
	"bytes"
	"errors"
	"io"
	"os"
	"os/signal"
	"runtime"
	"syscall"
	"time"
)

// forwarded are the signals that are passed on to the command.
var forwarded = []os.Signal{syscall.SIGINT, syscall.SIGTERM, syscall.SIGHUP, syscall.SIGQUIT, syscall.SIGUSR1, syscall.SIGUSR2}

// ignored are those of them that this process was started with ignored: HUP by nohup, INT by
// a shell without job control for what it starts in the background. It has to be read before
// anything in this process asks to be notified of them. The Go runtime keeps no others.
var ignored = func() (list []os.Signal) {
	for _, sig := range forwarded {
		if signal.Ignored(sig) {
			list = append(list, sig)
		}
	}
	return list
}()

// Job is a command that runs. Its methods may be called by any goroutine.
type Job struct {
	pid       int
	signals   chan os.Signal
	deadlines chan newDeadline
	ends      chan error
	waited    chan syscall.WaitStatus
	done      chan struct{} // closed when status is set
	status    Status
}

// Start starts the command. From now on this process passes on to its group INT, TERM, HUP,
// QUIT, USR1 and USR2, but those that were ignored when it was started: they stay ignored.
// Other notifications of these signals that the program has asked for go on. If there is a
// terminal, SIGTTOU is ignored from now on.
//
// The error is [ErrNotFound] or [ErrNotExecutable] if the command is to blame, and then the
// guard of the command is still unused.
func Start(c Command) (*Job, error) {
	j := &Job{
		signals:   make(chan os.Signal, 16),
		deadlines: make(chan newDeadline),
		ends:      make(chan error),
		waited:    make(chan syscall.WaitStatus),
		done:      make(chan struct{}),
	}
	if c.Env == nil {
		c.Env = os.Environ()
	}
	w := &watch{job: j, command: c, guard: c.Guard, deadline: c.Deadline}
	if w.guard == nil {
		var err error
		if w.guard, err = StartGuard(); err != nil {
			return nil, err
		}
	}
	if w.tty = openTerminal(); w.tty.handOver() {
		w.interactive = true
	}
	j.catch()
	started := make(chan error)
	go j.lead(c, w, started)
	if err := <-started; err != nil {
		signal.Stop(j.signals)
		if w.interactive {
			w.tty.give(w.tty.own) // the command had it, before it could not be executed
		}
		w.closeTerminal()
		if c.Guard == nil {
			w.guard.Close()
		}
		return nil, err
	}
	w.catchStops()
	go w.run()
	return j, nil
}

// catch asks for the signals to pass on.
func (j *Job) catch() {
	for _, sig := range forwarded {
		signal.Notify(j.signals, sig)
	}
	for _, sig := range ignored {
		signal.Ignore(sig) // which the command inherits
	}
	signal.Notify(j.signals, syscall.SIGCONT)
}

// lead starts the command and waits for it, on one thread: Linux sends a parent-death signal
// when the thread has ended that started the process.
func (j *Job) lead(c Command, w *watch, started chan<- error) {
	runtime.LockOSThread() // never unlocked: the thread ends with the goroutine
	w.order()              // this process may be stopped or killed before it can tell about the command
	pid, err := fork(c, w)
	if err != nil {
		_ = w.guard.tell(orders{})
		started <- explain(c.Args[0], err)
		return
	}
	w.group = groupOf(pid)
	w.order()
	j.pid = pid
	started <- nil
	for {
		var status syscall.WaitStatus
		_, err := syscall.Wait4(pid, &status, syscall.WUNTRACED, nil)
		if errors.Is(err, syscall.EINTR) {
			continue
		}
		j.waited <- status
		if !status.Stopped() {
			return
		}
	}
}

// fork starts the command in a group of its own, with everything that this process has
// inherited.
func fork(c Command, w *watch) (pid int, err error) {
	sys := attributes()
	if w.interactive {
		sys.Foreground, sys.Ctty = true, w.tty.fd
	}
	attr := &syscall.ProcAttr{Env: c.Env, Files: []uintptr{0, 1, 2}, Sys: sys}
	pid, err = syscall.ForkExec(c.Path, c.Args, attr)
	if errors.Is(err, syscall.ENOEXEC) && isScript(c.Path) {
		const shell = "/bin/sh"
		pid, err = syscall.ForkExec(shell, append([]string{shell, c.Path}, c.Args[1:]...), attr)
	}
	return pid, err
}

// isScript reports whether a file that the system does not execute is for a shell to read, as
// shells decide it: there is no NUL in its first bytes.
func isScript(path string) bool {
	f, err := os.Open(path)
	if err != nil {
		return false
	}
	defer f.Close()
	head := make([]byte, 128)
	n, err := io.ReadFull(f, head)
	return (err == nil || errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF)) && !bytes.Contains(head[:n], []byte{0})
}

// PID returns the process id of the command, which is that of its group, too.
func (j *Job) PID() int { return j.pid }

// newDeadline is a deadline, and what is closed when the guard knows it.
type newDeadline struct {
	at   time.Duration
	told chan struct{}
}

// SetDeadline sets when the job must have ended, on the clock of boottime.Now; 0: never.
// Its group gets TERM at the deadline less Margin and KillAfter, and KILL at the deadline
// less Margin. When SetDeadline returns, the guard knows it, too. It has no effect when the
// job is being ended.
func (j *Job) SetDeadline(at time.Duration) {
	d := newDeadline{at, make(chan struct{})}
	select {
	case j.deadlines <- d:
		<-d.told
	case <-j.done:
	}
}

// End ends the job for this reason, the cause in its status: TERM now, KILL after KillAfter,
// or when the deadline demands it. It does not wait. It has no effect when the job is being
// ended.
func (j *Job) End(reason error) {
	select {
	case j.ends <- reason:
	case <-j.done:
	}
}

// Signal passes a signal on to the group, as if this process had received it.
func (j *Job) Signal(sig os.Signal) {
	select {
	case j.signals <- sig:
	case <-j.done:
	}
}

// Wait waits until the command has ended, and what it left in the background.
func (j *Job) Wait() Status {
	<-j.done
	return j.status
}
