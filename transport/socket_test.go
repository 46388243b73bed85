package transport

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/octostore/octostore/core/lock"
	"github.com/octostore/octostore/transport/api"
)

// These tests are about what only a real connection shows.

// listening serves s on a port of its own until the test ends.
func listening(t *testing.T, s *server) net.Addr {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	serveOn(t, s, s.Listener(l))
	return l.Addr()
}

// serveOn serves s by the door of the test until the test ends.
func serveOn(t *testing.T, s *server, l net.Listener) doorServer {
	return serveBy(t, doorOf(t).open(s), s, l)
}

// wire is one connection of a client that does as it is told.
type rawConn struct {
	t    *testing.T
	s    *server
	conn net.Conn
	r    *bufio.Reader
}

func dial(t *testing.T, s *server, addr net.Addr) *rawConn {
	t.Helper()
	conn, err := net.Dial(addr.Network(), addr.String())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	return &rawConn{t: t, s: s, conn: conn, r: bufio.NewReader(conn)}
}

// send writes a request; headers are whole lines.
func (w *rawConn) send(line, body string, headers ...string) request {
	w.t.Helper()
	r := request{line: line, header: http.Header{}, body: body, ctx: context.Background()}
	for _, h := range headers {
		name, value, _ := strings.Cut(h, ": ")
		r.header.Add(name, value)
	}
	if body != "" {
		headers = append(headers, fmt.Sprintf("Content-Length: %d", len(body)))
	}
	headers = append([]string{line + " HTTP/1.1", "Host: localhost"}, headers...)
	w.raw(strings.Join(headers, "\r\n") + "\r\n\r\n" + body)
	return r
}

func (w *rawConn) raw(s string) {
	w.t.Helper()
	keepForTwins(s)
	if _, err := io.WriteString(w.conn, s); err != nil {
		w.t.Fatal(err)
	}
}

// receive reads the answer to r and holds it to openapi.yaml.
func (w *rawConn) receive(r request) answer {
	w.t.Helper()
	a := w.read(r)
	w.s.check(w.t, r, a)
	return a
}

func (w *rawConn) read(r request) answer {
	w.t.Helper()
	resp, err := http.ReadResponse(w.r, nil)
	if err != nil {
		w.t.Fatalf("reading the answer to %s: %v", r.line, err)
	}
	defer resp.Body.Close()
	content, err := io.ReadAll(resp.Body)
	if err != nil {
		w.t.Fatal(err)
	}
	return answer{t: w.t, status: resp.StatusCode, header: resp.Header, body: content}
}

// waiters polls until that many wait for the lock, and returns how long that took.
func (s *server) waiters(t *testing.T, name lock.Name, n int) time.Duration {
	t.Helper()
	began := time.Now()
	for {
		got := s.table.Get(name).Waiters
		took := time.Since(began)
		if got == n {
			return took
		}
		if took > soon {
			t.Fatalf("after %s %d wait for %s, want %d", took, got, name, n)
		}
		time.Sleep(time.Millisecond)
	}
}

// soon is for what must happen, however busy the machine is.
const soon = 20 * time.Second

// eventually waits until something is the case.
func eventually(t *testing.T, what string, is func() bool) {
	t.Helper()
	for began := time.Now(); !is(); time.Sleep(time.Millisecond) {
		if time.Since(began) > soon {
			t.Fatalf("not in time: %s", what)
		}
	}
}

// atOnce fails the test unless one of a few attempts takes less than 100 ms: one of them
// should find the machine at rest.
func atOnce(t *testing.T, attempt func() time.Duration) {
	t.Helper()
	const most = 100 * time.Millisecond
	best := soon
	for range 5 {
		if best = min(best, attempt()); best < most {
			return
		}
	}
	t.Errorf("noticed after %s at best, want %s", best, most)
}

// A handler whose client has sent a body learns that it left only if the body was
// read to its end.
func TestHangUpIsNoticed(t *testing.T) { byBothDoors(t, testHangUpIsNoticed) }

func testHangUpIsNoticed(t *testing.T) {
	s := newServer(t, setup{})
	addr := listening(t, s)
	s.acquire(t, "a")
	chunked := func(w *rawConn) {
		w.raw("POST /v1/locks/a/acquire HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n8\r\nwait=30s\r\n0\r\n\r\n")
	}
	fin := func(w *rawConn) { _ = w.conn.Close() }
	rst := func(w *rawConn) {
		_ = w.conn.(*net.TCPConn).SetLinger(0)
		_ = w.conn.Close()
	}
	for _, test := range []struct {
		name  string
		send  func(*rawConn)
		leave func(*rawConn)
	}{
		{"no body, closed", func(w *rawConn) { w.send("POST /v1/locks/a/acquire?wait=30s", "") }, fin},
		{"no body, reset", func(w *rawConn) { w.send("POST /v1/locks/a/acquire?wait=30s", "") }, rst},
		{"form, closed", func(w *rawConn) { w.send("POST /v1/locks/a/acquire", "wait=30s") }, fin},
		{"form, reset", func(w *rawConn) { w.send("POST /v1/locks/a/acquire", "wait=30s") }, rst},
		{"JSON and blanks, closed", func(w *rawConn) {
			w.send("POST /v1/locks/a/acquire", `{"wait": 30}`+strings.Repeat(" ", 10_000))
		}, fin},
		{"100-continue, closed", func(w *rawConn) { w.send("POST /v1/locks/a/acquire", "wait=30s", "Expect: 100-continue") }, fin},
		{"trailers, closed", func(w *rawConn) {
			w.raw("POST /v1/locks/a/acquire HTTP/1.1\r\nHost: localhost\r\nTrailer: X-Sum\r\nTransfer-Encoding: chunked\r\n\r\n8\r\nwait=30s\r\n0\r\nX-Sum: 1\r\n\r\n")
		}, fin},
		{"chunks, closed", chunked, fin},
		{"chunks, reset", chunked, rst},
	} {
		t.Run(test.name, func(t *testing.T) {
			atOnce(t, func() time.Duration {
				w := dial(t, s, addr)
				test.send(w)
				s.waiters(t, "a", 1)
				test.leave(w)
				return s.waiters(t, "a", 0)
			})
		})
	}
}

// A client that closes its half of the connection counts as gone, although it could
// still read. It must not read anything it could take for a yes.
func TestHangUpOfOneHalf(t *testing.T) { byBothDoors(t, testHangUpOfOneHalf) }

func testHangUpOfOneHalf(t *testing.T) {
	s := newServer(t, setup{})
	addr := listening(t, s)
	s.acquire(t, "a")
	w := dial(t, s, addr)
	w.send("POST /v1/locks/a/acquire?wait=30s", "")
	s.waiters(t, "a", 1)
	if err := w.conn.(*net.TCPConn).CloseWrite(); err != nil {
		t.Fatal(err)
	}
	s.waiters(t, "a", 0)
	if got, _ := io.ReadAll(w.conn); len(got) != 0 {
		t.Errorf("it was told %q", got)
	}
}

// brittle makes connections whose writes fail from a moment on.
type brittle struct {
	net.Listener
	broken *atomic.Bool
}

type brittleConn struct {
	net.Conn
	brittle *brittle
}

func (b *brittle) Accept() (net.Conn, error) {
	conn, err := b.Listener.Accept()
	if err != nil {
		return nil, err
	}
	return &brittleConn{conn, b}, nil
}

// NetConn and Socket return the socket, whose bytes are those of the connection.
func (c *brittleConn) NetConn() net.Conn    { return c.Conn }
func (c *brittleConn) Socket() *net.TCPConn { return c.Conn.(*net.TCPConn) }

func (c *brittleConn) Write(p []byte) (int, error) {
	if c.brittle.broken.Load() {
		return 0, errors.New("broken pipe")
	}
	return c.Conn.Write(p)
}

// net/http buffers a small answer until its handler has returned, so a handler's
// Write succeeds where the connection's does not. The grant is undone all the same.
func TestGrantIsUndoneIfTheConnectionFails(t *testing.T) {
	byBothDoors(t, testGrantIsUndoneIfTheConnectionFails)
}

func testGrantIsUndoneIfTheConnectionFails(t *testing.T) {
	s := newServer(t, setup{})
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	b := &brittle{Listener: l, broken: new(atomic.Bool)}
	serveOn(t, s, b)
	holder := s.acquire(t, "a")
	w := dial(t, s, l.Addr())
	w.send("POST /v1/locks/a/acquire?wait=30s&holder=unlucky", "")
	s.waiters(t, "a", 1)
	b.broken.Store(true)
	s.do(t, "POST /v1/locks/a/release", header("Octostore-Lease", holder.LeaseID)).want(200)
	for began := time.Now(); s.do(t, "GET /v1/locks/a").lock().State != api.Free; time.Sleep(time.Millisecond) {
		if time.Since(began) > soon {
			t.Fatal("the lock stays held by a client that left")
		}
	}
	if got, _ := io.ReadAll(w.conn); len(got) != 0 {
		t.Errorf("it was told %q", got)
	}
}

// Shutdown alone would wait for all waiters. After Drain they are all
// answered, and it returns.
func TestShutdownAfterDrain(t *testing.T) { byBothDoors(t, testShutdownAfterDrain) }

func testShutdownAfterDrain(t *testing.T) {
	const many = 200
	s := newServer(t, setup{})
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	srv := serveOn(t, s, l)
	holder := s.acquire(t, "a")
	var waiting sync.WaitGroup
	asked, answers := make([]request, many), make([]answer, many)
	for i := range many {
		w := dial(t, s, l.Addr())
		asked[i] = w.send("POST /v1/locks/a/acquire?wait=10m", "")
		waiting.Go(func() { answers[i] = w.read(asked[i]) })
	}
	s.waiters(t, "a", many)
	began := time.Now()
	s.table.Drain()
	waiting.Wait()
	if took := time.Since(began); took > soon {
		t.Errorf("it took %s to answer all waiters", took)
	}
	for i, a := range answers {
		if a.want(503, api.CodeDraining).header.Get("Retry-After") != "1" {
			t.Errorf("Retry-After is %q", a.header.Get("Retry-After"))
		}
		if i == 0 { // the others are the same, and checking takes longer than answering
			s.check(t, asked[i], a)
		}
	}
	w := dial(t, s, l.Addr())
	w.receive(w.send("POST /v1/locks/a/renew", "", "Octostore-Lease: "+holder.LeaseID)).want(200)
	w = dial(t, s, l.Addr())
	w.receive(w.send("POST /v1/locks/a/release", "", "Octostore-Lease: "+holder.LeaseID)).want(200)
	ctx, cancel := context.WithTimeout(t.Context(), soon)
	defer cancel()
	if err := srv.Shutdown(ctx); err != nil {
		t.Errorf("Shutdown: %v", err)
	}
}

// The connection is kept for the next request, whatever the last one was answered.
func TestConnectionsAreKept(t *testing.T) { byBothDoors(t, testConnectionsAreKept) }

func testConnectionsAreKept(t *testing.T) {
	s := newServer(t, setup{})
	w := dial(t, s, listening(t, s))
	g := w.receive(w.send("POST /v1/locks/a/acquire", "ttl=60s", "Content-Type: application/x-www-form-urlencoded")).grant()
	w.receive(w.send("POST /v1/locks/a/acquire?wait=10ms", "")).want(409, api.CodeHeld)
	r := w.send("POST /v1/locks/a/renew", "")
	r.invalid = true
	w.receive(r).wantInvalid("lease_id")
	w.receive(w.send("POST /v1/locks/a/release", "", "Octostore-Lease: "+g.LeaseID)).want(200)
	w.receive(w.send("GET /v1/locks/a", "")).want(200)
}

func TestHEADIsAGETWithoutABody(t *testing.T) { byBothDoors(t, testHEADIsAGETWithoutABody) }

func testHEADIsAGETWithoutABody(t *testing.T) {
	s := newServer(t, setup{})
	w := dial(t, s, listening(t, s))
	w.raw("HEAD /v1/locks/a HTTP/1.1\r\nHost: localhost\r\n\r\n")
	resp, err := http.ReadResponse(w.r, &http.Request{Method: http.MethodHead})
	if err != nil {
		t.Fatal(err)
	}
	_ = resp.Body.Close()
	if resp.StatusCode != 200 || resp.ContentLength <= 0 {
		t.Errorf("status %d, length %d", resp.StatusCode, resp.ContentLength)
	}
	w.receive(w.send("GET /v1/locks/a", "")).want(200)
}

// The path arrives as it was sent: nothing is cleaned, nothing is redirected.
func TestPathsArriveAsSent(t *testing.T) { byBothDoors(t, testPathsArriveAsSent) }

func testPathsArriveAsSent(t *testing.T) {
	s := newServer(t, setup{})
	addr := listening(t, s)
	for path, field := range map[string]string{
		"/v1/locks/":               "name",
		"/v1/locks//":              "name",
		"/v1/locks/a//b":           "name",
		"/v1/locks/a/":             "name",
		"/v1/locks//a":             "name",
		"/v1/locks/a/../b":         "name",
		"/v1/locks/./a":            "name",
		"/v1/locks/a%2F..%2Fb":     "name",
		"/v1/locks/a%20b":          "name",
		"/v1/locks/a,b":            "name",
		"/v1/locks/" + long(201):   "name",
		"/v1/locks/" + nested(513): "name",
	} {
		t.Run(path, func(t *testing.T) {
			w := dial(t, s, addr)
			r := w.send("GET "+path, "")
			r.invalid = true
			w.receive(r).wantInvalid(field)
		})
	}
	for _, path := range []string{"/v1/lock", "/V1/locks", "/v1//locks", "/healthz/", "/v1/locksmith", "/../healthz"} {
		t.Run(path, func(t *testing.T) {
			w := dial(t, s, addr)
			w.receive(w.send("GET "+path, "")).want(404, api.CodeNotFound)
		})
	}
}

func long(n int) string { return strings.Repeat("a", n) }

func nested(n int) string { return strings.Repeat("a/", n/2) + long(n%2) }
