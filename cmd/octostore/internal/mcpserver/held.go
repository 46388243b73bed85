package mcpserver

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/octostore/octostore/transport/client"
)

// renew holds a lock for longer, and asks the server whether it still is the session's.
func (l *locks) renew(ctx context.Context, name string, d time.Duration) outcome {
	e := l.heldEntry(name)
	if e == nil {
		return l.notHeld(name)
	}
	asking, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	_, err := l.cfg.Client.Renew(asking, name, e.lease.ID(), 0)
	l.mu.Lock()
	defer l.mu.Unlock()
	switch {
	case e.gone:
		return lost(name)
	case errors.Is(err, client.ErrNotHeld):
		l.abandon(e)
		return lost(name)
	case ctx.Err() == nil:
		e.hold = d
		l.arm(e, d, l.timeUp)
	}
	out := granted(e)
	out.Message = fmt.Sprintf("HELD: %s is still yours, with fencing token %d, and is released in %s unless you call renew again.",
		name, out.FencingToken, d)
	if err != nil {
		out.Message = fmt.Sprintf("HELD: %s is yours as far as is known, but the server did not confirm it: %v. "+
			"If it cannot be renewed it is lost in %s.", name, err, e.lease.Left().Round(time.Second))
	}
	return out
}

// release releases a lock, or leaves its queue.
func (l *locks) release(ctx context.Context, name string) outcome {
	l.mu.Lock()
	e := l.byName[name]
	if e == nil {
		l.mu.Unlock()
		return l.notHeld(name)
	}
	if e.lease == nil {
		l.abandon(e)
		l.mu.Unlock()
		return outcome{Lock: name, Status: statusReleased, Message: fmt.Sprintf("LEFT THE QUEUE of %s.", name)}
	}
	l.drop(e)
	l.mu.Unlock()
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), parting)
	defer cancel()
	err := e.lease.Release(ctx)
	switch {
	case errors.Is(err, client.ErrNotHeld):
		return lost(name)
	case err != nil:
		out := problemOf(name, err)
		out.Message = fmt.Sprintf("The lock %s could not be released: %v. It ends by itself in %s at the latest.",
			name, err, e.lease.Left().Round(time.Second))
		return out
	}
	l.cfg.Log.Info("released a lock", "lock", name)
	return outcome{
		Lock: name, Status: statusReleased, FencingToken: e.lease.Token(),
		Message: fmt.Sprintf("RELEASED: %s is no longer yours.", name),
	}
}

// heldEntry returns the entry of a lock that the agent holds, or nil.
func (l *locks) heldEntry(name string) *entry {
	l.mu.Lock()
	defer l.mu.Unlock()
	if e := l.byName[name]; e != nil && e.held {
		return e
	}
	return nil
}

func (l *locks) notHeld(name string) outcome {
	if l.standing(name) == standingWaiting {
		return refusal(name, statusNotHeld, "This session does not hold %s, it waits for it; call wait.", name)
	}
	return refusal(name, statusNotHeld, "This session neither holds %s nor waits for it.", name)
}

// What a session has to do with a lock.
const (
	standingHeld    = "held"
	standingWaiting = "waiting"
)

// standing returns what the session has to do with a lock; empty: nothing.
func (l *locks) standing(name string) string {
	l.mu.Lock()
	defer l.mu.Unlock()
	switch e := l.byName[name]; {
	case e == nil:
		return ""
	case e.held:
		return standingHeld
	}
	return standingWaiting
}

// mostNotices bounds what is kept for an agent that does not call.
const mostNotices = 256

// notice keeps a sentence for the next answer. The caller has the lock of locks.
func (l *locks) notice(format string, args ...any) {
	if len(l.notices) < mostNotices {
		l.notices = append(l.notices, fmt.Sprintf(format, args...))
	}
}

// takeNotices returns what no answer has told yet.
func (l *locks) takeNotices() []string {
	l.mu.Lock()
	defer l.mu.Unlock()
	taken := l.notices
	l.notices = nil
	return taken
}
