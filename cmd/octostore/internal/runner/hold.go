package runner

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/octostore/octostore/cmd/octostore/internal/exitcode"
	"github.com/octostore/octostore/cmd/octostore/internal/job"
	"github.com/octostore/octostore/core/boottime"
	"github.com/octostore/octostore/transport/client"
)

// held is a lock that a run holds, and the command once it runs.
type held struct {
	run     *Run
	lease   *client.Lease
	since   time.Duration // on the clock of boottime
	renewed chan struct{} // has a value after a renewal
	failing chan error    // has a value after the first of some renewals that failed
	failed  bool          // the last renewal; for the goroutine that renews
	file    leaseFile

	// Of the time after the command: a context that the first signal to stop ends, and the end of
	// the watch for it.
	after   context.Context
	unwatch func()
}

// acquire waits for the lock, and says how that goes.
func (r *Run) acquire(ctx context.Context) (*held, error) {
	h := &held{run: r, renewed: make(chan struct{}, 1), failing: make(chan error, 1)}
	waiting, stop := r.watchWait(ctx)
	ctx, waiting, done := r.wantAnswer(ctx, waiting)
	defer done()
	lease, err := r.Server.Acquire(ctx, r.Name, client.AcquireOptions{
		TTL: r.TTL, Wait: r.Wait, Holder: r.Holder, Reason: r.Reason, Metadata: r.Metadata, Key: r.Key,
		Margin: r.KillAfter + margin, Waiting: waiting, Renewed: h.tellRenewed, RenewFailed: h.tellFailing,
	})
	stop()
	if err != nil {
		return nil, r.notAcquired(err)
	}
	h.lease, h.since = lease, boottime.Now()
	return h, nil
}

// errNoServer ends a wait without a limit in which no server has ever answered: more likely the
// address is wrong than the server restarts.
var errNoServer = errors.New("no server has answered")

// wantAnswer returns a context that ends with errNoServer, and the function that listens for it.
func (r *Run) wantAnswer(ctx context.Context, next func(client.Waiting)) (context.Context, func(client.Waiting), func()) {
	if r.Wait >= 0 {
		return ctx, next, func() {}
	}
	ctx, cancel := context.WithCancelCause(ctx)
	patience := cmp.Or(r.Patience, DefaultPatience)
	answered := false
	return ctx, func(w client.Waiting) {
		if e, is := errors.AsType[*client.Error](w.Err); is && e.Code != "" {
			answered = true
		}
		if !answered && w.Waited >= patience {
			cancel(errNoServer)
			return
		}
		if next != nil {
			next(w)
		}
	}, func() { cancel(nil) }
}

func (h *held) tellRenewed() {
	h.failed = false
	select {
	case h.renewed <- struct{}{}:
	default:
	}
}

func (h *held) tellFailing(err error) {
	if h.failed {
		return
	}
	h.failed = true
	select {
	case h.failing <- err:
	default:
	}
}

// notAcquired gives the error of an acquire its exit code.
func (r *Run) notAcquired(err error) error {
	if short, is := errors.AsType[*client.ShortTTLError](err); is {
		return r.errNoRoom(short.TTL)
	}
	code := exitcode.Failed
	if answered, is := errors.AsType[*client.Error](err); is {
		code = exitcode.OfAnswer(answered.Status, answered.Code)
	}
	if down, is := errors.AsType[*client.UnreachableError](err); is {
		code = exitcode.Unavailable
		if errors.Is(err, errNoServer) {
			return exitcode.As(code, fmt.Errorf(
				"%s: not acquired: no server has answered yet, and without --wait the run gives up: %w", r.Name, down,
			))
		}
	}
	switch {
	case errors.Is(err, client.ErrInvalid): // a flag, as the server or the client says
		code = exitcode.Usage
	case code == exitcode.Failed: // a wrong address, a proxy's login page, a file that cannot be read
		code = exitcode.Unavailable
	case code == exitcode.Held:
		code = r.Conflict
	}
	if r.Wait > 0 && (code == exitcode.Unavailable || code == r.Conflict) {
		return exitcode.As(code, fmt.Errorf("%s: not acquired in %s: %w", r.Name, r.Wait, err))
	}
	return exitcode.As(code, fmt.Errorf("%s: not acquired: %w", r.Name, err))
}

// run runs the command under the lock to its end. It calls begun when the command has started,
// and releases the lock if it cannot be started.
func (r *Run) run(ctx context.Context, h *held, c job.Command, begun func(*job.Job)) (ending, error) {
	c.Ended = func() { h.after, h.unwatch = untilSignal(ctx) }
	j, err := h.start(&c)
	if err != nil {
		if c.Guard != nil {
			c.Guard.Close()
		}
		h.file.remove()
		_ = h.release(ctx) // said
		return ending{}, err
	}
	ended := h.keep(j)
	begun(j)
	g := h.lease.Grant()
	r.report.event(Event{
		Event: KindGranted, FencingToken: g.FencingToken, TTLMS: g.TTLMS, WaitedMS: h.lease.Waited().Milliseconds(),
	})
	r.report.event(Event{Event: KindStarted, PID: j.PID()})
	end := h.supervise(ended)
	h.file.remove()
	return end, nil
}

// errTooLate is why a command is not started whose lease would have to end it at once.
var errTooLate = errors.New("the lease is as good as over; the process or the machine may have stood still")

// start starts the command, unless the lease has ended since it was confirmed: this process or the
// machine may have stood still.
func (h *held) start(c *job.Command) (*job.Job, error) {
	if ttl := time.Duration(h.lease.Grant().TTLMS) * time.Millisecond; !fits(ttl, c.KillAfter) {
		return nil, h.run.errNoRoom(ttl)
	}
	environ, err := h.environ()
	if err != nil {
		return nil, err
	}
	c.Env = environ
	if lost := h.lease.Context(); lost.Err() != nil || h.lease.Left() <= c.KillAfter+margin {
		return nil, exitcode.As(exitcode.Lost, fmt.Errorf(
			"%s: the command was not started: %w", h.run.Name, cmp.Or(context.Cause(lost), errTooLate),
		))
	}
	c.Deadline = h.deadline()
	j, err := job.Start(*c)
	if err != nil {
		return nil, notStarted(err)
	}
	return j, nil
}

// deadline is when the lease can end; the job keeps a margin to it. The clock is read first, so
// that time that passes in between makes it earlier.
func (h *held) deadline() time.Duration {
	now := boottime.Now()
	return now + h.lease.Left()
}

// ending is how a command ended, and whether its lease was over then.
type ending struct {
	job.Status

	over bool
}

// keep moves the deadline of the command with each renewal, and has the command ended when the
// lease is lost. The channel has the status when the command has ended. It writes no
// words: a standard error that nobody reads must not keep it from its work.
func (h *held) keep(j *job.Job) <-chan job.Status {
	ended, status := make(chan struct{}), make(chan job.Status, 1)
	go func() {
		defer close(ended)
		status <- j.Wait()
	}()
	go func() {
		lost := h.lease.Context()
		for gone := lost.Done(); ; {
			select {
			case <-h.renewed:
				j.SetDeadline(h.deadline())
			case <-gone:
				gone = nil
				j.End(context.Cause(lost))
			case <-ended:
				return
			}
		}
	}()
	return status
}

// supervise says how it goes with the lease, until the command has ended.
func (h *held) supervise(ended <-chan job.Status) ending {
	gone := h.lease.Context().Done()
	for {
		select {
		case status := <-ended:
			if gone != nil && status.Cause != nil {
				h.sayLost(status.Cause)
			}
			return ending{status, h.isOver()}
		case err := <-h.failing:
			h.sayFailing(err)
		case <-gone:
			gone = nil
			h.sayLost(context.Cause(h.lease.Context()))
		}
	}
}

func (h *held) sayFailing(err error) {
	left := h.lease.Left()
	h.run.report.event(Event{Event: KindRenewFailed, Error: h.run.Explain(err), ExpiresInMS: left.Milliseconds()})
	h.run.report.note("%s: the lease is not renewed yet, and runs for another %s: %v", h.run.Name, seconds(left), err)
}

func (h *held) sayLost(cause error) {
	h.run.report.event(Event{Event: KindLost, Error: h.run.Explain(cause)})
	h.run.report.warn("%s: %v; the command gets SIGTERM, and SIGKILL after %s", h.run.Name, cause, h.run.KillAfter)
}

// finish holds the lock as long as it has to be held, releases it, and decides about the exit
// status.
//
// A command that octostore has told to end was not left to do its work: the lease was lost,
// whatever it exits with. The status of a command that ended by itself counts, except a success
// that is in doubt: if the lease turns out to have been over before, the command may not have
// been alone.
func (h *held) finish(ctx context.Context, end ending) (Outcome, error) {
	r := h.run
	defer h.unwatch()
	h.sayExited(end.Status)
	if end.Cause != nil {
		_ = h.release(h.after) // said
		return Outcome{}, exitcode.As(exitcode.Lost, fmt.Errorf(
			"%s: the lease was lost while the command ran, which then %s: %w", r.Name, describe(end.Status), end.Cause,
		))
	}
	if !slices.ContainsFunc(end.Late, asksToStop) {
		h.keepHolding(h.after)
	}
	if signalOf(h.after) == nil {
		ctx = h.after // the first signal ends the attempts to release
	}
	early := h.lease.Context().Err() == nil // a loss while only --min-hold held the lock is none to the command
	err := h.release(ctx)
	over := end.over || early && errors.Is(err, client.ErrNotHeld)
	if over && end.Code == 0 {
		return Outcome{}, exitcode.As(exitcode.Lost, fmt.Errorf(
			"%s: the command exited with 0, but its lease was over before: it may not have been alone", r.Name,
		))
	}
	out := Outcome{Status: end.Code}
	if end.Typed { // so that a shell that runs this in a loop stops, as it would without octostore
		out.Signal = end.Signal
	}
	return out, nil
}

// isOver reports whether the lease is known to have ended.
func (h *held) isOver() bool {
	return h.lease.Left() <= 0 || errors.Is(context.Cause(h.lease.Context()), client.ErrNotHeld)
}

func (h *held) sayExited(end job.Status) {
	e := Event{Event: KindExited}
	if end.Signal != 0 {
		e.Signal = signalName(end.Signal)
	} else {
		e.ExitCode = &end.Code
	}
	h.run.report.event(e)
	if end.Left > 0 {
		h.run.report.note("%s: the command left processes in the background, which were ended", h.run.Name)
	}
}

// describe says how a command ended.
func describe(end job.Status) string {
	if end.Signal != 0 {
		return "was ended by " + signalName(end.Signal)
	}
	return fmt.Sprintf("exited with %d", end.Code)
}

// keepHolding returns when the lock has been held for the shortest time wanted, or a signal ends
// ctx.
func (h *held) keepHolding(ctx context.Context) {
	left := h.since + h.run.MinHold - boottime.Now()
	if left <= 0 {
		return
	}
	h.run.report.note("%s: the command has ended; the lock is held for another %s (--min-hold)", h.run.Name, seconds(left))
	select {
	case <-time.After(left):
	case <-ctx.Done():
	case <-h.lease.Context().Done():
		h.run.report.warn("%s: the lease ended before --min-hold: %v", h.run.Name, context.Cause(h.lease.Context()))
	}
}

// release gives the lock back. A failure is no failure of the run: the lease ends by itself.
func (h *held) release(ctx context.Context) error {
	if h == nil {
		return nil
	}
	known := h.isOver()
	ctx, cancel := context.WithTimeout(ctx, h.lease.Left()+time.Second) // after that it is free anyway
	defer cancel()
	err := h.lease.Release(ctx)
	report := h.run.report
	if err == nil {
		report.event(Event{Event: KindReleased, HeldMS: (boottime.Now() - h.since).Milliseconds()})
		return nil
	}
	report.event(Event{Event: KindUnreleased, Error: h.run.Explain(err)})
	if known {
		return err // and said
	}
	if errors.Is(err, client.ErrNotHeld) {
		report.warn("%s: the lease was over before it was released", h.run.Name)
	} else {
		report.warn("%s: the lease could not be released, and ends by itself in %s: %v", h.run.Name, seconds(h.lease.Left()), err)
	}
	return err
}
