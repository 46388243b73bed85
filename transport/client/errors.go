package client

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"time"

	"github.com/octostore/octostore/transport/api"
)

// Error is a refusal of the server, or a failure of a proxy on the way; that one has no Code.
// Compare it by [errors.Is] with the meanings of codes: [ErrHeld], [ErrNotHeld] and so on.
type Error struct{ api.Problem }

func (e *Error) Error() string {
	if e.Detail == "" {
		return fmt.Sprintf("the server answered %d", e.Status)
	}
	return fmt.Sprintf("%s (%d %s)", e.Detail, e.Status, e.Code)
}

// Is reports whether target is the meaning of the code of e.
func (e *Error) Is(target error) bool {
	m, is := target.(meaning)
	return is && api.Code(m) == e.Code
}

// retryAfter is when the answer asks for a retry; 0: it does not say.
func (e *Error) retryAfter() time.Duration { return time.Duration(e.RetryAfterMS) * time.Millisecond }

// meaning is the meaning of a code, as an error.
type meaning api.Code

func (m meaning) Error() string { return "the code is " + string(m) }

// The meanings of the codes of an [*Error], for [errors.Is]. [api.Code] has the meaning of each.
var (
	ErrInvalid          error = meaning(api.CodeInvalid)
	ErrUnauthenticated  error = meaning(api.CodeUnauthenticated)
	ErrForbidden        error = meaning(api.CodeForbidden)
	ErrPolicyDenied     error = meaning(api.CodePolicyDenied)
	ErrLoginRefused     error = meaning(api.CodeLoginRefused)
	ErrNotFound         error = meaning(api.CodeNotFound)
	ErrMethodNotAllowed error = meaning(api.CodeMethodNotAllowed)
	ErrHeld             error = meaning(api.CodeHeld)
	ErrNotHeld          error = meaning(api.CodeNotHeld)
	ErrSuperseded       error = meaning(api.CodeSuperseded)
	ErrAttemptOver      error = meaning(api.CodeAttemptOver)
	ErrLoginExpired     error = meaning(api.CodeLoginExpired)
	ErrCursorExpired    error = meaning(api.CodeCursorExpired)
	ErrTooLarge         error = meaning(api.CodeTooLarge)
	ErrKeyMismatch      error = meaning(api.CodeKeyMismatch)
	ErrQueueFull        error = meaning(api.CodeQueueFull)
	ErrTooManyReaders   error = meaning(api.CodeTooManyReaders)
	ErrQuota            error = meaning(api.CodeQuota)
	ErrRateLimited      error = meaning(api.CodeRateLimited)
	ErrInternal         error = meaning(api.CodeInternal)
	ErrPolicyError      error = meaning(api.CodePolicyError)
	ErrLoginUnavailable error = meaning(api.CodeLoginUnavailable)
	ErrDraining         error = meaning(api.CodeDraining)
	ErrMoved            error = meaning(api.CodeMoved)
	ErrTooLate          error = meaning(api.CodeTooLate)
	ErrOutcomeUnknown   error = meaning(api.CodeOutcomeUnknown)
	ErrStorageFull      error = meaning(api.CodeStorageFull)
)

// meanings are all of them. A test compares them with the codes of package api.
var meanings = []error{
	ErrInvalid, ErrUnauthenticated, ErrForbidden, ErrPolicyDenied, ErrLoginRefused, ErrNotFound, ErrMethodNotAllowed,
	ErrHeld, ErrNotHeld, ErrSuperseded, ErrAttemptOver, ErrLoginExpired, ErrCursorExpired, ErrTooLarge, ErrKeyMismatch,
	ErrQueueFull, ErrTooManyReaders, ErrQuota, ErrRateLimited, ErrInternal, ErrPolicyError, ErrLoginUnavailable,
	ErrDraining, ErrMoved, ErrTooLate, ErrOutcomeUnknown, ErrStorageFull,
}

// OptionError says which option of a call is wrong. No request was sent. It is [ErrInvalid], as the
// server's word for the same would be.
type OptionError struct{ Problem string }

func (e *OptionError) Error() string { return e.Problem }

// Is reports whether target is [ErrInvalid].
func (e *OptionError) Is(target error) bool { return target == ErrInvalid }

// ErrReleased is the cause of the end of [Lease.Context] after [Lease.Release].
var ErrReleased = errors.New("the lease was released")

// LostError is the cause of the end of [Lease.Context] if the lease is over, or could not be
// renewed in time.
type LostError struct {
	Name string
	Err  error // why: not_held (see [ErrNotHeld]), or the last error of a renewal
}

func (e *LostError) Error() string { return "the lease of " + e.Name + " is lost: " + e.Err.Error() }

// Unwrap returns why.
func (e *LostError) Unwrap() error { return e.Err }

// ShortTTLError means that the server, or a policy, granted a shorter ttl than was asked for, and
// that the lease would end before it can be renewed with the margin that was asked for. The lease
// was released.
type ShortTTLError struct {
	Name        string
	TTL, Margin time.Duration
}

func (e *ShortTTLError) Error() string {
	return fmt.Sprintf("the lease of %s was granted for %s only, which leaves no room for a margin of %s", e.Name, e.TTL, e.Margin)
}

// ForeignError means that something answered that is no OctoStore server: a redirect, the page
// of a proxy, or anything else that is not the answer to the request.
type ForeignError struct {
	URL      string // of the server, without a password
	Status   int
	Location string // of a redirect; empty: none
}

func (e *ForeignError) Error() string {
	redirect := ""
	if e.Location != "" {
		redirect = fmt.Sprintf(" and a redirect to %q", e.Location)
	}
	return fmt.Sprintf("%s answered %d%s, not the way OctoStore does; is that its address, or is there a proxy?", e.URL, e.Status, redirect)
}

// healthOf reads the answer to a probe. It is empty if the answer is something else.
func healthOf(body []byte) (h api.Health) {
	if json.Unmarshal(body, &h) != nil {
		return api.Health{}
	}
	return h
}

// problemOf reads the problem in the answer of a server, or of a proxy.
func problemOf(resp *http.Response) error {
	const most = 64 << 10
	e := &Error{}
	body, err := io.ReadAll(io.LimitReader(resp.Body, most))
	if err != nil { // the status says enough
		body = nil
	}
	if json.Unmarshal(body, &e.Problem) != nil || e.Code == "" {
		e.Problem = api.Problem{}
		if h := healthOf(body); h.Status != "" {
			e.Detail = "the server says that it is " + string(h.Status)
		}
	}
	e.Status = resp.StatusCode
	if seconds, err := strconv.Atoi(resp.Header.Get("Retry-After")); err == nil && seconds > 0 && e.RetryAfterMS == 0 {
		e.RetryAfterMS = int64(min(seconds, 1<<20)) * 1000
	}
	return e
}
