//go:build !(linux || darwin || freebsd)

package job

import (
	"errors"
	"os"
	"os/exec"
	"os/signal"
	"sync"
	"time"

	"github.com/octostore/octostore/core/boottime"
)

// Main is the main function of a guard process, which this system does not have.
func Main() int { return 64 }

// Guard is a guard process, which this system does not have.
type Guard struct{}

// StartGuard does nothing on this system.
func StartGuard() (*Guard, error) { return &Guard{}, nil }

// Close does nothing on this system.
func (*Guard) Close() {}

// Job is a command that runs. Its methods may be called by any goroutine.
type Job struct {
	cmd  *exec.Cmd
	done chan struct{} // closed when status is set

	mu       sync.Mutex
	deadline time.Duration // 0: none
	status   Status
}

// Start starts the command. On this system only the command itself is watched over, not what
// it starts, and Ctrl-C reaches both of them.
//
// The error is [ErrNotFound] or [ErrNotExecutable] if the command is to blame.
func Start(c Command) (*Job, error) {
	j := &Job{done: make(chan struct{}), deadline: c.Deadline}
	j.cmd = &exec.Cmd{Path: c.Path, Args: c.Args, Env: c.Env, Stdin: os.Stdin, Stdout: os.Stdout, Stderr: os.Stderr}
	interrupts := make(chan os.Signal, 1)
	signal.Notify(interrupts, os.Interrupt) // the command decides
	if err := j.cmd.Start(); err != nil {
		signal.Stop(interrupts)
		return nil, explain(c.Args[0], err)
	}
	go j.watch()
	go func() {
		err := j.cmd.Wait()
		if c.Ended != nil {
			c.Ended()
		}
		signal.Stop(interrupts)
		j.mu.Lock()
		defer j.mu.Unlock()
		j.status.Code = j.cmd.ProcessState.ExitCode()
		if failed := new(exec.ExitError); err != nil && !errors.As(err, &failed) {
			j.status.Code = 1
		}
		close(j.done)
	}()
	return j, nil
}

// watch looks at the deadline until the job has ended.
func (j *Job) watch() {
	ticker := time.NewTicker(100 * time.Millisecond)
	defer ticker.Stop()
	for {
		select {
		case <-j.done:
			return
		case <-ticker.C:
		}
		j.mu.Lock()
		over := j.deadline != 0 && boottime.Now() >= j.deadline-Margin
		j.mu.Unlock()
		if over {
			j.End(ErrDeadline)
		}
	}
}

// PID returns the process id of the command.
func (j *Job) PID() int { return j.cmd.Process.Pid }

// SetDeadline sets when the job must have ended, on the clock of boottime.Now; 0: never.
// The command is ended at the deadline less Margin. There is no TERM on this system.
func (j *Job) SetDeadline(at time.Duration) {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.deadline = at
}

// End ends the command for this reason, the cause in its status. It does not wait.
func (j *Job) End(reason error) {
	j.mu.Lock()
	defer j.mu.Unlock()
	select {
	case <-j.done:
		return
	default:
	}
	if j.status.Cause == nil {
		j.status.Cause = reason
	}
	_ = j.cmd.Process.Kill()
}

// Signal does nothing on this system.
func (j *Job) Signal(os.Signal) {}

// Wait waits until the command has ended.
func (j *Job) Wait() Status {
	<-j.done
	return j.status
}
