package mcpserver

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/octostore/octostore/transport/api"
	"github.com/octostore/octostore/transport/client"
)

// What became of a call. Only held means that the lock is the agent's.
const (
	statusHeld     = "held"
	statusAlready  = "already_held" // by another call of the session
	statusWaiting  = "waiting"
	statusBusy     = "busy"
	statusDenied   = "denied"
	statusReleased = "released"
	statusNotHeld  = "not_held"
	statusLost     = "lost"
	statusError    = "error"
)

// outcome is the answer to a call about one lock.
type outcome struct {
	Lock         string   `json:"lock"`
	Status       string   `json:"status"`
	Held         bool     `json:"held"`
	FencingToken uint64   `json:"fencing_token,omitempty"`
	HoldSeconds  int64    `json:"hold_seconds,omitempty"` // until it is released
	WaitedMS     int64    `json:"waited_ms,omitempty"`
	Position     int      `json:"position,omitempty"` // in the queue, from 1
	Waiters      int      `json:"waiters,omitempty"`  // length of the queue
	HeldBy       *holder  `json:"held_by,omitempty"`  // the client that has the lock
	Code         string   `json:"code,omitempty"`     // of the server's refusal
	Policy       string   `json:"policy,omitempty"`   // that denied
	Message      string   `json:"message"`
	Notices      []string `json:"notices,omitempty"`
}

// holder is another client that holds a lock.
type holder struct {
	Holder       string `json:"holder"`
	Account      string `json:"account"`
	Reason       string `json:"reason,omitempty"`
	FencingToken uint64 `json:"fencing_token"`
	EndsInMS     int64  `json:"ends_in_ms"` // unless it is renewed
}

func (o outcome) failed() bool {
	switch o.Status {
	case statusHeld, statusWaiting, statusBusy, statusReleased:
		return false
	}
	return true
}

func (o outcome) text() string { return o.Message }

func (o outcome) withNotices(notices []string) answer {
	o.Notices = notices
	return o
}

func refusal(name, status, format string, args ...any) outcome {
	return outcome{Lock: name, Status: status, Message: fmt.Sprintf(format, args...)}
}

func waitedElsewhere(name string) outcome {
	return refusal(name, statusError, "Another call of this session is waiting for %s. The lock is for one of them only.", name)
}

func lost(name string) outcome {
	return refusal(name, statusLost, "LOST: %s was no longer yours. Another client may have had it: "+
		"look at what has changed before you go on.", name)
}

// granted returns the answer for a lock that is held. The caller has the lock of locks.
func granted(e *entry) outcome {
	left := time.Until(e.until).Round(time.Second)
	return outcome{
		Lock: e.name, Status: statusHeld, Held: true,
		FencingToken: e.lease.Token(), HoldSeconds: int64(left / time.Second), WaitedMS: e.lease.Waited().Milliseconds(),
		Message: fmt.Sprintf("HELD: the lock %s is yours, with fencing token %d. It is released in %s unless you call renew. "+
			"Call release as soon as you are done.", e.name, e.lease.Token(), left),
	}
}

// alreadyHeld is the answer to an acquire of a lock that the session holds: two tasks of one
// agent must not both believe that they have it. The caller has the lock of locks.
func alreadyHeld(e *entry) outcome {
	o := granted(e)
	o.Status, o.Held = statusAlready, false
	o.Message = fmt.Sprintf("NOT GRANTED AGAIN: this session holds %s already, with fencing token %d, for %ds more. "+
		"If it was acquired for this very task, go on, and call renew to hold it longer. If another task of yours acquired it, wait for that.",
		e.name, o.FencingToken, o.HoldSeconds)
	return o
}

// problemOf says why a lock was not granted, or a request failed.
func problemOf(name string, err error) outcome {
	o := outcome{Lock: name, Status: statusError, Message: fmt.Sprintf("FAILED: %v.", err)}
	refused, is := errors.AsType[*client.Error](err)
	if !is {
		return o
	}
	o.Code = string(refused.Code)
	switch {
	case refused.Is(client.ErrHeld):
		o.Status = statusBusy
		o.Message = "NOT GRANTED: another client has the lock."
		if refused.HeldProblem != nil {
			o.Waiters = refused.Waiters
			o.HeldBy = holderOf(refused.Lease)
		}
		if o.HeldBy != nil {
			o.Message = fmt.Sprintf("NOT GRANTED: %s. Call acquire with wait_seconds to queue, or do something else first.", o.HeldBy.sentence(name))
		}
	case refused.Is(client.ErrPolicyDenied):
		o.Status = statusDenied
		if refused.PolicyProblem != nil {
			o.Policy = refused.Policy
			o.Message = fmt.Sprintf("DENIED by the policy %s: %q. Do not retry unless this says when; tell your user.",
				refused.Policy, refused.Reason)
		}
	case refused.Is(client.ErrForbidden), refused.Is(client.ErrUnauthenticated):
		o.Status = statusDenied
		o.Message = fmt.Sprintf("DENIED: %s. Do not retry; tell your user.", refused.Detail)
	case refused.Is(client.ErrInvalid):
		o.Message = fmt.Sprintf("INVALID: %s.", refused.Detail)
	}
	return o
}

func holderOf(l *api.Lease) *holder {
	if l == nil {
		return nil
	}
	return &holder{Holder: l.Holder, Account: l.Account, Reason: l.Reason, FencingToken: l.FencingToken, EndsInMS: l.ExpiresInMS}
}

// sentence says who has a lock. Texts of other clients are quoted.
func (h *holder) sentence(lock string) string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s is held by %q (account %s)", lock, h.Holder, h.Account)
	if h.Reason != "" {
		fmt.Fprintf(&b, ", whose reason is %q", h.Reason)
	}
	fmt.Fprintf(&b, ", for at most %s unless it is renewed", (time.Duration(h.EndsInMS) * time.Millisecond).Round(time.Second))
	return b.String()
}

// describeWait says how far an attempt is that goes on.
func (l *locks) describeWait(ctx context.Context, e *entry) outcome {
	ctx, cancel := context.WithTimeout(ctx, 2*time.Second)
	defer cancel()
	o := outcome{Lock: e.name, Status: statusWaiting}
	where := "the queue of " + e.name
	// What the account may not read is left out.
	if now, err := l.cfg.Client.Lock(ctx, e.name, client.QueuePage{Waiters: 1000}); err == nil {
		o.HeldBy, o.Waiters = holderOf(now.Lease), now.WaitersTotal
		o.Position = l.positionIn(now.Waiters)
		if o.HeldBy != nil {
			where += "; " + o.HeldBy.sentence(e.name)
		}
	} else if _, down := errors.AsType[*client.UnreachableError](err); down {
		where += " as soon as the server answers; now there is " + err.Error()
	}
	place := "you are"
	if o.Position > 0 {
		place = fmt.Sprintf("you are number %d of %d", o.Position, o.Waiters)
	}
	o.Message = fmt.Sprintf("WAITING, not granted yet: %s in %s. Call wait within %s to go on: your place is kept until then. "+
		"Call release to leave the queue. Until the status is held, do not touch what the lock protects.", place, where, l.cfg.Kept)
	return o
}

// positionIn returns the session's place in a queue, or 0.
func (l *locks) positionIn(queue []api.Waiter) int {
	for _, w := range queue {
		if w.Holder == l.cfg.Holder {
			return w.Position
		}
	}
	return 0
}
