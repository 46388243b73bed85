package client_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"maps"
	"net"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/octostore/octostore/core/store/memory"
	"github.com/octostore/octostore/transport/api"
	"github.com/octostore/octostore/transport/client"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// world is a server, a proxy in front of it, and clients, in a bubble of testing/synctest: its
// connections are pipes, and waiting costs no time.
type world struct {
	*testing.T
	store    *memory.Store
	listener *pipes // nil: no server runs
	shut     func()
	eye      *client.Client // looks at locks

	mu       sync.Mutex
	proxy    proxy
	cutAfter time.Duration // connections that begin from now on are cut then; 0: never
	requests []request
}

// proxy answers instead of the server, or passes requests on to it.
type proxy func(server http.Handler, w http.ResponseWriter, r *http.Request)

func passOn(server http.Handler, w http.ResponseWriter, r *http.Request) { server.ServeHTTP(w, r) }

// request is one that has arrived at the proxy.
type request struct {
	verb string
	at   time.Time
	key  string
}

func inWorld(t *testing.T, test func(w *world)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		w := &world{T: t, store: memory.New(), proxy: passOn}
		w.start()
		w.eye = w.client()
		defer func() { w.stop() }()
		test(w)
	})
}

// start starts the server with what is stored.
func (w *world) start() {
	w.Helper()
	server, closed, err := newHandler(w.store)
	if err != nil {
		w.Fatal(err)
	}
	front := &http.Server{Handler: http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		w.through(r)(server, rw, r)
	})}
	w.mu.Lock()
	defer w.mu.Unlock()
	listener := &pipes{conns: make(chan net.Conn), closed: make(chan struct{})}
	w.listener = listener
	go func() { _ = front.Serve(listener) }()
	w.shut = func() {
		_ = front.Close()
		closed()
	}
}

// stop kills the server.
func (w *world) stop() {
	w.mu.Lock()
	shut := w.shut
	w.listener, w.shut = nil, func() {}
	w.mu.Unlock()
	shut()
}

// through notes a request, and returns what is done with it.
func (w *world) through(r *http.Request) proxy {
	w.mu.Lock()
	defer w.mu.Unlock()
	verb := r.URL.Path[strings.LastIndex(r.URL.Path, "/")+1:]
	w.requests = append(w.requests, request{verb: verb, at: time.Now(), key: r.Header.Get(api.HeaderKey)})
	return w.proxy
}

// sent returns the requests for an operation that have arrived.
func (w *world) sent(verb string) []request {
	w.mu.Lock()
	defer w.mu.Unlock()
	return slices.DeleteFunc(slices.Clone(w.requests), func(r request) bool { return r.verb != verb })
}

// set changes what the proxy does.
func (w *world) set(p proxy) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.proxy = p
}

// answering passes on all but some operations, which it answers itself.
func answering(verb string, answer http.HandlerFunc) proxy {
	return func(server http.Handler, w http.ResponseWriter, r *http.Request) {
		if strings.HasSuffix(r.URL.Path, "/"+verb) {
			answer(w, r)
			return
		}
		server.ServeHTTP(w, r)
	}
}

// page is an answer of a proxy.
func page(status int, header, text string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		if name, value, is := strings.Cut(header, ": "); is {
			w.Header().Set(name, value)
		}
		w.WriteHeader(status)
		_, _ = w.Write([]byte(text)) // the client may have left
	}
}

// gateway passes on requests that end within a limit, and answers the others itself. If it is
// deaf, it does not notice that a client leaves.
func gateway(limit time.Duration, deaf bool, answer http.HandlerFunc) proxy {
	return func(server http.Handler, w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if err != nil {
			return
		}
		ctx, cancel := context.WithTimeout(context.WithoutCancel(r.Context()), limit)
		defer cancel()
		if !deaf {
			defer context.AfterFunc(r.Context(), cancel)()
		}
		inner := r.Clone(ctx)
		inner.Body = io.NopCloser(bytes.NewReader(body))
		answered := httptest.NewRecorder()
		done := make(chan struct{})
		go func() {
			defer close(done)
			defer func() { _ = recover() }() // the server cuts the connection of a client that has left
			server.ServeHTTP(answered, inner)
		}()
		select {
		case <-done:
			maps.Copy(w.Header(), answered.Header())
			w.WriteHeader(answered.Code)
			_, _ = w.Write(answered.Body.Bytes())
		case <-ctx.Done():
			answer(w, r)
		}
		cancel()
		<-done
	}
}

// hang does not answer before the client leaves.
func hang(_ http.ResponseWriter, r *http.Request) {
	drain(r)
	<-r.Context().Done()
}

// drain reads the body, without which a handler does not notice that its client leaves.
func drain(r *http.Request) { _ = r.ParseForm() }

// client returns a client with connections of its own.
func (w *world) client() *client.Client {
	w.Helper()
	wire := &http.Transport{DialContext: w.dial}
	w.Cleanup(wire.CloseIdleConnections)
	c, err := client.New(client.Config{URL: "http://localhost", HTTP: &http.Client{Transport: wire}})
	if err != nil {
		w.Fatal(err)
	}
	return c
}

func (w *world) dial(ctx context.Context, _, _ string) (net.Conn, error) {
	w.mu.Lock()
	listener, cutAfter := w.listener, w.cutAfter
	w.mu.Unlock()
	refused := &net.OpError{Op: "dial", Net: "pipe", Err: syscall.ECONNREFUSED}
	if listener == nil {
		return nil, refused
	}
	ours, theirs := net.Pipe()
	if cutAfter > 0 {
		time.AfterFunc(cutAfter, func() {
			_ = ours.Close()
			_ = theirs.Close()
		})
	}
	select {
	case listener.conns <- theirs:
		return ours, nil
	case <-listener.closed:
		return nil, refused
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

// pipes is a listener whose connections are pipes.
type pipes struct {
	conns  chan net.Conn
	once   sync.Once
	closed chan struct{}
}

func (p *pipes) Accept() (net.Conn, error) {
	select {
	case c := <-p.conns:
		return c, nil
	case <-p.closed:
		return nil, http.ErrServerClosed
	}
}

func (p *pipes) Close() error   { p.once.Do(func() { close(p.closed) }); return nil }
func (p *pipes) Addr() net.Addr { return &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1)} }

// look returns the state of a lock, past the proxy.
func (w *world) look(name string) api.Lock {
	w.Helper()
	l, err := w.eye.Lock(w.Context(), name, client.QueuePage{Waiters: 100})
	if err != nil {
		w.Fatal(err)
	}
	return l
}

// acquired is the outcome of an Acquire.
type acquired struct {
	*client.Lease
	err error
	at  time.Time
}

// acquiring acquires a lock in the background, with a client of its own.
func (w *world) acquiring(ctx context.Context, name string, o client.AcquireOptions) <-chan acquired {
	w.Helper()
	out, c := make(chan acquired, 1), w.client()
	go func() {
		l, err := c.Acquire(ctx, name, o)
		out <- acquired{l, err, time.Now()}
	}()
	synctest.Wait()
	return out
}

// expectFree fails the test unless the lock is free and nobody listens for it.
func (w *world) expectFree(name string) {
	w.Helper()
	l := w.look(name)
	if l.State != api.Free {
		w.Errorf("%s is held by %+v", name, l.Lease)
	}
	for _, waiter := range l.Waiters {
		if !waiter.Away {
			w.Errorf("%s has a waiter: %+v", name, waiter)
		}
	}
}

// isUnreachable reports whether no answer arrived.
func isUnreachable(err error) bool {
	_, is := errors.AsType[*client.UnreachableError](err)
	return is
}
