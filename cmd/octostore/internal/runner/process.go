package runner

import (
	"os"
	"os/exec"
	"sync"
	"syscall"
	"time"
)

// process is a command that runs.
type process interface {
	PID() int
	// SetDeadline has the command and all its processes ended by then, on the clock of boottime.
	SetDeadline(time.Duration)
	// End has it ended now: SIGTERM, then SIGKILL.
	End()
	// Wait returns when it has ended.
	Wait() status
}

// status is how a command ended.
type status struct {
	code   int
	signal os.Signal // nil: it exited by itself
	ended  bool      // it was told to end, by End or its deadline
}

// child is a command without a group of its own.
type child struct {
	cmd *exec.Cmd

	mu    sync.Mutex
	ended bool
}

func startChild(path string, args, environ []string) (process, error) {
	c := &child{cmd: &exec.Cmd{Path: path, Args: args, Env: environ, Stdin: os.Stdin, Stdout: os.Stdout, Stderr: os.Stderr}}
	return c, c.cmd.Start()
}

func (c *child) PID() int { return c.cmd.Process.Pid }

func (c *child) SetDeadline(time.Duration) {}

func (c *child) End() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.ended = true
	_ = c.cmd.Process.Signal(syscall.SIGTERM) // ended already: fine
}

func (c *child) Wait() status {
	_ = c.cmd.Wait() // its outcome is in ProcessState
	c.mu.Lock()
	defer c.mu.Unlock()
	end := status{code: c.cmd.ProcessState.ExitCode(), ended: c.ended}
	if end.code < 0 {
		end.signal = os.Kill
	}
	return end
}
