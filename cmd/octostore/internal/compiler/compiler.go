// Package compiler compiles policies in a process of its own, so that a module made to
// keep a compiler busy, or to fill its memory, costs that process and not a server.
//
// The process is this program, started with [Argument]. It is ended when ctx ends, when
// it has used the processor time or the memory that a module of its size may take, and
// when the process that started it has gone.
package compiler

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"time"

	"github.com/octostore/octostore/hooks"
)

// Argument is the first argument of a process that compiles; a folder follows.
const Argument = "compile-policy"

// program is the name such a process is started by. Tests are this command by that name.
const program = "octostore"

// reply is what the process writes to its standard output.
type reply struct {
	Error       string `json:"error,omitempty"`
	Unavailable bool   `json:"unavailable,omitempty"` // as in hooks.ErrUnavailable
}

// Limits are what a compilation may take.
type Limits struct {
	Processor time.Duration // processor time, where the system tells it
	Elapsed   time.Duration
	Memory    int64 // resident bytes, where the system tells them
}

// limitsOf returns the limits for a module of so many bytes. A policy of the Go compiler has
// three million and takes 2.5 s and 150 MiB.
func limitsOf(size int) Limits {
	millions := (size + 999_999) / 1_000_000
	l := Limits{Processor: 30 * time.Second, Memory: 512 << 20}
	if millions > 8 {
		l.Processor += time.Duration(millions-8) * 4 * time.Second
		l.Memory += int64(millions-8) * 32 << 20
	}
	l.Processor *= slowdown
	l.Memory *= slowdown
	l.Elapsed = 4 * l.Processor
	return l
}

func timeError(limit time.Duration) error {
	return fmt.Errorf("compiling it took more than %s; want a module that compiles in less", limit)
}

func memoryError(limit int64) error {
	return fmt.Errorf("compiling it took more than %d MiB of memory; want a module that compiles in less", limit>>20)
}

// Compile implements [hooks.Compiler].
func Compile(ctx context.Context, dir string, module []byte) error {
	return compile(ctx, dir, module, limitsOf(len(module)))
}

func compile(ctx context.Context, dir string, module []byte, limits Limits) error {
	ctx, end := context.WithCancelCause(ctx)
	defer end(nil)
	timer := time.AfterFunc(limits.Elapsed, func() { end(timeError(limits.Elapsed)) })
	defer timer.Stop()
	self, err := executable()
	if err != nil {
		return fmt.Errorf("%w: %w", hooks.ErrUnavailable, err)
	}
	var out, errs bytes.Buffer
	cmd := exec.CommandContext(ctx, self, Argument, dir)
	cmd.Args[0] = program
	cmd.Env = []string{"GOTRACEBACK=single"} // of a process that reads what strangers wrote
	cmd.Stdout, cmd.Stderr = &out, &head{b: &errs}
	cmd.WaitDelay = time.Second
	in, err := cmd.StdinPipe()
	if err == nil {
		err = cmd.Start()
	}
	if err != nil {
		return fmt.Errorf("%w: a process to compile in cannot be started: %w", hooks.ErrUnavailable, err)
	}
	written := make(chan struct{})
	go func() {
		defer close(written)
		_ = writeRequest(in, module, limits) // a process that has ended says why
	}()
	watched := make(chan struct{})
	over := make(chan struct{})
	go func() {
		defer close(watched)
		watch(cmd.Process.Pid, limits, over, end)
	}()
	failed := cmd.Wait()
	close(over)
	<-watched
	<-written
	return outcome(ctx, limits, failed, cmd.ProcessState, out.Bytes(), errs.String())
}

// outcome returns what came of a process that has ended.
func outcome(ctx context.Context, limits Limits, failed error, state *os.ProcessState, out []byte, errs string) error {
	var r reply
	if failed == nil && json.Unmarshal(out, &r) == nil {
		switch {
		case r.Unavailable:
			return fmt.Errorf("%w: %s", hooks.ErrUnavailable, r.Error)
		case r.Error != "":
			return errors.New(r.Error)
		}
		return nil
	}
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	if used := state.SystemTime() + state.UserTime(); used >= limits.Processor {
		return timeError(limits.Processor) // the system has ended it
	}
	if strings.Contains(errs, "out of memory") {
		return memoryError(limits.Memory)
	}
	if failed == nil {
		failed = errors.New("it did not answer")
	}
	return fmt.Errorf("the process that compiles it has failed: %w: %s", failed, strings.Join(strings.Fields(errs), " "))
}

// executable returns the path of this program: also of one that was replaced or removed
// since it started, if the system knows that.
func executable() (string, error) {
	if runtime.GOOS == "linux" {
		const self = "/proc/self/exe"
		if _, err := os.Stat(self); err == nil {
			return self, nil
		}
	}
	return os.Executable()
}

// watchEvery is how often it is looked at what a process takes: a Go program fills no
// more than some ten MiB of memory meanwhile.
const watchEvery = 10 * time.Millisecond

// watch ends a process that takes more than it may.
func watch(pid int, limits Limits, over <-chan struct{}, end context.CancelCauseFunc) {
	ticker := time.NewTicker(watchEvery)
	defer ticker.Stop()
	for {
		select {
		case <-over:
			return
		case <-ticker.C:
		}
		used, memory, known := usage(pid)
		switch {
		case !known:
		case used > limits.Processor:
			end(timeError(limits.Processor))
		case memory > limits.Memory:
			end(memoryError(limits.Memory))
		}
	}
}

// head keeps the first bytes that are written to it: there a crash says what it is.
type head struct{ b *bytes.Buffer }

const maxSaid = 1 << 10

func (h *head) Write(p []byte) (int, error) {
	if room := maxSaid - h.b.Len(); room > 0 {
		h.b.Write(p[:min(room, len(p))])
	}
	return len(p), nil
}
