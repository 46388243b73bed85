package transport

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"runtime/debug"
	"strconv"
	"sync"
	"time"

	"github.com/octostore/octostore/core/lock"
	"github.com/octostore/octostore/transport/api"
	"github.com/octostore/octostore/transport/forward"
	"github.com/octostore/octostore/transport/internal/conn"
	"github.com/octostore/octostore/transport/internal/limit"
	"github.com/octostore/octostore/transport/internal/metrics"
	"github.com/octostore/octostore/transport/internal/param"
	"github.com/octostore/octostore/transport/internal/span"
	"github.com/octostore/octostore/transport/internal/wire"
	"github.com/octostore/octostore/transport/login"
	"github.com/octostore/octostore/transport/problem"
)

// exchange is the life of one request: admission, identity, parameters, handler, answer, log and
// metrics. It is the ResponseWriter of its handler, so that it knows what has been written.
type exchange struct {
	api *API
	w   http.ResponseWriter
	caller
	conn *conn.Conn // nil in tests without a connection
	// through is set if another node has forwarded the request.
	through *byNode
	// hasBody: the request has one. multiplexed: other requests share the connection.
	hasBody, multiplexed bool
	route                *route
	ctx                  context.Context // ends before the context of r; nil: the context of r
	*workspace
	waiting waiting

	status   int      // of the answer; 0: nothing has been written
	code     api.Code // under which the metrics count it
	headed   bool     // the header has what all answers have
	hidePath bool     // from the log
	aborted  bool     // the connection is closed without an answer

	span    span.Span     // nil: the request is not traced
	counted *limit.Bucket // the bucket that counts the request while it lasts, or nil

	length []string // the value of Content-Length, made with that of X-Request-Id: one allocation for both
}

// workspace is what an exchange needs to read its request and to build its answer. While it waits
// for a lock it has none.
type workspace struct {
	params param.Values
	buf    []byte // holds the body of the request, then that of the answer
}

// maxKept is the size up to which a buffer is kept for other requests. Only long lists are
// larger.
const maxKept = 64 << 10

var (
	exchanges  = sync.Pool{New: func() any { return new(exchange) }}
	workspaces = sync.Pool{New: func() any { return new(workspace) }}
)

var errPanicked = errors.New("a handler panicked")

func (a *API) begin(w http.ResponseWriter, r *http.Request) *exchange {
	x := exchanges.Get().(*exchange)
	x.api, x.w, x.r, x.started = a, w, r, time.Now() // finish left nothing else
	if a.inFlight != nil {
		a.inFlight.Add(1)
	}
	x.takeWorkspace()
	x.conn, x.route, x.code = conn.Of(r), a.unrouted, metrics.OK
	x.id = a.ids.idOf(r)
	if a.forwarded != nil {
		x.receive()
	}
	if a.door.proxies != nil && x.through == nil {
		r.RemoteAddr = a.door.Client(r) // limits, audit log and policies see the client
	}
	x.hasBody, x.multiplexed = r.Body != nil && r.Body != http.NoBody, r.ProtoMajor != 1
	x.armRead()
	if a.tracer != nil && !isProbe(r.URL.Path) {
		x.beginSpan()
	}
	return x
}

// runNamed is run for a route whose path names a lock.
func (x *exchange) runNamed(rt *route, name string) {
	lockName, err := lock.ParseName(name)
	if err != nil {
		x.route = rt
		x.failUnrouted(err)
		return
	}
	x.params.Lock = lockName
	x.run(rt)
}

// run identifies the caller of a routed request, reads its parameters and calls its handler.
func (x *exchange) run(rt *route) {
	x.route = rt
	if err := x.identify(); err != nil {
		x.fail(err)
		return
	}
	if x.principal.TokenID != "" {
		x.markAdmitted()
	}
	if err := x.readParams(); err != nil {
		x.fail(err)
		return
	}
	if err := x.recheckToken(); err != nil {
		x.fail(err)
		return
	}
	if !rt.public {
		x.markAdmitted() // without tokens too
	}
	if err := rt.serve(x); err != nil {
		x.fail(err)
	}
}

// finish ends the exchange. It has to be deferred with what recover returns.
func (x *exchange) finish(p any) {
	if p != nil {
		x.takeWorkspace()
		x.panicked(p)
	}
	if x.waiting.release != nil {
		x.waiting.release()
	}
	if x.status == 0 && !x.aborted {
		_ = x.Header() // net/http sends it
	}
	x.api.limits.End(x.counted)
	took := time.Since(x.started)
	x.route.metrics.Observe(x.code, took)
	if x.span != nil {
		x.endSpan(took)
	}
	if x.r != nil && x.api.log.Enabled(x.r.Context(), slog.LevelDebug) {
		x.api.log.LogAttrs(x.r.Context(), slog.LevelDebug, "request",
			slog.String("method", x.r.Method), slog.String("path", x.loggedPath()), // never the query: it may hold a lease id
			slog.Int("status", x.status), slog.String("code", string(x.code)),
			slog.Duration("took", took), slog.String("request_id", x.id), slog.String("remote", x.r.RemoteAddr))
	}
	aborted, inFlight := x.aborted, x.api.inFlight
	x.leaveWorkspace()
	*x = exchange{}
	exchanges.Put(x)
	if inFlight != nil {
		inFlight.Add(-1)
	}
	if aborted {
		panic(http.ErrAbortHandler)
	}
}

// takeWorkspace makes sure that the exchange has a workspace.
func (x *exchange) takeWorkspace() {
	if x.workspace == nil {
		x.workspace = workspaces.Get().(*workspace)
		x.params.Lock = x.waiting.name
	}
}

// leaveWorkspace gives the workspace to other requests.
func (x *exchange) leaveWorkspace() {
	space := x.workspace
	x.workspace = nil
	if cap(space.buf) <= maxKept {
		*space = workspace{buf: space.buf[:0]}
		workspaces.Put(space)
	}
}

// loggedPath returns the path as the log shows it.
func (x *exchange) loggedPath() string {
	if x.hidePath {
		return "(hidden)"
	}
	return x.r.URL.Path
}

func (x *exchange) panicked(p any) {
	if p == http.ErrAbortHandler { //nolint:errorlint // net/http compares what a handler panics with, too
		x.abort()
		return
	}
	x.api.metrics.Panicked()
	x.api.log.ErrorContext(x.clientContext(), "a handler panicked", "panic", withoutSecret(fmt.Sprint(p)),
		"route", x.route.id, "request_id", x.id, "stack", string(debug.Stack()))
	x.refuse(problem.Of(errPanicked, time.Now()))
}

// abort closes the connection without an answer. Merely returning from the handler would not do:
// net/http would send an empty 200, and to an acquire that means that the lock is held.
func (x *exchange) abort() {
	x.aborted = true
	x.code = problem.CodeGone
}

// fail answers with the problem of an error, and logs it if an operator has to know.
func (x *exchange) fail(err error) {
	answer := x.problemOf(err)
	x.report(answer, err)
	x.refuse(answer)
}

// problemOf returns the problem of an error. It is another if the lock table has moved: what refuses
// the request is not true any more, or is the end of the table here.
func (x *exchange) problemOf(err error) problem.Answer {
	now := time.Now()
	answer := problem.Of(err, now)
	switch lost := x.stands(answer.Status); {
	case answer.Code == problem.CodeGone:
		return answer
	case lost != nil:
		return problem.Of(lost, now)
	case answer.Code == api.CodeDraining && x.api.service.Moved():
		return problem.Of(lock.ErrDeposed, now)
	}
	return answer
}

func (x *exchange) refuse(answer problem.Answer) {
	x.code = answer.Code
	if answer.Code == api.CodeHeld {
		x.api.recorder.Conflict()
	}
	if x.status != 0 || answer.Code == problem.CodeGone {
		x.aborted = true
		return
	}
	answer.RequestID = x.id
	h := x.Header()
	if answer.Allow != "" {
		h["Allow"] = []string{answer.Allow}
	}
	if answer.Code == api.CodeUnauthenticated {
		h["Www-Authenticate"] = x.challenge()
	}
	if answer.RetryAfter > 0 {
		h["Retry-After"] = []string{strconv.Itoa(int(answer.RetryAfter / time.Second))}
	}
	if x.route.browser {
		login.SetHeaders(h)
		x.buf = append(x.buf[:0], login.RefusedPage(answer.Title, answer.Detail, x.id, x.api.loginAgain(answer.Status))...)
		_ = x.write(answer.Status, wire.TypeHTML, time.Now())
		return
	}
	x.buf = wire.AppendProblem(x.buf[:0], answer.Problem)
	_ = x.write(answer.Status, wire.TypeProblem, time.Now()) // its loss does no harm
}

// report logs the errors an operator has to look at: unknown ones, as their answer promises, and
// those that say the server could not do its work. On a full disk every request is one of the
// latter, so these are logged once a minute per code, route and policy.
func (x *exchange) report(answer problem.Answer, err error) {
	about := []slog.Attr{slog.Any("err", err), slog.String("code", string(answer.Code)),
		slog.String("route", x.route.id), slog.String("request_id", x.id)}
	switch {
	case !answer.Known:
		x.api.log.LogAttrs(x.clientContext(), slog.LevelError, "request failed", about...)
	case answer.Code == api.CodePolicyError, answer.Code == api.CodeOutcomeUnknown, answer.Code == api.CodeStorageFull:
		of := "failed " + string(answer.Code) + " " + x.route.id
		if answer.PolicyProblem != nil {
			of += " " + answer.Policy
		}
		x.api.sparse.Log(slog.LevelWarn, of, "request failed", about...)
	}
}

// context ends when the client leaves and, after endWithToken, when the token of the request
// ends.
func (x *exchange) context() context.Context {
	if x.ctx != nil {
		return x.ctx
	}
	return x.clientContext()
}

// clientContext ends when the client leaves.
func (x *exchange) clientContext() context.Context {
	if x.r == nil {
		return x.waiting.client
	}
	return x.r.Context()
}

// readParams reads the query and the body. The body is read to its end: only then does net/http
// notice that a client leaves.
func (x *exchange) readParams() error {
	p := &x.params
	p.Expect(x.route.fields, x.route.lenient, x.r.Header)
	if err := p.ParseQuery(x.r.URL.RawQuery); err != nil {
		return err
	}
	if !x.hasBody {
		return nil
	}
	body, err := x.readBody()
	if err != nil {
		return err
	}
	if len(body) == 0 {
		return nil
	}
	if x.route.lockInfo {
		return p.ParseLockInfo(x.r, body)
	}
	return p.ParseBody(x.r, body)
}

// armRead bounds the time a body may take to arrive, whether a handler reads it or net/http,
// which reads the rest before it answers. net/http lifts the deadline after the body, when it
// begins to watch for the client to leave. One that a forwarder has read is past that: the deadline would
// end the watch, and with it the request.
func (x *exchange) armRead() {
	if x.hasBody && !forward.HasRead(x.r) {
		_ = http.NewResponseController(x.w).SetReadDeadline(x.started.Add(bodyTimeout)) // unsupported where there is no connection
	}
}

// readBody returns the body. It is valid until the answer is built.
func (x *exchange) readBody() ([]byte, error) {
	if x.r.ContentLength > param.MaxBody {
		return nil, problem.ErrTooLarge
	}
	body, err := param.ReadBody(x.r.Body, x.buf[:0])
	x.buf = body[:0]
	return body, err
}
