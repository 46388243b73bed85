// Package problem is the one place where errors become answers: a table from each
// error a request can end in to its HTTP status, its stable code and its title.
//
// What an answer says is the text of the error in the table, never the text of
// what may be wrapped around it, so nothing about the inside of the server leaks.
// An error without a row is a 500 that says nothing at all.
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

// CodeGone stands for requests whose client left before there was an answer. It is
// never sent; metrics and logs know it.
const CodeGone api.Code = "gone"

// Errors that only HTTP knows.
var (
	ErrNotFound       = errors.New("there is nothing at this path; / says where things are")
	ErrTooLarge       = errors.New("the body is larger than 16 KiB")
	ErrCrossOrigin    = errors.New("this request comes from a web page of another origin, which may not change anything here")
	ErrForeignHost    = errors.New("without tokens this server answers only to localhost, 127.0.0.0/8 and [::1] as its host name")
	ErrTooManyReaders = errors.New("as many clients watch or export already as OCTOSTORE_MAX_WATCHES or OCTOSTORE_MAX_EXPORTS lets")
	errNobodyKnows    = errors.New("the server failed at something it did not expect; its log has the details under the request id")
	errPolicyMissing  = errors.New("a policy that has to agree could not answer, so the lock was not given")
)

// MethodError means the path exists, but not with the method of the request.
type MethodError struct {
	Method string
	Allow  string // as in the header of that name
	Hint   string // which path was meant, perhaps; may be empty
}

func (e *MethodError) Error() string {
	text := "this path does not answer to " + e.Method + ", but to " + e.Allow
	if e.Hint != "" {
		text += "; " + e.Hint
	}
	return text
}

// LimitError means that a client asks for more at a time than it may.
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

// Of returns the answer for err, which must not be nil, at the given instant. It
// fills in everything but the request id.
func Of(err error, now time.Time) Answer {
	for i := range table {
		if told := table[i].match(err); told != nil {
			return table[i].answer(told, now)
		}
	}
	return unknown.answer(errNobodyKnows, now)
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
	switch e := told.(type) {
	case *input.Error:
		a.InvalidProblem = &api.InvalidProblem{Field: e.Field, Problem: e.Problem, Want: e.Want}
	case *lock.HeldError:
		a.HeldProblem = held(e, now)
		a.RetryAfterMS = heldHint(e, now).Milliseconds()
	case *core.DeniedError:
		a.PolicyProblem = &api.PolicyProblem{Policy: e.Policy, Reason: e.Reason}
		a.RetryAfterMS = e.RetryAfter.Milliseconds()
	case *core.PolicyError:
		a.PolicyProblem = &api.PolicyProblem{Policy: e.Policy}
		a.Detail = errPolicyMissing.Error() // why it could not is for the log
	case *journal.PrunedError:
		a.ExpiredProblem = &api.ExpiredProblem{Oldest: record.FormatCursor(e.Oldest)}
	case *MethodError:
		a.Allow = e.Allow
	case *LimitError:
		a.RetryAfter = (e.RetryAfter + time.Second - 1).Truncate(time.Second) // the header knows only whole ones
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

// heldHint is a second for each who is before the client, at most what is left of
// the lease, and at least what keeps a client from spinning while a lease ends.
func heldHint(e *lock.HeldError, now time.Time) time.Duration {
	const least = 50 * time.Millisecond
	hint := time.Duration(e.Waiters+1) * time.Second
	if e.Lease != nil {
		hint = min(hint, e.Lease.ExpiresAt.Sub(now))
	}
	return max(hint, least)
}

// Lease returns a lease as others may see it at the given instant.
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

// Codes returns every code a request can be counted under, "gone" included.
func Codes() []api.Code {
	return append(api.Codes(), CodeGone)
}

// statusGone is what nginx calls a client that closed the connection.
const statusGone = 499

var unknown = row{status: http.StatusInternalServerError, code: api.CodeInternal, title: "Internal error"}
