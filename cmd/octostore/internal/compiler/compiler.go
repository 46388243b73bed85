// Package compiler compiles policies in a process of its own, so that a malicious module,
// made to keep a compiler busy or fill its memory, costs that process and not a server.
//
// The process is this program, started with [Argument]. It is killed when ctx ends, when it
// exceeds the processor time or memory allowed for the size of its module, and when its
// parent process has ended.
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

// Argument is the first argument of a compiler process; a folder follows.
const Argument = "compile-policy"

// program is the name under which the process is started (argv[0]). Under that name the
// test binary acts as the command, too.
const program = "octostore"

// reply is the answer of the process on its standard output.
type reply struct {
	Error       string `json:"error,omitempty"`
	Unavailable bool   `json:"unavailable,omitempty"` // as in hooks.ErrUnavailable
}

// Limits are the resources that a compilation may use.
type Limits struct {
	Processor time.Duration // processor time, if the system tells
	Elapsed   time.Duration
	Memory    int64 // resident bytes, if the system tells
}

// limitsOf returns the limits for a module of the given size. A policy of the Go compiler
// has three million bytes and takes 2.5 s and 150 MiB.
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
	cmd.Env = []string{"GOTRACEBACK=single"} // the process reads untrusted input
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
		_ = writeRequest(in, module, limits) // outcome reports why the process has ended
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

// outcome returns the result of a process that has ended.
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
		return timeError(limits.Processor) // the system has killed it
	}
	if strings.Contains(errs, "out of memory") {
		return memoryError(limits.Memory)
	}
	if failed == nil {
		failed = errors.New("it did not answer")
	}
	return fmt.Errorf("the process that compiles it has failed: %w: %s", failed, strings.Join(strings.Fields(errs), " "))
}

// executable returns the path of this program, also if it was replaced or removed since the
// start, if the system can tell.
func executable() (string, error) {
	if runtime.GOOS == "linux" {
		const self = "/proc/self/exe"
		if _, err := os.Stat(self); err == nil {
			return self, nil
		}
	}
	return os.Executable()
}

// watchEvery is the interval between two readings of the usage of a process: meanwhile a Go
// program fills no more than some ten MiB of memory.
const watchEvery = 10 * time.Millisecond

// watch kills a process that exceeds its limits.
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

// head keeps the first bytes written to it, in which a crash names its cause.
type head struct{ b *bytes.Buffer }

const maxSaid = 1 << 10

func (h *head) Write(p []byte) (int, error) {
	if room := maxSaid - h.b.Len(); room > 0 {
		h.b.Write(p[:min(room, len(p))])
	}
	return len(p), nil
}
