package runner

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/octostore/octostore/cmd/octostore/internal/exitcode"
	"github.com/octostore/octostore/core/boottime"
	"github.com/octostore/octostore/transport/client"
)

// held is a lock that a run holds, and the command once it runs.
type held struct {
	run     *Run
	lease   *client.Lease
	since   time.Duration // on the clock of boottime
	renewed chan struct{} // has a value after a renewal
	failing chan error    // has a value after a renewal that failed
	file    leaseFile
}

// acquire waits for the lock, and says how that goes.
func (r *Run) acquire(ctx context.Context) (*held, error) {
	h := &held{run: r, renewed: make(chan struct{}, 1), failing: make(chan error, 1)}
	waiting, stop := r.watchWait(ctx)
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

func (h *held) tellRenewed() {
	select {
	case h.renewed <- struct{}{}:
	default:
	}
}

func (h *held) tellFailing(err error) {
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
	if _, is := errors.AsType[*client.UnreachableError](err); is {
		code = exitcode.Unavailable
	}
	switch {
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

// hold runs the command under the lock, and releases it.
func (r *Run) hold(ctx context.Context, h *held, start func(environ []string) (process, error)) (Outcome, error) {
	if ttl := time.Duration(h.lease.Grant().TTLMS) * time.Millisecond; !fits(ttl, r.KillAfter) {
		h.release(ctx)
		return Outcome{}, r.errNoRoom(ttl)
	}
	environ, err := h.environ()
	defer h.file.remove()
	if err != nil {
		h.release(ctx)
		return Outcome{}, err
	}
	p, err := start(environ)
	if err != nil {
		h.release(ctx)
		return Outcome{}, notStarted(r.Command[0], err)
	}
	p.SetDeadline(h.deadline())
	g := h.lease.Grant()
	r.report.event(Event{
		Event: KindGranted, FencingToken: g.FencingToken, TTLMS: g.TTLMS, WaitedMS: h.lease.Waited().Milliseconds(),
	})
	r.report.event(Event{Event: KindStarted, PID: p.PID()})
	end, lost := h.supervise(p)
	return h.finish(ctx, end, lost)
}

// deadline is when the command has to be gone: margin before the lease can end. The clock is
// read first, so that time that passes in between makes it earlier.
func (h *held) deadline() time.Duration {
	now := boottime.Now()
	return now + h.lease.Left() - margin
}

// supervise waits for the end of the command, and has it ended if the lease is lost.
func (h *held) supervise(p process) (end status, lost error) {
	ended := make(chan status, 1)
	go func() { ended <- p.Wait() }()
	gone := h.lease.Context().Done()
	failing := false
	for {
		select {
		case end = <-ended:
			return end, lost
		case <-h.renewed:
			p.SetDeadline(h.deadline())
			failing = false
		case err := <-h.failing:
			if !failing {
				h.sayFailing(err)
			}
			failing = true
		case <-gone:
			gone = nil
			lost = context.Cause(h.lease.Context())
			p.End()
			h.sayLost(lost)
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
func (h *held) finish(ctx context.Context, end status, lost error) (Outcome, error) {
	r := h.run
	over := h.isOver()
	h.sayExited(end)
	ctx, stop := untilSignal(ctx)
	defer stop()
	if end.ended {
		h.release(ctx)
		return Outcome{}, exitcode.As(exitcode.Lost, fmt.Errorf("%s: the lease was lost while the command ran, which then %s: %w", r.Name, describe(end.code, end.signal), lostBy(lost)))
	}
	h.keepHolding(ctx)
	early := h.lease.Context().Err() == nil // a loss while only --min-hold held the lock is none to the command
	err := h.release(ctx)
	over = over || early && errors.Is(err, client.ErrNotHeld)
	if over && end.code == 0 && end.signal == nil {
		return Outcome{}, exitcode.As(exitcode.Lost, fmt.Errorf("%s: the command exited with 0, but its lease was over before: it may not have been alone", r.Name))
	}
	if end.signal != nil {
		return Outcome{Status: signalStatus(end.signal)}, nil
	}
	return Outcome{Status: end.code}, nil
}

// isOver reports whether the lease is known to have ended.
func (h *held) isOver() bool {
	return h.lease.Left() <= 0 || errors.Is(context.Cause(h.lease.Context()), client.ErrNotHeld)
}

// lostBy is the cause of a loss; the guard may have seen it first.
func lostBy(cause error) error {
	if cause == nil {
		return errors.New("it was not renewed in time")
	}
	return cause
}

func (h *held) sayExited(end status) {
	e := Event{Event: KindExited}
	if end.signal != nil {
		e.Signal = signalName(end.signal)
	} else {
		e.ExitCode = &end.code
	}
	h.run.report.event(e)
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
