// Package runner runs a command while it holds a lock: it waits for the lock and says how that
// goes, starts the command with the lease confirmed, keeps the lease, ends the command before
// the lease can be somebody else's, and releases the lock. It is octostore run without the
// command line.
package runner

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"time"

	"github.com/octostore/octostore/cmd/octostore/internal/exitcode"
	"github.com/octostore/octostore/cmd/octostore/internal/job"
	"github.com/octostore/octostore/cmd/octostore/internal/terminal"
	"github.com/octostore/octostore/transport/api"
	"github.com/octostore/octostore/transport/client"
)

// Server is what a run needs of one; a [client.Client] is one.
type Server interface {
	Acquire(ctx context.Context, name string, o client.AcquireOptions) (*client.Lease, error)
	Lock(ctx context.Context, name string, page client.QueuePage) (api.Lock, error)
}

// Run is one run of a command under a lock. Its fields are set before [Run.Do].
type Run struct {
	Server  Server
	Name    string   // of the lock
	Command []string // with its arguments

	Wait      time.Duration // for the lock; 0: do not wait; negative: as long as it takes
	Patience  time.Duration // how long to ask a server that has never answered, if Wait is negative; 0: DefaultPatience
	TTL       time.Duration
	KillAfter time.Duration // from SIGTERM to SIGKILL, when the lease is lost
	MinHold   time.Duration // the lock is held at least that long
	Holder    string
	Reason    string
	Metadata  map[string]string
	Key       string // idempotency key; empty: a fresh one

	Conflict    exitcode.Code // the exit code instead of [exitcode.Held]
	ExposeLease bool          // write the lease id to a file for the command
	Quiet       bool          // only failures
	JSON        bool          // events instead of sentences
	Stderr      io.Writer     // for words and events; it cleans what it writes
	Explain     func(error) string

	report *reporter
}

// Outcome is how a run ended that has not failed.
type Outcome struct {
	Status int // exit status: of the command, or 128 and the number of the signal that ended it
	// Signal is what the process should end by, see [Die]: it asked to stop before the command ran,
	// or was typed at the terminal and ended the command.
	Signal  os.Signal
	waiting bool // Signal ended the wait
}

// Do runs the command. The error is that of octostore itself, and carries its exit code; the
// outcome counts without one. Do takes over the signals of the process until it returns.
func (r *Run) Do(ctx context.Context) (Outcome, error) {
	r.report = &reporter{lock: r.Name, json: r.JSON, quiet: r.Quiet, now: time.Now, to: r.Stderr}
	if !r.JSON && !r.Quiet && terminal.Is(r.Stderr) && os.Getenv("TERM") != "dumb" {
		r.report.line = newLine(r.Stderr)
	}
	out, err := r.do(ctx)
	r.ended(out, err)
	return out, err
}

// ended is always the last event.
func (r *Run) ended(out Outcome, err error) {
	e := Event{Event: KindEnded, Status: &out.Status, By: "command"}
	if err != nil {
		code := int(exitcode.Of(err))
		e.Status, e.By, e.Error = &code, "octostore", r.Explain(err)
	} else if out.waiting {
		e.By, e.Signal = "octostore", signalName(out.Signal)
	}
	r.report.event(e)
}

func (r *Run) do(ctx context.Context) (Outcome, error) {
	if err := r.checkRoom(); err != nil {
		return Outcome{}, err
	}
	path, err := job.Find(r.Command[0])
	if err != nil {
		return Outcome{}, notStarted(err)
	}
	asked, unwatch := untilSignal(ctx)
	defer unwatch()
	guard := startGuard()
	defer guard.close()
	h, err := r.acquire(asked)
	if s := signalOf(asked); s != nil {
		_ = h.release(ctx) // said
		return r.stopped(s)
	}
	if err != nil {
		return Outcome{}, err
	}
	end, err := r.run(ctx, h, job.Command{Path: path, Args: r.Command, KillAfter: r.KillAfter, Guard: guard.take()}, func(j *job.Job) {
		unwatch()
		if s := signalOf(asked); s != nil { // it came between the look above and the start
			j.Signal(s)
		}
	})
	if err != nil {
		return Outcome{}, err
	}
	return h.finish(ctx, end)
}

// guarding is a guard process that starts while the lock is waited for, so that the command
// starts at once when the lock is held.
type guarding struct {
	started chan *job.Guard
	taken   bool
}

func startGuard() *guarding {
	g := &guarding{started: make(chan *job.Guard, 1)}
	go func() {
		guard, err := job.StartGuard()
		if err != nil {
			guard = nil // Start tries again, and says why
		}
		g.started <- guard
	}()
	return g
}

// take returns the guard, which is then the job's.
func (g *guarding) take() *job.Guard {
	g.taken = true
	return <-g.started
}

// close ends a guard that was not taken.
func (g *guarding) close() {
	if g.taken {
		return
	}
	if guard := <-g.started; guard != nil {
		guard.Close()
	}
}

// notStarted gives the error of a command that cannot be started its exit code.
func notStarted(err error) error {
	switch {
	case errors.Is(err, job.ErrNotFound):
		return exitcode.As(exitcode.NotFound, err)
	case errors.Is(err, job.ErrNotExecutable):
		return exitcode.As(exitcode.NotExecutable, err)
	}
	return exitcode.As(exitcode.Failed, fmt.Errorf("the command was not started: %w", err))
}

// stopped is the outcome after a signal before the command ran.
func (r *Run) stopped(s os.Signal) (Outcome, error) {
	r.report.note("%s: stopped by %s before the command ran", r.Name, signalName(s))
	return Outcome{Status: signalStatus(s), Signal: s, waiting: true}, nil
}
