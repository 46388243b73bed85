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

	"github.com/octostore/octostore/transport/api"
	"github.com/octostore/octostore/transport/internal/conn"
	"github.com/octostore/octostore/transport/internal/limit"
	"github.com/octostore/octostore/transport/internal/metrics"
	"github.com/octostore/octostore/transport/internal/param"
	"github.com/octostore/octostore/transport/internal/wire"
	"github.com/octostore/octostore/transport/login"
	"github.com/octostore/octostore/transport/problem"
)

// exchange is one request and its answer. It is the ResponseWriter its handler
// sees, so that it knows what has been written.
type exchange struct {
	api *API
	w   http.ResponseWriter
	caller
	link   *conn.Conn // nil: there is none, as in tests
	route  *route
	params param.Values
	ctx    context.Context // ends before that of r; nil: it does not

	status  int      // of the answer; 0: nothing is written yet
	code    api.Code // what it is counted under
	hidden  bool     // the path must not be logged
	aborted bool     // the connection is to be cut: there is no answer

	counted *limit.Bucket // counts the request while it lasts; nil: none does

	buf []byte // for the body of the request, then of the answer
}

// maxKept is the size up to which a buffer is kept for other requests: larger than
// any answer but long lists.
const maxKept = 64 << 10

var exchanges = sync.Pool{New: func() any { return new(exchange) }}

var errPanicked = errors.New("a handler panicked")

func (a *API) begin(w http.ResponseWriter, r *http.Request) *exchange {
	x := exchanges.Get().(*exchange)
	buf := x.buf[:0]
	*x = exchange{api: a, w: w, caller: caller{r: r, started: time.Now()}, link: conn.Of(r), route: a.none, code: metrics.OK, buf: buf}
	x.id = a.ids.of(r)
	h := w.Header()
	h["X-Request-Id"] = []string{x.id}
	h["Cache-Control"] = wire.NoStore
	h["X-Content-Type-Options"] = wire.NoSniff
	x.armRead()
	return x
}

// run reads the parameters of a matched request and calls its handler.
func (x *exchange) run(rt *route) {
	x.route = rt
	if err := x.admit(); err != nil {
		x.fail(err)
		return
	}
	if x.who.TokenID != "" {
		x.settle()
	}
	if err := x.readParams(); err != nil {
		x.fail(err)
		return
	}
	if err := x.stillGood(); err != nil {
		x.fail(err)
		return
	}
	if !rt.public {
		x.settle() // in open mode, too
	}
	if err := rt.serve(x); err != nil {
		x.fail(err)
	}
}

// finish ends the exchange, whatever happened: it must be deferred.
func (x *exchange) finish() {
	if p := recover(); p != nil {
		x.panicked(p)
	}
	x.api.limits.End(x.counted)
	took := time.Since(x.started)
	x.route.metrics.Observe(x.code, took)
	if x.api.log.Enabled(x.r.Context(), slog.LevelDebug) {
		x.api.log.LogAttrs(x.r.Context(), slog.LevelDebug, "request",
			slog.String("method", x.r.Method), slog.String("path", x.shownPath()), // never the query: it may hold a lease id
			slog.Int("status", x.status), slog.String("code", string(x.code)),
			slog.Duration("took", took), slog.String("request_id", x.id), slog.String("remote", x.r.RemoteAddr))
	}
	aborted := x.aborted
	if cap(x.buf) <= maxKept {
		*x = exchange{buf: x.buf}
		exchanges.Put(x)
	}
	if aborted {
		panic(http.ErrAbortHandler)
	}
}

// shownPath is the path, for the log.
func (x *exchange) shownPath() string {
	if x.hidden {
		return "(hidden)"
	}
	return x.r.URL.Path
}

func (x *exchange) panicked(p any) {
	if p == http.ErrAbortHandler {
		x.abort()
		return
	}
	x.api.metrics.Panicked()
	x.api.log.ErrorContext(x.r.Context(), "a handler panicked", "panic", withoutSecret(fmt.Sprint(p)),
		"route", x.route.id, "request_id", x.id, "stack", string(debug.Stack()))
	x.refuse(problem.Of(errPanicked, time.Now()))
}

// abort cuts the connection. Returning from a handler without an answer is no way
// to say nothing: net/http would send an empty 200, and to an acquire that means
// the lock is yours.
func (x *exchange) abort() {
	x.aborted = true
	x.code = problem.CodeGone
}

// fail answers with what the table of problems has for err.
func (x *exchange) fail(err error) {
	answer := problem.Of(err, time.Now())
	x.report(answer, err)
	x.refuse(answer)
}

func (x *exchange) refuse(answer problem.Answer) {
	x.code = answer.Code
	if x.status != 0 || answer.Code == problem.CodeGone {
		x.aborted = true
		return
	}
	answer.RequestID = x.id
	h := x.w.Header()
	if answer.Allow != "" {
		h["Allow"] = []string{answer.Allow}
	}
	if answer.Code == api.CodeUnauthenticated {
		h["Www-Authenticate"] = challenge
	}
	if answer.RetryAfter > 0 {
		h["Retry-After"] = []string{strconv.Itoa(int(answer.RetryAfter / time.Second))}
	}
	if x.route.page {
		login.SetHeaders(h)
		x.buf = append(x.buf[:0], login.RefusedPage(answer.Title, answer.Detail, x.id, answer.Status != http.StatusNotFound)...)
		x.reply(answer.Status, wire.TypeHTML)
		return
	}
	x.buf = wire.AppendProblem(x.buf[:0], answer.Problem)
	x.reply(answer.Status, wire.TypeProblem)
}

// report logs the errors somebody has to look at: each of those without a row, as the answer
// promises, and those that mean the server could not do its work. On a full disk every
// request is one of the latter, so of them it is one line of each sort a minute, and for each
// policy that could not answer.
func (x *exchange) report(answer problem.Answer, err error) {
	about := []slog.Attr{slog.Any("err", err), slog.String("code", string(answer.Code)),
		slog.String("route", x.route.id), slog.String("request_id", x.id)}
	switch {
	case !answer.Known:
		x.api.log.LogAttrs(x.r.Context(), slog.LevelError, "request failed", about...)
	case answer.Code == api.CodePolicyError, answer.Code == api.CodeOutcomeUnknown, answer.Code == api.CodeStorageFull:
		of := "failed " + string(answer.Code) + " " + x.route.id
		if answer.PolicyProblem != nil {
			of += " " + answer.Policy
		}
		x.api.sparse.Log(slog.LevelWarn, of, "request failed", about...)
	}
}

// context ends when the client leaves, and when its token ends where that matters.
func (x *exchange) context() context.Context {
	if x.ctx != nil {
		return x.ctx
	}
	return x.r.Context()
}

// readParams reads the query and the body of the request. The body is read to its
// end, for only then does net/http notice that a client leaves.
func (x *exchange) readParams() error {
	p := &x.params
	p.Expect(x.route.fields, x.route.loose, x.r.Header)
	if err := p.ParseQuery(x.r.URL.RawQuery); err != nil {
		return err
	}
	if !x.hasBody() {
		return nil
	}
	body, err := x.readBody()
	if err != nil {
		return err
	}
	if len(body) == 0 {
		return nil
	}
	return p.ParseBody(x.r, body)
}

// armRead bounds the time a body may take to arrive, whether it is read by a handler
// or by net/http, which reads what is left of it before it answers. The deadline ends
// with the body: net/http lifts it where it begins to watch for the client to leave.
func (x *exchange) armRead() {
	if x.hasBody() {
		_ = http.NewResponseController(x.w).SetReadDeadline(x.started.Add(bodyTimeout)) // unsupported where there is no connection
	}
}

func (x *exchange) hasBody() bool { return x.r.Body != nil && x.r.Body != http.NoBody }

// readBody returns the body, which is valid until the answer is built.
func (x *exchange) readBody() ([]byte, error) {
	if x.r.ContentLength > param.MaxBody {
		return nil, problem.ErrTooLarge
	}
	body, err := param.ReadBody(x.r.Body, x.buf[:0])
	x.buf = body[:0]
	return body, err
}
