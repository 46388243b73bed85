package transport

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"runtime/debug"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/octostore/octostore/core/auth"
	"github.com/octostore/octostore/core/lock"
	"github.com/octostore/octostore/transport/api"
	"github.com/octostore/octostore/transport/internal/conn"
	"github.com/octostore/octostore/transport/internal/limit"
	"github.com/octostore/octostore/transport/internal/metrics"
	"github.com/octostore/octostore/transport/internal/param"
	"github.com/octostore/octostore/transport/login"
	"github.com/octostore/octostore/transport/problem"
)

// exchange is one request and its answer. It is the ResponseWriter its handler
// sees, so that it knows what has been written.
type exchange struct {
	api     *API
	w       http.ResponseWriter
	r       *http.Request
	started time.Time
	link    *conn.Conn // nil: there is none, as in tests
	on      side
	id      string
	route   *route
	params  param.Values
	who     auth.Principal
	ctx     context.Context // ends before that of r; nil: it does not

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

// Header values that never change. The slices are shared by all answers, which is
// why nothing may be added to them.
var (
	typeJSON    = []string{"application/json"}
	typeText    = []string{"text/plain; charset=utf-8"}
	typeHTML    = []string{"text/html; charset=utf-8"}
	typeYAML    = []string{"application/yaml"}
	typeNDJSON  = []string{"application/x-ndjson"}
	typeCSV     = []string{"text/csv; charset=utf-8"}
	typeSSE     = []string{"text/event-stream"}
	typeProblem = []string{problem.ContentType}
	noStore     = []string{"no-store"}
	noSniff     = []string{"nosniff"}
	closing     = []string{"close"}
)

func (a *API) begin(w http.ResponseWriter, r *http.Request) *exchange {
	x := exchanges.Get().(*exchange)
	buf := x.buf[:0]
	*x = exchange{api: a, w: w, r: r, started: time.Now(), link: conn.Of(r), route: a.none, code: metrics.OK, buf: buf}
	x.id = a.ids.of(r)
	h := w.Header()
	h["X-Request-Id"] = []string{x.id}
	h["Cache-Control"] = noStore
	h["X-Content-Type-Options"] = noSniff
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
		x.reply(answer.Status, typeHTML)
		return
	}
	body := bytes.NewBuffer(x.buf[:0])
	enc := json.NewEncoder(body)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(answer.Problem); err != nil {
		panic(err) // a Problem always encodes
	}
	x.buf = body.Bytes()
	x.reply(answer.Status, typeProblem)
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

// reply writes the answer in x.buf, for answers whose loss harms nobody.
func (x *exchange) reply(status int, contentType []string) {
	_ = x.write(status, contentType)
}

// deliver writes the answer in x.buf and returns nil only if it has left the
// process. net/http buffers a small answer until the handler has returned, so a
// Write says nothing; a flush does, and as nothing is left to flush afterwards it
// costs no further system call.
func (x *exchange) deliver(status int, contentType []string) error {
	if err := x.write(status, contentType); err != nil {
		return err
	}
	err := http.NewResponseController(x.w).Flush()
	if errors.Is(err, http.ErrNotSupported) {
		return nil // not a connection, and nothing is buffered
	}
	return err
}

func (x *exchange) write(status int, contentType []string) error {
	h := x.w.Header()
	h["Content-Type"] = contentType
	h["Content-Length"] = []string{strconv.Itoa(len(x.buf))}
	if x.api.service.Draining() {
		h["Connection"] = closing // the listener is about to go
	}
	x.armWrite()
	x.WriteHeader(status)
	_, err := x.w.Write(x.buf)
	return err
}

// armWrite bounds the time the answer may take to be written, after what net/http
// may wait for the rest of a body. It lifts the deadline at the end of the request.
// Where there is no connection, as in tests, there is nothing to bound.
func (x *exchange) armWrite() {
	limit := writeTimeout
	if x.hasBody() {
		limit += bodyTimeout
	}
	_ = http.NewResponseController(x.w).SetWriteDeadline(time.Now().Add(limit))
}

// Header, WriteHeader, Write and Unwrap make the exchange the ResponseWriter of its
// handler.
func (x *exchange) Header() http.Header { return x.w.Header() }

func (x *exchange) WriteHeader(status int) {
	if x.status == 0 {
		x.status = status
	}
	x.w.WriteHeader(status)
}

func (x *exchange) Write(b []byte) (int, error) {
	if x.status == 0 {
		x.status = http.StatusOK
	}
	return x.w.Write(b)
}

// Unwrap lets an [http.ResponseController] find the connection.
func (x *exchange) Unwrap() http.ResponseWriter { return x.w }

// context ends when the client leaves, and when its token ends where that matters.
func (x *exchange) context() context.Context {
	if x.ctx != nil {
		return x.ctx
	}
	return x.r.Context()
}

// origin says who sent the request, for the journal.
func (x *exchange) origin() lock.Origin {
	return lock.Origin{
		Actor:     lock.Actor{RemoteAddr: x.r.RemoteAddr, UserAgent: printable(x.r.UserAgent())},
		RequestID: x.id,
		TraceID:   traceID(x.r.Header["Traceparent"]),
	}
}

// traceID returns the trace id of a W3C traceparent header, or nothing if it is not
// one: what a tracer got wrong is no reason to refuse a lock.
func traceID(lines []string) string {
	const (
		version = "00-"
		end     = len(version) + 32
		whole   = end + len("-0123456789abcdef-01")
	)
	if len(lines) != 1 || len(lines[0]) < whole {
		return ""
	}
	line := lines[0]
	// Later versions may append to the form of the first, with a dash; ff is none.
	if line[:2] == "ff" || line[2] != '-' || len(line) > whole && (line[:3] == version || line[whole] != '-') {
		return ""
	}
	id := line[len(version):end]
	if line[end] != '-' || line[end+17] != '-' || !lowerHex(line[:2]+id+line[end+1:end+17]+line[end+18:whole]) ||
		strings.Trim(id, "0") == "" || strings.Trim(line[end+1:end+17], "0") == "" {
		return ""
	}
	return id
}

func lowerHex(s string) bool {
	for i := 0; i < len(s); i++ {
		if !('0' <= s[i] && s[i] <= '9' || 'a' <= s[i] && s[i] <= 'f') {
			return false
		}
	}
	return true
}

// printable leaves out what is not printable ASCII and cuts the rest to 256 bytes.
func printable(s string) string {
	const most = 256
	for i := 0; i < len(s); i++ {
		if s[i] < ' ' || s[i] > '~' {
			s = onlyPrintable(s) // which may make a token whole
			break
		}
	}
	s = withoutSecret(s)
	return s[:min(len(s), most)]
}

// withoutSecret returns the text, or that there was a token in it.
func withoutSecret(s string) string {
	if auth.HoldsSecret(s) {
		return "(hidden: it held a token)"
	}
	return s
}

func onlyPrintable(s string) string {
	kept := make([]byte, 0, len(s))
	for i := 0; i < len(s); i++ {
		if s[i] >= ' ' && s[i] <= '~' {
			kept = append(kept, s[i])
		}
	}
	return string(kept)
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
