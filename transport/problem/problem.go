// Package problem maps errors to answers: its table has the HTTP status, the stable code and
// the title of each error that a request can end in.
//
// An answer has the text of the error in the table, never the text of an error that wraps it,
// so that no details of the server leak. An error without a row is a 500 without details.
package problem

import (
	"errors"
	"net/http"
	"time"

	"github.com/octostore/octostore/core"
	"github.com/octostore/octostore/core/input"
	"github.com/octostore/octostore/core/journal"
	"github.com/octostore/octostore/core/journal/record"
	"github.com/octostore/octostore/core/lock"
	"github.com/octostore/octostore/transport/api"
)

// ContentType is the media type of a problem document.
const ContentType = "application/problem+json"

// CodeGone is the code of requests whose client left before the answer. It is never sent, but
// appears in metrics and logs.
const CodeGone api.Code = "gone"

// Errors of HTTP requests.
var (
	ErrNotFound       = errors.New("there is nothing at this path; / lists the paths there are")
	ErrTooLarge       = errors.New("the body is larger than 16 KiB")
	ErrCrossOrigin    = errors.New("this request comes from a web page of another origin, which may not change anything here")
	ErrForeignHost    = errors.New("without tokens this server answers only to localhost, 127.0.0.0/8 and [::1] as its host name")
	ErrTooManyReaders = errors.New("this server has reached its limit of watches or exports (OCTOSTORE_MAX_WATCHES, OCTOSTORE_MAX_EXPORTS)")
	ErrNoBackups      = errors.New("the lock table is in etcd here; octostore backup with the settings of a node makes a database of it")
	ErrBackingUp      = errors.New("another backup is under way; there is one at a time")
	ErrJustGranted    = errors.New("this lock was granted a moment ago, perhaps after the request was first sent; nothing was broken")
	errUnknown        = errors.New("the server failed unexpectedly; its log has the details under the request id")
	errPolicyMissing  = errors.New("a policy that has to agree could not answer, so the lock was not granted")
)

// MethodError means the path exists, but not with the method of the request.
type MethodError struct {
	Method string
	Allow  string // as in the header of that name
	Hint   string // the path that may have been meant; may be empty
}

func (e *MethodError) Error() string {
	text := "this path does not answer to " + e.Method + ", but to " + e.Allow
	if e.Hint != "" {
		text += "; " + e.Hint
	}
	return text
}

// LimitError means that a client met a limit.
type LimitError struct {
	Why        string        // for the client
	RetryAfter time.Duration // when it may ask again
}

func (e *LimitError) Error() string { return e.Why }

// Answer is what a client is told about an error.
type Answer struct {
	api.Problem
	RetryAfter time.Duration // for the header of that name; 0: none
	Allow      string        // for the header of that name; empty: none
	Known      bool          // false: the error has no row, and the log must have it
}

// Of returns the answer for err, which must not be nil, at that time. It sets everything but
// the request id.
func Of(err error, now time.Time) Answer {
	for i := range table {
		if told := table[i].match(err); told != nil {
			return table[i].answer(told, now)
		}
	}
	return unknown.answer(errUnknown, now)
}

func (r *row) answer(told error, now time.Time) Answer {
	a := Answer{
		Problem: api.Problem{
			Type:   "urn:octostore:problem:" + string(r.code),
			Title:  r.title,
			Status: r.status,
			Detail: told.Error(),
			Code:   r.code,
		},
		RetryAfter: r.retry,
		Known:      r != &unknown,
	}
	a.RetryAfterMS = r.retry.Milliseconds()
	switch e := told.(type) { //nolint:errorlint // told is the error that the row found, not one around it
	case *input.Error:
		a.InvalidProblem = &api.InvalidProblem{Field: e.Field, Problem: e.Problem, Want: e.Want}
	case *lock.HeldError:
		a.HeldProblem = held(e, now)
		a.RetryAfterMS = heldHint(e, now).Milliseconds()
	case *lock.SupersededError:
		a.HeldProblem = held(&e.Held, now)
	case *core.DeniedError:
		a.PolicyProblem = &api.PolicyProblem{Policy: e.Policy, Reason: e.Reason}
		a.RetryAfterMS = e.RetryAfter.Milliseconds()
	case *core.PolicyError:
		a.PolicyProblem = &api.PolicyProblem{Policy: e.Policy}
		a.Detail = errPolicyMissing.Error() // the cause is for the log
	case *journal.PrunedError:
		a.ExpiredProblem = &api.ExpiredProblem{Oldest: record.FormatCursor(e.Oldest)}
	case *MethodError:
		a.Allow = e.Allow
	case *LimitError:
		a.RetryAfter = (e.RetryAfter + time.Second - 1).Truncate(time.Second) // the header has whole seconds
		a.RetryAfterMS = max(1, e.RetryAfter.Milliseconds())
	}
	return a
}

func held(e *lock.HeldError, now time.Time) *api.HeldProblem {
	p := &api.HeldProblem{Position: e.Position, Waiters: e.Waiters, WaitedMS: e.Waited.Milliseconds()}
	if e.Lease != nil {
		p.Lease = Lease(e.Lease, now)
	}
	return p
}

// heldHint returns when to retry: one second per waiter before the client, at most the
// remaining time of the lease, and at least enough to keep a client from spinning while a
// lease ends.
func heldHint(e *lock.HeldError, now time.Time) time.Duration {
	const least = 50 * time.Millisecond
	hint := time.Duration(e.Waiters+1) * time.Second
	if e.Lease != nil {
		hint = min(hint, e.Lease.ExpiresAt.Sub(now))
	}
	return max(hint, least)
}

// Lease returns a lease as other clients see it at that time.
func Lease(l *lock.Lease, now time.Time) *api.Lease {
	return &api.Lease{
		FencingToken: uint64(l.Token),
		Account:      l.Account,
		Holder:       l.Holder,
		Reason:       l.Reason,
		Metadata:     l.Metadata,
		TTLMS:        l.TTL.Milliseconds(),
		ConfirmMS:    l.ConfirmWithin.Milliseconds(),
		ExpiresInMS:  max(0, l.ExpiresAt.Sub(now)).Milliseconds(),
		GrantedAt:    l.GrantedAt.UTC().Truncate(time.Millisecond),
		ExpiresAt:    l.ExpiresAt.UTC().Truncate(time.Millisecond),
	}
}

// Codes returns every code under which a request can be counted, "gone" included.
func Codes() []api.Code {
	return append(api.Codes(), CodeGone)
}

// statusGone is the status nginx logs for a client that closed the connection.
const statusGone = 499

var unknown = row{status: http.StatusInternalServerError, code: api.CodeInternal, title: "Internal error"}
