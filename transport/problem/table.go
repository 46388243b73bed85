package problem

import (
	"context"
	"errors"
	"net/http"
	"time"

	"github.com/octostore/octostore/core"
	"github.com/octostore/octostore/core/auth"
	"github.com/octostore/octostore/core/input"
	"github.com/octostore/octostore/core/journal"
	"github.com/octostore/octostore/core/lock"
	"github.com/octostore/octostore/transport/api"
	"github.com/octostore/octostore/transport/login"
)

// row says how one kind of error is answered.
type row struct {
	// match returns the part of the error that a client may read, or nil if the row is for
	// other errors.
	match  func(error) error
	status int
	code   api.Code
	title  string
	retry  time.Duration // 0: no Retry-After
}

// loginRetry is the retry hint of logins.
const loginRetry = 5 * time.Second

// table is searched from top to bottom; the first match answers. No row has status 408 or
// 504: clients and proxies repeat such requests by themselves, and a lock granted to a repeat
// that no client waits for is not released.
var table = []row{
	{is(lock.ErrGone), statusGone, CodeGone, "Client closed the request", 0},
	{is(context.Canceled), statusGone, CodeGone, "Client closed the request", 0},

	{as[*input.Error](), http.StatusBadRequest, api.CodeInvalid, "Invalid request", 0},
	{is(ErrTooLarge), http.StatusRequestEntityTooLarge, api.CodeTooLarge, "Body too large", 0},
	{is(ErrNotFound), http.StatusNotFound, api.CodeNotFound, "Not found", 0},
	{is(ErrNoBackups), http.StatusNotFound, api.CodeNotFound, "No backups over HTTP", 0},
	{as[*MethodError](), http.StatusMethodNotAllowed, api.CodeMethodNotAllowed, "Method not allowed", 0},

	{is(auth.ErrNoToken), http.StatusUnauthorized, api.CodeUnauthenticated, "No token", 0},
	{is(auth.ErrBadToken), http.StatusUnauthorized, api.CodeUnauthenticated, "Unknown token", 0},
	{is(auth.ErrExpired), http.StatusUnauthorized, api.CodeUnauthenticated, "Token has expired", 0},
	{is(auth.ErrRevoked), http.StatusUnauthorized, api.CodeUnauthenticated, "Token was revoked", 0},
	{is(auth.ErrUnknownID), http.StatusNotFound, api.CodeNotFound, "Not found", 0},
	{as[*core.ForbiddenError](), http.StatusForbidden, api.CodeForbidden, "Forbidden", 0},
	{is(core.ErrForbidden), http.StatusForbidden, api.CodeForbidden, "Forbidden", 0},
	{is(ErrCrossOrigin), http.StatusForbidden, api.CodeForbidden, "Forbidden", 0},
	{is(ErrForeignHost), http.StatusForbidden, api.CodeForbidden, "Forbidden", 0},
	{is(login.ErrNotBegun), http.StatusForbidden, api.CodeLoginRefused, "Login refused", 0},
	{is(login.ErrDenied), http.StatusForbidden, api.CodeLoginRefused, "Login refused", 0},
	{is(login.ErrNotAllowed), http.StatusForbidden, api.CodeLoginRefused, "Login refused", 0},
	{is(login.ErrOff), http.StatusNotFound, api.CodeNotFound, "Not found", 0},
	{is(login.ErrOver), http.StatusGone, api.CodeLoginExpired, "Login has expired", 0},
	{is(login.ErrUnavailable), http.StatusServiceUnavailable, api.CodeLoginUnavailable, "Login is not possible now", loginRetry},
	{is(login.ErrBusy), http.StatusServiceUnavailable, api.CodeLoginUnavailable, "Login is not possible now", loginRetry},
	{as[*core.DeniedError](), http.StatusForbidden, api.CodePolicyDenied, "Denied by policy", 0},

	{as[*lock.HeldError](), http.StatusConflict, api.CodeHeld, "Lock is held", 0},
	{is(lock.ErrNotHeld), http.StatusConflict, api.CodeNotHeld, "Lock is not held", 0},
	{is(lock.ErrTokenChanged), http.StatusConflict, api.CodeNotHeld, "Lock is not held", 0},
	{is(ErrJustGranted), http.StatusConflict, api.CodeNotHeld, "Lock changed hands", 0},
	{is(core.ErrChangedHands), http.StatusConflict, api.CodeNotHeld, "Lock changed hands", 0},
	{is(lock.ErrFree), http.StatusConflict, api.CodeNotHeld, "Lock is not held", 0},
	{as[*lock.SupersededError](), http.StatusConflict, api.CodeSuperseded, "Superseded", 0},
	{is(lock.ErrSuperseded), http.StatusConflict, api.CodeSuperseded, "Superseded", 0},
	{is(lock.ErrAttemptOver), http.StatusConflict, api.CodeAttemptOver, "Attempt is over", 0},
	{is(lock.ErrKeyMismatch), http.StatusUnprocessableEntity, api.CodeKeyMismatch, "Key used for something else", 0},

	{is(lock.ErrQueueFull), http.StatusTooManyRequests, api.CodeQueueFull, "Queue is full", time.Second},
	{is(lock.ErrWaitsEnough), http.StatusTooManyRequests, api.CodeQuota, "Quota used up", time.Second},
	{as[*LimitError](), http.StatusTooManyRequests, api.CodeRateLimited, "Too many requests", time.Second},
	{is(ErrTooManyReaders), http.StatusTooManyRequests, api.CodeTooManyReaders, "Too many readers", 5 * time.Second},
	{is(ErrBackingUp), http.StatusTooManyRequests, api.CodeTooManyReaders, "Another backup is under way", 5 * time.Second},
	{is(lock.ErrQuota), http.StatusTooManyRequests, api.CodeQuota, "Quota used up", time.Second},

	{as[*journal.PrunedError](), http.StatusGone, api.CodeCursorExpired, "Cursor is too old", 0},

	{as[*core.PolicyError](), http.StatusServiceUnavailable, api.CodePolicyError, "Policy could not answer", time.Second},
	{is(lock.ErrTooLate), http.StatusServiceUnavailable, api.CodeTooLate, "Granted too late", time.Second},
	// ErrOutcomeUnknown comes before the next five, which promise that nothing was done: an
	// error that wraps both must not promise that.
	{is(lock.ErrOutcomeUnknown), http.StatusServiceUnavailable, api.CodeOutcomeUnknown, "Outcome unknown", time.Second},
	{is(lock.ErrFull), http.StatusInsufficientStorage, api.CodeStorageFull, "Storage is full", 0},
	{is(lock.ErrDraining), http.StatusServiceUnavailable, api.CodeDraining, "Server is stopping or drained", time.Second},
	{is(lock.ErrClosed), http.StatusServiceUnavailable, api.CodeDraining, "Server is stopping", time.Second},
	{is(journal.ErrClosed), http.StatusServiceUnavailable, api.CodeDraining, "Server is stopping", time.Second},
	{is(lock.ErrDeposed), http.StatusServiceUnavailable, api.CodeMoved, "Moved to another server", time.Second},
}

// is matches errors that are or wrap target.
func is(target error) func(error) error {
	return func(err error) error {
		if errors.Is(err, target) {
			return target
		}
		return nil
	}
}

// as matches errors that are or wrap an error of type T.
func as[T error]() func(error) error {
	return func(err error) error {
		if e, ok := errors.AsType[T](err); ok {
			return e
		}
		return nil
	}
}
