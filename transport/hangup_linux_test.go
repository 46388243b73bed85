package transport

import (
	"context"
	"crypto/tls"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/octostore/octostore/core/journal"
	"github.com/octostore/octostore/core/lock"
	"github.com/octostore/octostore/core/store/memory"
	"github.com/octostore/octostore/transport/api"
	"github.com/octostore/octostore/transport/internal/conn"
)

// listeningTLS is listening for TLS. The clients are to trust anything.
func listeningTLS(t *testing.T, s *server) net.Addr {
	t.Helper()
	lent := httptest.NewUnstartedServer(nil) // it has a certificate
	lent.StartTLS()
	config := lent.TLS.Clone()
	lent.Close()
	config.NextProtos = []string{"http/1.1"}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	serveOn(t, s, tls.NewListener(l, config))
	return l.Addr()
}

// countedListener knows how much the server has read of each connection.
type countedListener struct {
	net.Listener
	config *tls.Config // nil: plain
	conns  sync.Map    // of *countedConn, by the client's address
}

// countedConn counts what net/http has read.
type countedConn struct {
	net.Conn
	tcp  *net.TCPConn
	read atomic.Int64
}

func (l *countedListener) Accept() (net.Conn, error) {
	c, err := l.Listener.Accept()
	if err != nil {
		return nil, err
	}
	counted := &countedConn{Conn: c, tcp: c.(*net.TCPConn)}
	if l.config != nil {
		counted.Conn = tls.Server(c, l.config)
	}
	l.conns.Store(c.RemoteAddr().String(), counted)
	return counted, nil
}

// of returns the server's side of a client's connection.
func (l *countedListener) of(t *testing.T, client net.Conn) *countedConn {
	t.Helper()
	c, is := l.conns.Load(client.LocalAddr().String())
	if !is {
		t.Fatal("the server has no such connection")
	}
	return c.(*countedConn)
}

func (c *countedConn) Read(p []byte) (int, error) {
	n, err := c.Conn.Read(p)
	c.read.Add(int64(n))
	return n, err
}

func (c *countedConn) NetConn() net.Conn { return c.tcp }

// Socket returns the socket if its bytes are those of the connection, see lane.Wrapper.
func (c *countedConn) Socket() *net.TCPConn {
	if c.Conn != c.tcp {
		return nil
	}
	return c.tcp
}

// readsBehind sends bytes behind a request whose handler runs. If net/http has the connection it
// reads the first of them, and no more from then on; the lane reads none.
func (c *countedConn) readsBehind(t *testing.T, w *rawConn, bytes string) {
	t.Helper()
	before, by := c.read.Load(), doorOf(t)
	w.raw(bytes)
	eventually(t, "the bytes behind the request arrive", func() bool {
		return c.read.Load() > before || by == byLane && unreadBytes(c.tcp) > 0
	})
}

// listeningCounted is listening by a countedListener.
func listeningCounted(t *testing.T, s *server, encrypted bool) *countedListener {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	counted := &countedListener{Listener: l}
	if encrypted {
		lent := httptest.NewUnstartedServer(nil) // it has a certificate
		lent.StartTLS()
		counted.config = lent.TLS.Clone()
		lent.Close()
		counted.config.NextProtos = []string{"http/1.1"}
	}
	serveOn(t, s, counted)
	return counted
}

// dialTLS is dial by TLS; beneath is the connection under it.
func dialTLS(t *testing.T, s *server, addr net.Addr) (w *rawConn, beneath *net.TCPConn) {
	t.Helper()
	w = dial(t, s, addr)
	beneath = w.conn.(*net.TCPConn)
	c := tls.Client(beneath, &tls.Config{InsecureSkipVerify: true})
	w.conn = c
	w.r.Reset(c)
	return w, beneath
}

// TestHangUpBehindMoreBytes has waiters leave that have sent something behind their
// request, which ends the reading by which net/http notices that a client leaves.
func TestHangUpBehindMoreBytes(t *testing.T) { byBothDoors(t, testHangUpBehindMoreBytes) }

func testHangUpBehindMoreBytes(t *testing.T) {
	s := newServer(t, setup{})
	plain, secret := listeningCounted(t, s, false), listeningCounted(t, s, true)
	s.acquire(t, "a")
	next := "POST /v1/locks/b/acquire HTTP/1.1\r\nHost: localhost\r\n\r\n"
	leave := map[string]func(w *rawConn, beneath *net.TCPConn){
		"closed": func(w *rawConn, _ *net.TCPConn) { _ = w.conn.Close() },
		"reset": func(_ *rawConn, beneath *net.TCPConn) {
			_ = beneath.SetLinger(0)
			_ = beneath.Close()
		},
		"half closed": func(_ *rawConn, beneath *net.TCPConn) { _ = beneath.CloseWrite() },
	}
	for sends, bytes := range map[string]string{"a byte": "P", "a line end": "\r\n", "a request": next, "requests": strings.Repeat(next, 100)} {
		for leaves, how := range leave {
			for _, encrypted := range []bool{false, true} {
				t.Run(fmt.Sprintf("%s, %s, TLS %t", sends, leaves, encrypted), func(t *testing.T) {
					t.Parallel()
					name := fmt.Sprintf("a-%d", noticed.Add(1))
					s.acquire(t, name)
					atOnce(t, func() time.Duration {
						l := plain
						w, beneath := dial(t, s, plain.Addr()), (*net.TCPConn)(nil)
						if encrypted {
							l = secret
							w, beneath = dialTLS(t, s, secret.Addr())
						} else {
							beneath = w.conn.(*net.TCPConn)
						}
						w.send("POST /v1/locks/"+name+"/acquire?wait=30s", "")
						s.waiters(t, lock.Name(name), 1)
						l.of(t, beneath).readsBehind(t, w, bytes)
						how(w, beneath)
						return s.waiters(t, lock.Name(name), 0)
					})
				})
			}
		}
	}
}

var noticed atomic.Int64

// TestHangUpBehindAFlood sends more than the system keeps, so that the end of the
// connection would never come.
func TestHangUpBehindAFlood(t *testing.T) { byBothDoors(t, testHangUpBehindAFlood) }

func testHangUpBehindAFlood(t *testing.T) {
	s := newServer(t, setup{})
	addr := listening(t, s)
	s.acquire(t, "a")
	w := dial(t, s, addr)
	w.send("POST /v1/locks/a/acquire?wait=30s", "")
	s.waiters(t, "a", 1)
	go func() { _, _ = w.conn.Write(make([]byte, 64<<20)) }()
	s.waiters(t, "a", 0)
	if got, _ := io.ReadAll(w.conn); len(got) != 0 {
		t.Errorf("it was told %q", got)
	}
}

// TestHangUpGetsNoGrant has the lock become free right after a waiter left: the next one
// gets it.
func TestHangUpGetsNoGrant(t *testing.T) { byBothDoors(t, testHangUpGetsNoGrant) }

func testHangUpGetsNoGrant(t *testing.T) {
	s := newServer(t, setup{})
	addr := listening(t, s)
	for range 10 {
		holder := s.acquire(t, "a")
		ghost, next := dial(t, s, addr), dial(t, s, addr)
		ghost.send("POST /v1/locks/a/acquire?wait=30s&holder=ghost", "")
		s.waiters(t, "a", 1)
		asked := next.send("POST /v1/locks/a/acquire?wait=30s&holder=next", "")
		s.waiters(t, "a", 2)
		time.Sleep(2 * conn.WatchDelay)
		ghost.raw("P")
		time.Sleep(10 * time.Millisecond)
		_ = ghost.conn.Close()
		time.Sleep(time.Millisecond) // on its way through the system
		s.do(t, "POST /v1/locks/a/release", header("Octostore-Lease", holder.LeaseID)).want(200)
		g := next.receive(asked).grant()
		if g.Holder != "next" {
			t.Fatalf("%s has it", g.Holder)
		}
		s.do(t, "POST /v1/locks/a/release", header("Octostore-Lease", g.LeaseID)).want(200)
	}
}

// TestPipelinedRequestsAreAnswered sends a second request while the first one waits. Both
// are answered, in their order, and the waiter keeps its place.
func TestPipelinedRequestsAreAnswered(t *testing.T) { byBothDoors(t, testPipelinedRequestsAreAnswered) }

func testPipelinedRequestsAreAnswered(t *testing.T) {
	s := newServer(t, setup{})
	plain, secret := listening(t, s), listeningTLS(t, s)
	for _, encrypted := range []bool{false, true} {
		holder := s.acquire(t, "a")
		w := dial(t, s, plain)
		if encrypted {
			w, _ = dialTLS(t, s, secret)
		}
		first := w.send("POST /v1/locks/a/acquire?wait=30s", "")
		s.waiters(t, "a", 1)
		time.Sleep(2 * conn.WatchDelay)
		second := w.send("GET /v1/locks/a", "")
		third := w.send("POST /v1/locks/b/acquire", strings.Repeat(" ", 8<<10)+"{}", "Content-Type: application/json")
		time.Sleep(200 * time.Millisecond) // in which it would have been noticed as gone
		s.waiters(t, "a", 1)
		s.do(t, "POST /v1/locks/a/release", header("Octostore-Lease", holder.LeaseID)).want(200)
		g := w.receive(first).grant()
		if l := w.receive(second).lock(); l.Lease == nil || l.Lease.FencingToken != g.FencingToken {
			t.Errorf("TLS %t: the second answer is about %+v", encrypted, l.Lease)
		}
		other := w.receive(third).grant()
		s.do(t, "POST /v1/locks/b/release", header("Octostore-Lease", other.LeaseID)).want(200)
		s.do(t, "POST /v1/locks/a/release", header("Octostore-Lease", g.LeaseID)).want(200)
	}
}

// TestHangUpOfStreams has clients leave that watch or follow and have sent more: their
// places are for others.
func TestHangUpOfStreams(t *testing.T) { byBothDoors(t, testHangUpOfStreams) }

func testHangUpOfStreams(t *testing.T) {
	s := newServer(t, setup{})
	addr := listening(t, s)
	for _, path := range []string{"/v1/events", "/v1/audit?follow=1"} {
		atOnce(t, func() time.Duration {
			w := dial(t, s, addr)
			w.send("GET "+path, "")
			if resp, err := http.ReadResponse(w.r, nil); err != nil || resp.StatusCode != 200 {
				t.Fatal(resp, err)
			}
			for began := time.Now(); s.streams.Followers() != 1; time.Sleep(time.Millisecond) {
				if time.Since(began) > soon {
					t.Fatal("it does not follow")
				}
			}
			time.Sleep(2 * conn.WatchDelay)
			w.raw("G")
			time.Sleep(10 * time.Millisecond)
			_ = w.conn.Close()
			began := time.Now()
			for s.streams.Followers() > 0 && time.Since(began) < soon {
				time.Sleep(time.Millisecond)
			}
			return time.Since(began)
		})
	}
}

// TestHangUpWhileTheDiskIsSlow has a client leave while its grant is on its way to the
// disk. It did not ask to wait, but the grant is undone all the same.
func TestHangUpWhileTheDiskIsSlow(t *testing.T) { byBothDoors(t, testHangUpWhileTheDiskIsSlow) }

func testHangUpWhileTheDiskIsSlow(t *testing.T) {
	store := &gatedStore{Store: memory.New(), entered: make(chan struct{}, 100), open: make(chan struct{})}
	s := newServer(t, setup{store: store})
	let := sync.OnceFunc(func() { close(store.open) })
	t.Cleanup(let) // before the table is closed
	l := listeningCounted(t, s, false)
	w := dial(t, s, l.Addr())
	w.send("POST /v1/locks/a/acquire", "")
	select {
	case <-store.entered:
	case <-time.After(soon):
		t.Fatal("it is not granted")
	}
	served := l.of(t, w.conn)
	served.readsBehind(t, w, "P")
	_ = w.conn.Close()
	eventually(t, "the end of the connection comes", func() bool { return conn.HasHungUp(served.tcp) })
	let()
	for began := time.Now(); s.log.Head() == 0; time.Sleep(time.Millisecond) {
		if time.Since(began) > soon {
			t.Fatal("it was never granted")
		}
	}
	for began := time.Now(); s.do(t, "GET /v1/locks/a").lock().State != api.Free; time.Sleep(time.Millisecond) {
		if time.Since(began) > soon {
			t.Fatal("the lock stays held by a client that left")
		}
	}
}

// gatedStore commits nothing until it is open.
type gatedStore struct {
	journal.Store
	entered, open chan struct{}
}

func (s *gatedStore) Commit(ctx context.Context, b *lock.Batch) error {
	s.entered <- struct{}{}
	<-s.open
	return s.Store.Commit(ctx, b)
}

// lingers reports whether SO_LINGER is set on a connection.
func lingers(t *testing.T, c *net.TCPConn) (does bool) {
	t.Helper()
	raw, err := c.SyscallConn()
	if err != nil {
		t.Fatal(err)
	}
	err = raw.Control(func(fd uintptr) {
		// The first number of struct linger says whether it is on.
		on, err := syscall.GetsockoptInt(int(fd), syscall.SOL_SOCKET, syscall.SO_LINGER)
		if err != nil {
			t.Error(err)
		}
		does = on != 0
	})
	if err != nil {
		t.Error(err)
	}
	return does
}

// TestHEADOfAStreamLeavesTheConnectionAsItWas asks for the header of a stream only. Closing
// the connection later must not cut what the client has not read yet.
func TestHEADOfAStreamLeavesTheConnectionAsItWas(t *testing.T) {
	byBothDoors(t, testHEADOfAStreamLeavesTheConnectionAsItWas)
}

func testHEADOfAStreamLeavesTheConnectionAsItWas(t *testing.T) {
	for _, path := range []string{"/v1/events", "/v1/audit", "/v1/audit?follow=1"} {
		s := newServer(t, setup{})
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		kept := &remembering{Listener: l}
		serveOn(t, s, kept)
		w := dial(t, s, l.Addr())
		w.raw("HEAD " + path + " HTTP/1.1\r\nHost: localhost\r\n\r\n")
		resp, err := http.ReadResponse(w.r, &http.Request{Method: http.MethodHead})
		if err != nil {
			t.Fatal(err)
		}
		_ = resp.Body.Close()
		w.receive(w.send("GET /v1/locks/a", "")).want(200) // the first one is done with
		if lingers(t, kept.conn()) {
			t.Errorf("%s: what was not sent when the connection is closed is lost", path)
		}
	}
}

// remembering is a listener that knows its last connection.
type remembering struct {
	net.Listener
	last atomic.Pointer[net.TCPConn]
}

func (r *remembering) Accept() (net.Conn, error) {
	c, err := r.Listener.Accept()
	if tcp, is := c.(*net.TCPConn); is {
		r.last.Store(tcp)
	}
	return c, err
}

func (r *remembering) conn() *net.TCPConn { return r.last.Load() }
