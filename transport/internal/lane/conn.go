package lane

import (
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"runtime/debug"
	"sync/atomic"
	"time"
)

// States of a connection.
const (
	fresh  int32 = iota // no byte was read yet
	idle                // no byte of the next request was read
	active              // part of a request was read, or it is answered, or handed over
	closed
)

// conn is a connection in the lane. Only its goroutine uses it, except for its state and the
// closing of nc.
type conn struct {
	srv    *Server
	nc     net.Conn
	ctx    context.Context
	cut    context.CancelFunc // ends ctx
	remote string
	opened time.Time
	state  atomic.Int32

	in        input
	readBy    time.Time // the read deadline of nc; zero: none
	writeBy   time.Time // the write deadline of nc; zero: none
	used      bool      // there was a request before
	afterPost bool      // it was a POST
	gone      bool      // the connection is closed or was handed over
}

func newConn(s *Server, nc net.Conn, ctx context.Context) *conn {
	c := &conn{srv: s, nc: nc, remote: nc.RemoteAddr().String(), opened: time.Now()}
	c.ctx, c.cut = context.WithCancel(context.WithValue(ctx, http.LocalAddrContextKey, nc.LocalAddr()))
	c.in.begin(nc)
	return c
}

// next is what comes after a request.
type next int

const (
	over   next = iota // the connection is to be closed, or was handed over
	more               // another request
	parked             // the answer, in another goroutine, to which the connection belongs
)

// serve answers requests until the connection is closed, handed over, or parked. If an answer was
// parked it comes first.
func (c *conn) serve(w *answer) {
	then := more
	defer func() {
		if then != parked {
			c.end(recover())
		}
	}()
	if w != nil {
		w.goOn()
		then = c.answered(w)
	}
	for then == more {
		then = c.serveNext()
	}
}

// end closes the connection after the last request, or after a panic of the handler. What it has
// written but not flushed is not sent.
func (c *conn) end(p any) {
	if p != nil && p != http.ErrAbortHandler { //nolint:errorlint // as net/http does
		c.srv.logf("http: panic serving %v: %v\n%s", c.remote, p, debug.Stack())
	}
	c.close()
}

// close is a no-op if the connection is closed or was handed over.
func (c *conn) close() {
	if c.gone {
		return
	}
	c.gone = true
	c.state.Store(closed)
	c.cut()
	_ = c.nc.Close() // a stop may have closed it
	c.in.drop()
	c.srv.forget(c)
	c.srv.changed(c.nc, http.StateClosed)
}

// serveNext answers the next request.
func (c *conn) serveNext() next {
	h, by, err := c.readHeader()
	if err != nil {
		return over
	}
	if h.decided != plain || h.waits && !c.mayWait() || !c.srv.cfg.Plain() {
		c.handOver(by)
		return over
	}
	size := h.at + max(0, h.length)
	if size > c.in.len() { // the rest of the body may take its time
		c.handOver(by)
		return over
	}
	r := parse(c.in.bytes()[:size], &h)
	if r == nil {
		c.handOver(by)
		return over
	}
	c.in.consume(size)
	c.used, c.afterPost = true, r.Method == http.MethodPost
	return c.answer(r)
}

// mayWait reports whether the handler can notice that the client of a waiting request leaves: it
// looks at sockets only.
func (c *conn) mayWait() bool { return c.srv.cfg.Poller && c.in.raw != nil }

var errClosed = errors.New("the connection is closed")

// readHeader reads until the next request is plain or not. by is when its header has to be
// complete. An error means that the connection has to be closed without an answer.
func (c *conn) readHeader() (h header, by time.Time, err error) {
	h = newHeader()
	now := time.Now()
	switch {
	case !c.used:
		by = c.setHeaderTime(now)
	case c.in.len() == 0:
		c.setIdleTime(now)
	}
	for {
		if c.in.len() > 0 {
			if !c.activate() {
				return h, by, errClosed // by a stop
			}
			if c.skipBlank() && h.check(c.in.bytes()) != undecided || c.in.full() {
				return h, by, nil
			}
			if by.IsZero() {
				by = c.setHeaderTime(time.Now())
			}
		}
		if err := c.in.fill(); err != nil {
			// net/http answers half a request with 400, unless it is cut short by its time.
			if errors.Is(err, io.EOF) && (c.in.len() >= shortest || c.in.len() > 0 && !c.used) {
				return h, by, nil
			}
			return h, by, err
		}
	}
}

// activate reports false if a stop has closed the connection.
func (c *conn) activate() bool {
	return c.state.Load() == active || c.state.CompareAndSwap(idle, active) || c.state.CompareAndSwap(fresh, active)
}

// stopIdle closes the connection if it has no request, or none yet after some time.
func (c *conn) stopIdle() bool {
	if !c.state.CompareAndSwap(idle, closed) && (time.Since(c.opened) < freshTime || !c.state.CompareAndSwap(fresh, closed)) {
		return false
	}
	_ = c.nc.Close() // its goroutine ends
	return true
}

// freshTime is how long a stop waits for the first request of a connection, as with net/http.
const freshTime = 5 * time.Second

// shortest is how many bytes net/http waits for before it takes them for a request that follows
// another one.
const shortest = 4

// skipBlank skips empty lines after a POST, as net/http does: old clients send them. It reports
// false if more bytes are needed.
func (c *conn) skipBlank() bool {
	in := c.in.bytes()
	if !c.afterPost || in[0] != '\r' && in[0] != '\n' {
		return true
	}
	if len(in) < shortest {
		return false
	}
	n := 1
	for n < shortest && (in[n] == '\r' || in[n] == '\n') {
		n++
	}
	c.afterPost = false
	c.in.consume(n)
	return c.in.len() > 0
}

// setHeaderTime bounds the time for a header, and returns when it ends; zero: it does not.
func (c *conn) setHeaderTime(from time.Time) (by time.Time) {
	if most := c.srv.cfg.HeaderTimeout; most > 0 {
		by = from.Add(most)
	}
	_ = c.setReadTime(by) // it fails only if closed, and so does the read
	return by
}

// setIdleTime bounds the time until the next request. A deadline that is a little too early stays, so
// a busy connection seldom needs another.
func (c *conn) setIdleTime(from time.Time) {
	most := c.srv.cfg.IdleTimeout
	if most <= 0 {
		_ = c.setReadTime(time.Time{}) // as in setHeaderTime
		return
	}
	by := from.Add(most)
	if early := by.Sub(c.readBy); early < 0 || early > most/64 {
		_ = c.setReadTime(by) // as in setHeaderTime
	}
}

func (c *conn) setReadTime(by time.Time) error {
	c.readBy = by
	return c.nc.SetReadDeadline(by)
}

// setWriteTime sets when a write has to be done; zero: it may take any time. A deadline that is at
// most a second too early stays, also between requests: setting one takes longer than it is worth.
func (c *conn) setWriteTime(by time.Time) error {
	if later := by.Sub(c.writeBy); by.Equal(c.writeBy) || !by.IsZero() && !c.writeBy.IsZero() && 0 <= later && later < time.Second {
		return nil
	}
	c.writeBy = by
	return c.nc.SetWriteDeadline(by)
}

// answer has the handler answer a request. The context of the request is that of the connection,
// as there is nothing that would end its own while the handler works.
func (c *conn) answer(r *http.Request) next {
	r.RemoteAddr = c.remote
	w := newAnswer(c, r)
	c.srv.cfg.Handler.ServeHTTP(w, r.WithContext(c.ctx))
	if w.isParked {
		if !w.meets() {
			return parked
		}
		w.goOn()
	}
	return c.answered(w)
}

// answered ends a request whose answer the handler has written.
func (c *conn) answered(w *answer) next {
	again := w.finish()
	w.free()
	if !again || c.srv.stopping.Load() {
		return over
	}
	if c.in.len() == 0 {
		c.state.Store(idle)
	}
	if c.srv.stopping.Load() { // the stop has looked at the state before, and has not found it idle
		return over
	}
	return more
}
