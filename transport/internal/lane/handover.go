package lane

import (
	"context"
	"net"
	"net/http"
	"sync"
	"time"
)

// handovers is the listener from which net/http takes the connections that are handed over.
type handovers struct {
	addr   net.Addr // of the first listener
	queue  chan net.Conn
	closed chan struct{}
	once   sync.Once
}

func newHandovers() *handovers {
	return &handovers{queue: make(chan net.Conn), closed: make(chan struct{})}
}

// give waits until net/http takes the connection. It reports false if it never will. The queue
// has no room, so no connection is left in it.
func (h *handovers) give(c net.Conn) bool {
	select {
	case h.queue <- c:
		return true
	case <-h.closed:
		return false
	}
}

// Accept returns the next connection.
func (h *handovers) Accept() (net.Conn, error) {
	select {
	case c := <-h.queue:
		return c, nil
	case <-h.closed:
		return nil, net.ErrClosed
	}
}

// Close makes Accept and give return.
func (h *handovers) Close() error {
	h.once.Do(func() { close(h.closed) })
	return nil
}

// Addr returns the address of the lane's listener.
func (h *handovers) Addr() net.Addr { return h.addr }

// handed is a connection that was handed over. Only its reads differ from those of the
// connection: they begin with what the lane has read.
type handed struct {
	net.Conn
	ctx    context.Context
	unread []byte

	mu       sync.Mutex
	headerBy time.Time // no later deadline is set while the first header is read; zero: any
}

// Read reads what the lane has read and not answered, then from the connection.
func (h *handed) Read(b []byte) (int, error) {
	if len(h.unread) == 0 {
		return h.Conn.Read(b)
	}
	n := copy(b, h.unread)
	if h.unread = h.unread[n:]; len(h.unread) == 0 {
		h.unread = nil
	}
	return n, nil
}

// SetReadDeadline is that of the connection, except that the time for a header which began in the
// lane is not extended. Once net/http has read the header it sets no deadline, and the next ones
// are its own.
func (h *handed) SetReadDeadline(t time.Time) error {
	h.mu.Lock()
	switch {
	case t.IsZero():
		h.headerBy = t
	case !h.headerBy.IsZero() && t.After(h.headerBy):
		t = h.headerBy
	}
	h.mu.Unlock()
	return h.Conn.SetReadDeadline(t)
}

// CloseWrite closes the half on which the answers leave, if the connection can.
func (h *handed) CloseWrite() error {
	half, can := h.Conn.(interface{ CloseWrite() error })
	if !can {
		return http.ErrNotSupported
	}
	return half.CloseWrite()
}

// NetConn returns the connection as it was accepted.
func (h *handed) NetConn() net.Conn { return h.Conn }

// handOver gives the connection to net/http. The header that was begun has to be read by then;
// zero: there is no limit, or none was begun.
func (c *conn) handOver(by time.Time) {
	to := &handed{Conn: c.nc, ctx: c.ctx, headerBy: by}
	if c.in.len() > 0 {
		to.unread = append([]byte(nil), c.in.bytes()...)
	}
	c.in.drop()
	_ = c.setReadTime(by) // none of the lane is left; it fails only if closed
	_ = c.setWriteTime(time.Time{})
	if !c.srv.rest.give(to) {
		return // serve closes it
	}
	c.gone = true
	c.srv.forget(c) // net/http knows it by now, or is about to, so a stop still waits for it
}
