package forward

import (
	"context"
	"crypto/rand"
	"errors"
	"net"
	"net/http"
	"net/http/httptrace"
	"net/http/httputil"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/octostore/octostore/core/lock"
	"github.com/octostore/octostore/transport/api"
	"github.com/octostore/octostore/transport/internal/conn"
	"github.com/octostore/octostore/transport/internal/param"
	"github.com/octostore/octostore/transport/internal/wire"
	"github.com/octostore/octostore/transport/problem"
)

const (
	bodyTimeout  = 10 * time.Second
	writeTimeout = 10 * time.Second // for each piece of an answer
	// admittedAfter is the age of a request that the serving node has not refused.
	admittedAfter = time.Second
)

// passage is one request on its way to the serving node and back.
type passage struct {
	f    *Forwarder
	to   *crossing
	in   *http.Request // of the client
	out  *answer       // to the client
	own  *net.TCPConn  // of the client; nil: other requests share it, or there is none
	sent atomic.Bool   // bytes may have been sent on
	left atomic.Bool   // the client was seen to leave
	ask  string        // names a grant that may be delivered; empty: there is none

	until time.Time // an answer before that says moved is not for the client
	again bool      // there was one
}

type passageKey struct{}

func passageOf(r *http.Request) *passage { return r.Context().Value(passageKey{}).(*passage) }

// pass sends the request on. It panics with [http.ErrAbortHandler] if the answer broke off. Without an
// answer it returns true, see [Forwarder.Pass].
func (f *Forwarder) pass(w http.ResponseWriter, r *http.Request, to *crossing, until time.Time) (again bool) {
	p := &passage{f: f, to: to, in: r, out: &answer{ResponseWriter: w, control: http.NewResponseController(w)}, until: until}
	ctx, end := context.WithCancelCause(context.WithValue(r.Context(), passageKey{}, p))
	defer end(nil)
	defer context.AfterFunc(to.ctx, func() { end(errMoved) })()
	if of := conn.Of(r); of != nil && r.ProtoMajor == 1 {
		p.own = of.TCP()
	}
	if p.own != nil {
		defer f.hangups.Watch(p.own, func() { p.left.Store(true); end(errLeft) }, conn.WatchDelay)()
	}
	defer time.AfterFunc(admittedAfter, func() { f.cfg.Admitted(r) }).Stop()
	ctx = httptrace.WithClientTrace(ctx, &httptrace.ClientTrace{GotConn: func(httptrace.GotConnInfo) { p.sent.Store(true) }})
	whole := false
	defer func() { p.settle(whole) }()
	f.proxy.ServeHTTP(p.out, toSend(ctx, r))
	whole = true
	return p.again
}

// rewrite makes the request to the serving node of that of the client.
func (f *Forwarder) rewrite(r *httputil.ProxyRequest) {
	p := passageOf(r.In)
	r.Out.URL.Scheme, r.Out.URL.Host = p.to.URL.Scheme, p.to.URL.Host
	r.Out.URL.RawQuery = r.In.URL.RawQuery // a query that is malformed is for the serving node to refuse
	r.Out.Host = r.In.Host
	h := r.Out.Header
	delete(h, "Expect") // the body is here
	c := claim{kind: kindRequest, term: p.to.Term, at: time.Now(), client: f.cfg.Client(r.In)}
	h[Header] = []string{c.sign(f.cfg.Key, r.Out.Method, r.Out.URL.RequestURI())}
	if key, has := h[api.HeaderKey]; has {
		delete(h, api.HeaderKey)
		h[strings.ToLower(api.HeaderKey)] = key // else the transport takes it for a request that it may send twice
	}
	delete(h, "X-Idempotency-Key") // for the same reason; it means nothing here
}

// answered is called with the head of an answer, before any of it goes to the client.
func (f *Forwarder) answered(r *http.Response) error {
	p := passageOf(r.Request)
	if time.Now().Before(p.until) && saysMoved(r) {
		return errAgain
	}
	if r.StatusCode < http.StatusBadRequest {
		f.cfg.Admitted(p.in)
	}
	ask := r.Header.Get(AskHeader)
	if ask == "" {
		return nil
	}
	delete(r.Header, AskHeader)
	p.out.left = max(0, r.ContentLength)
	return p.askFor(ask)
}

// failed answers a request that got no answer.
func (f *Forwarder) failed(_ http.ResponseWriter, r *http.Request, err error) {
	p := passageOf(r)
	if errors.Is(err, lock.ErrGone) || p.hasLeft() {
		panic(http.ErrAbortHandler) // the client has left
	}
	if errors.Is(err, errAgain) {
		p.again = true
		return
	}
	if p.to.ctx.Err() == nil && !errors.Is(err, lock.ErrTooLate) && !errors.Is(err, lock.ErrOutcomeUnknown) {
		f.log("no answer", "the node that serves, at "+p.to.URL.String()+", does not answer", err)
	}
	f.refuse(p.out, p.in, p.cause(err))
}

// cause returns what the client is told about an error.
func (p *passage) cause(err error) error {
	switch {
	case errors.Is(err, lock.ErrTooLate), errors.Is(err, lock.ErrOutcomeUnknown): // see askFor
		return err
	case !p.sent.Load(), isSafe(p.in.Method): // a read changes nothing
		return lock.ErrDeposed
	}
	return lock.ErrOutcomeUnknown
}

func isSafe(method string) bool { return method == http.MethodGet || method == http.MethodHead }

// refuse answers with the problem of an error, as the API does.
func (f *Forwarder) refuse(w http.ResponseWriter, r *http.Request, err error) {
	a := problem.Of(err, time.Now())
	switch a.Code { //nolint:exhaustive // these are counted
	case api.CodeMoved:
		f.moved.Add(1)
	case api.CodeOutcomeUnknown:
		f.unknown.Add(1)
	}
	a.RequestID = requestID(r)
	body, h := wire.AppendProblem(nil, a.Problem), w.Header()
	h["Content-Type"] = wire.TypeProblem
	h["Content-Length"] = []string{strconv.Itoa(len(body))}
	h["Cache-Control"] = wire.NoStore
	h["X-Content-Type-Options"] = wire.NoSniff
	h[api.HeaderRequestID] = []string{a.RequestID}
	if a.RetryAfter > 0 {
		h["Retry-After"] = []string{strconv.Itoa(int(a.RetryAfter / time.Second))}
	}
	_ = http.NewResponseController(w).SetWriteDeadline(time.Now().Add(writeTimeout)) // unsupported where there is no connection
	w.WriteHeader(a.Status)
	_, _ = w.Write(body) // its loss does no harm
}

// requestID returns the id that the client chose, if it may be shown, else a new one.
func requestID(r *http.Request) string {
	if chosen := param.RequestID(r.Header); chosen != "" {
		return chosen
	}
	return "f-" + strings.ToLower(rand.Text()[:12])
}

// takeBody reads the body to its end, as the API does: only then does net/http notice that the client
// leaves, and a slow body keeps no connection to the serving node.
func takeBody(w http.ResponseWriter, r *http.Request) error {
	if len(r.TransferEncoding) > 0 {
		w.Header()["Connection"] = wire.Close // against request smuggling, as the API does
	}
	if r.Body == nil || r.Body == http.NoBody || HasRead(r) {
		return nil
	}
	_ = http.NewResponseController(w).SetReadDeadline(time.Now().Add(bodyTimeout)) // unsupported where there is no connection
	if r.ContentLength > param.MaxBody {
		return problem.ErrTooLarge
	}
	body, err := param.ReadBody(r.Body, nil)
	if err != nil {
		return err
	}
	r.ContentLength, r.TransferEncoding = int64(len(body)), nil
	r.Body = http.NoBody
	if len(body) > 0 {
		r.Body = repeat(body)
	}
	return nil
}

// answer is the ResponseWriter of a client. It bounds the time of each write, and remembers whether one
// has failed, and whether the client may have all of it.
type answer struct {
	http.ResponseWriter
	control *http.ResponseController
	err     error
	left    int64 // bytes of the body that are to be written yet; 0: not known, or none
	ends    bool  // all of them have been written
	whole   bool  // all of the body has left the process, so that no later error matters
}

// buffered is how many bytes net/http may keep of a body at least. Those of a longer one may have left
// before they are flushed.
const buffered = 2 << 10

// Write writes a piece of the answer.
func (a *answer) Write(b []byte) (int, error) {
	a.limit()
	n, err := a.ResponseWriter.Write(b)
	if a.left > 0 {
		a.left -= int64(n)
		a.ends, a.whole = a.left == 0, a.left == 0 && n > buffered
	}
	return n, a.keep(err)
}

// FlushError sends what was written.
func (a *answer) FlushError() error {
	a.limit()
	err := a.control.Flush()
	a.whole = a.whole || a.ends && err == nil && a.err == nil
	return a.keep(err)
}

// Unwrap lets an [http.ResponseController] find the connection.
func (a *answer) Unwrap() http.ResponseWriter { return a.ResponseWriter }

func (a *answer) limit() { _ = a.control.SetWriteDeadline(time.Now().Add(writeTimeout)) } // unsupported where there is no connection

func (a *answer) keep(err error) error {
	if a.err == nil {
		a.err = err
	}
	return err
}

// buffers are those with which answers are copied.
type buffers struct{ pool sync.Pool }

func newBuffers() *buffers {
	return &buffers{sync.Pool{New: func() any { b := make([]byte, 32<<10); return &b }}}
}

// Get returns a buffer.
func (b *buffers) Get() []byte { return *b.pool.Get().(*[]byte) }

// Put gives it back.
func (b *buffers) Put(one []byte) { b.pool.Put(&one) }
