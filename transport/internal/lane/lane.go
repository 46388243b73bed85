// Package lane serves plain requests without net/http's server: acquire, renew, release and the
// status of a lock, over HTTP/1.1 and without TLS. It knows nothing of what a request means. Its
// handler is the one that net/http would call.
//
// The lane exists because of what net/http's server does beside reading and writing: for each
// request it starts a goroutine that reads the connection, in order to notice that the client
// leaves, and it has to wake that goroutine before the answer.
//
// # What the lane serves
//
// A connection stays in the lane while the raw bytes of each of its requests pass an allow-list
// (plain.go): the whole request has been read and has at most 4 KiB, its lines end in CRLF, its
// target is one of the few, it has one Host, at most one Content-Length, and no header that
// changes how it is read. The first other request hands the connection over to net/http for good,
// with all bytes that were read and not answered (handover.go). So the lane refuses no request, and
// has no rules of its own about what is refused. What passes is parsed by [http.ReadRequest].
//
// # Invariants
//
//   - A byte is consumed only with a whole plain request. Until then the connection can be handed over.
//   - A connection has one goroutine, or none while an answer is parked. It has a buffer only while it has
//     bytes that were not given to the handler.
//   - An answer of at most 64 KiB leaves in one write, when the handler flushes it or returns. Flush returns
//     the error of that write.
//   - A connection is active, idle or closed, and only one side changes it from idle: the connection
//     when bytes arrive, or a stop. So a stop closes no connection whose request a handler has.
//   - Config.ConnState is told of the end of each accepted connection once, whoever owns it.
package lane

import (
	"context"
	"crypto/tls"
	"log"
	"net"
	"net/http"
	"sync"
	"sync/atomic"
	"time"
)

// Config is what a [Server] needs. Handler and Rest must be set.
type Config struct {
	// Handler answers the plain requests. It must answer each with a Content-Length or with a
	// body that is short; other bodies are sent in chunks. The context of a request ends with its
	// connection; unlike that of net/http it does not end with the request.
	Handler http.Handler
	// Plain reports whether Handler answers at all now; if it does not, every connection with a
	// request is handed over. It must be quick. Nil: it always does.
	Plain func() bool
	// Rest serves the connections that are handed over. It must not be used otherwise: its
	// ConnContext and ConnState are set by [New], and it is stopped with the lane.
	Rest *http.Server
	// ConnContext changes the context of a connection, as that of [http.Server]. It is called
	// once for each accepted connection. Nil: the context stays as it is.
	ConnContext func(context.Context, net.Conn) context.Context
	// ConnState is called when a connection is new, and once when it is closed. Unlike that of
	// [http.Server] it is not told whether the connection is active or idle. Nil: not called.
	ConnState func(net.Conn, http.ConnState)
	// HeaderTimeout bounds the time from the first byte of a header to its last, even if the
	// connection is handed over in between; for the first request of a connection, from the
	// accept. IdleTimeout bounds the time between two requests. 0: no limit.
	HeaderTimeout, IdleTimeout time.Duration
	// Poller says that the handler notices itself that the client of a waiting request leaves.
	// Otherwise requests that may wait are handed over.
	Poller bool
}

// Server serves connections. It is safe for use by many goroutines. Make one with [New].
type Server struct {
	cfg  Config
	base context.Context // of connections
	rest *handovers

	stopping atomic.Bool

	mu        sync.Mutex
	listeners map[net.Listener]struct{}
	conns     map[*conn]struct{}
	serving   sync.WaitGroup // Serve calls and, once one was called, that of Rest
	begun     bool           // Rest is served
}

// New returns a server, which does not listen yet. It starts no goroutine.
func New(cfg Config) *Server {
	if cfg.Plain == nil {
		cfg.Plain = func() bool { return true }
	}
	s := &Server{
		cfg:       cfg,
		base:      context.WithValue(context.Background(), http.ServerContextKey, cfg.Rest),
		rest:      newHandovers(),
		listeners: map[net.Listener]struct{}{},
		conns:     map[*conn]struct{}{},
	}
	cfg.Rest.ConnContext = s.restContext
	cfg.Rest.ConnState = s.restChanged
	return s
}

// restContext is for ConnContext of Rest: a connection that was handed over keeps its context.
func (s *Server) restContext(ctx context.Context, c net.Conn) context.Context {
	if h, is := c.(*handed); is {
		return h.ctx
	}
	return s.contextOf(ctx, c)
}

// restChanged is for ConnState of Rest.
func (s *Server) restChanged(c net.Conn, state http.ConnState) {
	h, is := c.(*handed)
	switch {
	case !is && (state == http.StateNew || state == http.StateClosed || state == http.StateHijacked):
		s.changed(c, state)
	case is && (state == http.StateClosed || state == http.StateHijacked):
		s.changed(h.Conn, state)
	}
}

// Serve accepts connections and serves each in a goroutine of its own, as that of [http.Server]
// does. It closes l. It returns [http.ErrServerClosed] after Shutdown or Close, and otherwise the
// error of l that is not temporary.
func (s *Server) Serve(l net.Listener) error {
	l = &onceListener{Listener: l}
	defer func() { _ = l.Close() }() // no-op if a stop has closed it
	if !s.begin(l) {
		return http.ErrServerClosed
	}
	defer s.end(l)
	var delay time.Duration
	for {
		c, err := l.Accept()
		if err == nil {
			delay = 0
			s.accepted(c)
			continue
		}
		if s.stopping.Load() {
			return http.ErrServerClosed
		}
		if !isTemporary(err) {
			return err
		}
		// Files have run out, for example. Serve goes on as net/http does.
		delay = min(max(5*time.Millisecond, 2*delay), time.Second)
		s.logf("http: Accept error: %v; retrying in %v", err, delay)
		time.Sleep(delay)
	}
}

func isTemporary(err error) bool {
	is, ok := err.(net.Error)   //nolint:errorlint // as net/http does
	return ok && is.Temporary() //nolint:staticcheck // as net/http does
}

// begin records a listener, and serves Rest if it is the first. It reports false if the server
// has been stopped.
func (s *Server) begin(l net.Listener) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.stopping.Load() {
		return false
	}
	s.listeners[l] = struct{}{}
	s.serving.Add(1)
	if !s.begun {
		s.begun = true
		s.rest.addr = l.Addr()
		s.serving.Go(func() { _ = s.cfg.Rest.Serve(s.rest) }) // it ends when the server is stopped
	}
	return true
}

func (s *Server) end(l net.Listener) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.listeners, l)
	s.serving.Done()
}

// accepted begins to serve a connection. Its context and its state are set here, so all accepted
// connections are counted when Serve returns. A connection with TLS goes to net/http as it is.
func (s *Server) accepted(nc net.Conn) {
	if _, is := nc.(*tls.Conn); is {
		if !s.rest.give(nc) {
			_ = nc.Close() // the server is stopped
		}
		return
	}
	c := newConn(s, nc, s.contextOf(s.base, nc))
	s.changed(nc, http.StateNew)
	s.mu.Lock()
	s.conns[c] = struct{}{}
	s.mu.Unlock()
	go c.serve(nil)
}

func (s *Server) contextOf(ctx context.Context, c net.Conn) context.Context {
	if s.cfg.ConnContext == nil {
		return ctx
	}
	return s.cfg.ConnContext(ctx, c)
}

// forget removes a connection that is closed or was handed over.
func (s *Server) forget(c *conn) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.conns, c)
}

func (s *Server) changed(c net.Conn, state http.ConnState) {
	if s.cfg.ConnState != nil {
		s.cfg.ConnState(c, state)
	}
}

func (s *Server) logf(format string, args ...any) {
	if to := s.cfg.Rest.ErrorLog; to != nil {
		to.Printf(format, args...)
		return
	}
	log.Printf(format, args...)
}

// onceListener is a listener whose Close may be called more than once.
type onceListener struct {
	net.Listener
	once sync.Once
	err  error
}

// Close closes the listener the first time.
func (l *onceListener) Close() error {
	l.once.Do(func() { l.err = l.Listener.Close() })
	return l.err
}
