package transport

import (
	"context"
	"errors"
	"net/http"
	"strconv"
	"time"

	"github.com/octostore/octostore/core/lock"
	"github.com/octostore/octostore/transport/forward"
	"github.com/octostore/octostore/transport/internal/wire"
)

// stands returns nil if an answer with this status, which is built, may leave. Another process may
// own the lock table by now, and have made untrue what the answer says; then stands returns the
// error to answer instead. A change that is durable is not answered as if it had not been made.
func (x *exchange) stands(status int) error {
	switch {
	case x.api.service.Owns() || x.route.timeless || status > http.StatusInternalServerError:
		return nil
	case status >= http.StatusBadRequest && status < http.StatusInternalServerError, x.route.method == http.MethodGet:
		return lock.ErrDeposed
	}
	return lock.ErrOutcomeUnknown
}

// reply writes the answer in x.buf, whose loss does no harm, or returns why it may not leave.
func (x *exchange) reply(status int, contentType []string) error {
	return x.replyAt(status, contentType, time.Now())
}

// replyAt is reply for an answer that was built at a time.
func (x *exchange) replyAt(status int, contentType []string, now time.Time) error {
	err := x.stands(status)
	if err == nil {
		_ = x.write(status, contentType, now)
	}
	return err
}

// deliver writes the successful answer in x.buf, and returns nil only if it has left the
// process. Errors: [lock.ErrGone], and those of stands. now is the time at which it was built. net/http
// buffers a small answer until the handler has returned, so Write says nothing about that; Flush does,
// and costs no further system call, as nothing is left to flush afterwards. All answers that are delivered are
// small.
func (x *exchange) deliver(contentType []string, now time.Time) error {
	if err := x.stands(http.StatusOK); err != nil {
		return err
	}
	if x.through != nil {
		return x.deliverThrough(contentType, now)
	}
	if x.write(http.StatusOK, contentType, now) != nil {
		return lock.ErrGone
	}
	err := http.NewResponseController(x.w).Flush()
	if err != nil && !errors.Is(err, http.ErrNotSupported) { // not a connection, and nothing is buffered
		return lock.ErrGone
	}
	return nil
}

// deliverThrough is deliver for an answer that goes through another node, which can fail to deliver it
// although it has received it. So the head goes first, and names the grant, and the rest when that node has
// asked for it. After that the grant is undone only if the node says so.
func (x *exchange) deliverThrough(contentType []string, now time.Time) error {
	ask := x.api.forwarded.Ask(x.through.grant)
	defer ask.Drop() // no-op if it may be delivered
	x.Header()[forward.AskHeader] = []string{ask.ID()}
	x.writeHead(http.StatusOK, contentType, now)
	if http.NewResponseController(x.w).Flush() != nil {
		return lock.ErrGone
	}
	before := x.ctx
	release := x.endEarly(0)
	err := ask.Await(x.ctx)
	release()
	x.ctx = before
	if err != nil {
		return err
	}
	x.armWrite()
	_, _ = x.w.Write(x.buf) // the other node notices its loss
	return nil
}

func (x *exchange) write(status int, contentType []string, now time.Time) error {
	x.writeHead(status, contentType, now)
	_, err := x.w.Write(x.buf)
	return err
}

func (x *exchange) writeHead(status int, contentType []string, now time.Time) {
	h := x.Header()
	h["Content-Type"] = contentType
	x.length[0] = strconv.Itoa(len(x.buf))
	h["Content-Length"] = x.length
	if x.api.service.Draining() {
		h["Connection"] = wire.Close // the listener is about to go
	}
	x.armWriteAt(now)
	x.WriteHeader(status)
}

// armWrite bounds the time the answer may take to be written, after the time net/http may wait
// for the rest of a body. net/http lifts the deadline at the end of the request. In tests
// without a connection it does nothing.
func (x *exchange) armWrite() { x.armWriteAt(time.Now()) }

func (x *exchange) armWriteAt(now time.Time) {
	limit := writeTimeout
	if x.hasBody {
		limit += bodyTimeout
	}
	_ = http.NewResponseController(x.w).SetWriteDeadline(now.Add(limit))
}

// Header, WriteHeader, Write and Unwrap make the exchange the ResponseWriter of its handler.
func (x *exchange) Header() http.Header {
	h := x.w.Header()
	if !x.headed { // not earlier: while the request waits, there need not be a header
		x.headed = true
		values := make([]string, 2)
		values[0], x.length = x.id, values[1:]
		h["X-Request-Id"] = values[:1:1]
		h["Cache-Control"] = wire.NoStore
		h["X-Content-Type-Options"] = wire.NoSniff
	}
	return h
}

func (x *exchange) WriteHeader(status int) {
	if x.status == 0 {
		x.status = status
		_ = x.Header()
	}
	x.w.WriteHeader(status)
}

// Write is for streams, and for handlers of other packages. A stream ends when it may not say more.
func (x *exchange) Write(b []byte) (int, error) {
	if err := x.stands(http.StatusOK); err != nil {
		return 0, err
	}
	if x.status == 0 {
		x.status = http.StatusOK
		_ = x.Header()
	}
	return x.w.Write(b)
}

// Unwrap lets an [http.ResponseController] find the connection.
func (x *exchange) Unwrap() http.ResponseWriter { return x.w }

// How many bytes of a stream the system may keep for a client that does not read them, see
// [wire.StreamConfig]. Exports are long and may have far to go.
const (
	watchUnsent  = 64 << 10
	exportUnsent = 512 << 10
)

// beginStream sends the header of a stream, or returns why it may not begin.
func (x *exchange) beginStream(contentType []string, gzip bool, unsent int) (*wire.Stream, error) {
	if err := x.stands(http.StatusOK); err != nil {
		return nil, err
	}
	cfg := wire.StreamConfig{ContentType: contentType, Gzip: gzip, Timeout: writeTimeout, Unsent: unsent}
	if x.r.Method != http.MethodHead { // which leaves the connection to other requests
		cfg.Conn = x.ownConnection()
	}
	return x.api.streams.Begin(x, cfg), nil
}

// untilStop returns a context that ends when the client leaves or the server begins to
// stop.
func (x *exchange) untilStop() (context.Context, context.CancelFunc) {
	ctx, cancel := context.WithCancel(x.context())
	stop := context.AfterFunc(x.api.service.UntilDrain(), cancel)
	return ctx, func() {
		stop()
		cancel()
	}
}

// followUntilStop is untilStop for a stream that goes on with new events.
func (x *exchange) followUntilStop() (context.Context, context.CancelFunc) {
	ctx, cancel := x.untilStop()
	end := x.api.streams.Follow()
	return ctx, func() {
		end()
		cancel()
	}
}
