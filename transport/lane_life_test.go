package transport

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/octostore/octostore/core"
)

// These tests are about connections that go from the lane to net/http, and about how both of
// them end.

// ends fails the test unless the connection ends, and returns what came before.
func (w *rawConn) ends() string {
	w.t.Helper()
	_ = w.conn.SetReadDeadline(time.Now().Add(soon))
	got, err := io.ReadAll(w.r)
	if errors.Is(err, os.ErrDeadlineExceeded) {
		w.t.Fatalf("the connection does not end; it had %q", got)
	}
	return string(got)
}

// TestLaneKeepsPlainRequests shows that requests for locks are answered by the lane. Without it
// the comparison of both would be one of net/http with itself.
func TestLaneKeepsPlainRequests(t *testing.T) {
	s := newServer(t, setup{})
	var handed atomic.Int64
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	serveBy(t, s.Lane(), s, &handedListener{l, s, &handed})
	form := "Content-Type: application/x-www-form-urlencoded"
	w := dial(t, s, l.Addr())
	g := w.receive(w.send("POST /v1/locks/a/acquire?ttl=60s", "")).grant()
	w.receive(w.send("POST /v1/locks/b/acquire", "ttl=60s", form)).grant()
	w.receive(w.send("POST /v1/locks/c/acquire", `{"ttl":60}`, "Content-Type: application/json", "User-Agent: x", "Accept: */*", "Connection: keep-alive")).grant()
	w.receive(w.send("POST /v1/locks/a/acquire?wait=1ms", "")).want(409)
	w.receive(w.send("POST /v1/locks/a/renew", "", "Octostore-Lease: "+g.LeaseID)).want(200)
	w.receive(w.send("GET /v1/locks/a", "")).want(200)
	w.receive(w.send("POST /v1/locks/a/release", "lease_id="+g.LeaseID, form)).want(200)
	if n := handed.Load(); n != 0 {
		t.Errorf("%d reads were those of net/http", n)
	}
	w.receive(w.send("GET /v1/locks", "")).want(200)
	w.receive(w.send("GET /v1/locks/a", "")).want(200)
	if handed.Load() == 0 {
		t.Error("a list was not handed over")
	}
}

// handedListener counts the reads of net/http. The lane reads from the socket.
type handedListener struct {
	net.Listener
	s     *server
	reads *atomic.Int64
}

type handedConn struct {
	*net.TCPConn
	reads *atomic.Int64
}

func (l *handedListener) Accept() (net.Conn, error) {
	c, err := l.Listener.Accept()
	if err != nil {
		return nil, err
	}
	return &handedConn{c.(*net.TCPConn), l.reads}, nil
}

func (c *handedConn) Read(b []byte) (int, error) { c.reads.Add(1); return c.TCPConn.Read(b) }
func (c *handedConn) NetConn() net.Conn          { return c.TCPConn }
func (c *handedConn) Socket() *net.TCPConn       { return c.TCPConn }

// TestLaneCountsConnectionsOnce has connections go over in every way and end in every way. None
// stays counted.
func TestLaneCountsConnectionsOnce(t *testing.T) {
	s := newServer(t, setup{core: core.Config{MaxWait: time.Millisecond}})
	addr := listening(t, s)
	const clients, each = 16, 10_000 / 16
	plain := []string{
		"POST /v1/locks/%d/acquire?wait=1 HTTP/1.1\r\n" + host + "\r\n", "GET /v1/locks/%d HTTP/1.1\r\n" + host + "\r\n",
		"POST /v1/locks/%d/release HTTP/1.1\r\n" + host + "Octostore-Lease: x\r\n\r\n",
	}
	others := []string{
		"GET /healthz HTTP/1.1\r\n" + host + "\r\n", "HEAD /v1/locks/%d HTTP/1.1\r\n" + host + "\r\n", "hello\r\n\r\n",
		"GET /v1/locks/%d HTTP/1.0\r\n\r\n", acquire + "Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n", "GET /v1/events HTTP/1.1\r\n" + host + "\r\n",
		acquire + "Connection: close\r\n\r\n", acquire + "Expect: 100-continue\r\nContent-Length: 9\r\n\r\n",
	}
	var all sync.WaitGroup
	for n := range clients {
		all.Go(func() {
			r := rand.New(rand.NewPCG(uint64(n), 1))
			buf := make([]byte, 4<<10)
			for range each {
				c, err := net.Dial("tcp", addr.String())
				if err != nil {
					t.Error(err)
					return
				}
				var sends strings.Builder
				for range r.IntN(3) {
					fmt.Fprintf(&sends, strings.ReplaceAll(plain[r.IntN(len(plain))], "%d", "%[1]d"), r.IntN(100))
				}
				sends.WriteString(strings.ReplaceAll(others[r.IntN(len(others))], "%d", "x"))
				bytes := sends.String()
				if r.IntN(4) == 0 {
					bytes = bytes[:r.IntN(len(bytes))]
				}
				_, _ = io.WriteString(c, bytes)
				if r.IntN(2) == 0 {
					_ = c.SetReadDeadline(time.Now().Add(time.Duration(r.IntN(3)) * time.Millisecond))
					_, _ = c.Read(buf)
				}
				if r.IntN(2) == 0 {
					_ = c.(*net.TCPConn).SetLinger(0)
				}
				_ = c.Close()
			}
		})
	}
	all.Wait()
	eventually(t, "no connection is counted", func() bool { return s.door.connections[mainListener].Len() == 0 })
	if n := s.door.Unserved(); n != 0 {
		t.Errorf("%d connections are pending", n)
	}
}

// A stream may follow acquires on their connection, and its client is still looked after.
func TestStreamAfterAcquires(t *testing.T) { byBothDoors(t, streamAfterAcquires) }

func streamAfterAcquires(t *testing.T) {
	s := newServer(t, setup{})
	addr := listening(t, s)
	w := dial(t, s, addr)
	for _, name := range []string{"a", "b"} {
		w.receive(w.send("POST /v1/locks/"+name+"/acquire", "")).grant()
	}
	w.send("GET /v1/audit?follow=1&after=0", "")
	resp, err := http.ReadResponse(w.r, nil)
	if err != nil || resp.StatusCode != 200 {
		t.Fatal(resp, err)
	}
	in := lineScanner(resp.Body)
	in.want(t, `"export":1`)
	in.want(t, `"name":"a"`)
	in.want(t, `"name":"b"`)
	s.acquire(t, "c")
	in.want(t, `"name":"c"`)
	if n := s.door.connections[mainListener].Len(); n != 1 {
		t.Errorf("%d connections are counted, want 1", n)
	}
	_ = w.conn.Close()
	eventually(t, "the stream ends with its client", func() bool {
		return s.streams.Followers() == 0 && s.door.connections[mainListener].Len() == 0
	})
}

// stoppable serves s by the door of the test, and returns what stops it.
func stoppable(t *testing.T, s *server) (srv doorServer, addr net.Addr) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	return serveOn(t, s, l), l.Addr()
}

// beginStop begins a stop, and returns how it ends. The listener is closed when it returns.
func beginStop(t *testing.T, srv doorServer, addr net.Addr) <-chan error {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 4*soon)
	t.Cleanup(cancel)
	ended := make(chan error, 1)
	go func() { ended <- srv.Shutdown(ctx) }()
	eventually(t, "the listener is closed", func() bool {
		c, err := net.Dial(addr.Network(), addr.String())
		if err == nil {
			_ = c.Close()
		}
		return err != nil
	})
	return ended
}

// A stop closes connections without a request, and answers requests that are under way, with a
// header that says that the connection ends.
func TestStopFinishesWhatIsUnderWay(t *testing.T) { byBothDoors(t, stopFinishesWhatIsUnderWay) }

func stopFinishesWhatIsUnderWay(t *testing.T) {
	s := newServer(t, setup{})
	srv, addr := stoppable(t, s)
	holder := s.acquire(t, "a")
	idle, waiter, half, other, fresh := dial(t, s, addr), dial(t, s, addr), dial(t, s, addr), dial(t, s, addr), dial(t, s, addr)
	idle.receive(idle.send("GET /v1/locks/a", "")).want(200)
	waiter.send("POST /v1/locks/a/acquire?wait=30s", "")
	s.waiters(t, "a", 1)
	waiter.raw(status + "\r\n") // behind the request that waits
	other.receive(other.send("GET /healthz", "")).want(200)
	half.receive(half.send("GET /v1/locks/a", "")).want(200)
	half.raw(status)
	eventually(t, "all connections are known", func() bool { return s.door.connections[mainListener].Len() == 5 })
	time.Sleep(20 * time.Millisecond) // half a header is read
	ended := beginStop(t, srv, addr)
	for _, w := range []*rawConn{idle, other} {
		if got := w.ends(); got != "" {
			t.Errorf("an idle connection had %q", got)
		}
	}
	_, _ = io.WriteString(half.conn, "\r\n")
	_, _ = io.WriteString(fresh.conn, status+"\r\n")
	for _, w := range []*rawConn{half, fresh} {
		if got := w.ends(); doorOf(t) == byLane || got != "" { // net/http answers no request that it had not read
			wantLast(t, got)
		}
	}
	select {
	case err := <-ended:
		t.Fatalf("the stop does not wait for a request: %v", err)
	default:
	}
	s.do(t, "POST /v1/locks/a/release", header("Octostore-Lease", holder.LeaseID)).want(200)
	wantLast(t, waiter.ends())
	if err := <-ended; err != nil {
		t.Errorf("Shutdown: %v", err)
	}
	eventually(t, "no connection is counted", func() bool { return s.door.connections[mainListener].Len() == 0 })
}

// wantLast fails the test unless what a connection had is one answer, which says that it is the last.
func wantLast(t *testing.T, got string) {
	t.Helper()
	if !strings.HasPrefix(got, "HTTP/1.1 200 OK\r\n") || !strings.Contains(got, "\r\nConnection: close\r\n") || strings.Count(got, "HTTP/1.1") != 1 {
		t.Errorf("a connection had %q, want one answer that says it is the last", got)
	}
}

// A stop whose time is over says so, and Close ends what is left.
func TestStopEndsWithItsTime(t *testing.T) { byBothDoors(t, stopEndsWithItsTime) }

func stopEndsWithItsTime(t *testing.T) {
	s := newServer(t, setup{})
	srv, addr := stoppable(t, s)
	s.acquire(t, "a")
	w := dial(t, s, addr)
	w.send("POST /v1/locks/a/acquire?wait=30s", "")
	s.waiters(t, "a", 1)
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
	defer cancel()
	if err := srv.Shutdown(ctx); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("Shutdown: %v", err)
	}
	_ = srv.Close()
	if got := w.ends(); got != "" {
		t.Errorf("it had %q", got)
	}
	s.waiters(t, "a", 0)
	eventually(t, "no connection is counted", func() bool { return s.door.connections[mainListener].Len() == 0 })
}

// Connections that are handed over while the server stops have a whole answer or none, and each
// of them ends.
func TestStopLosesNoHandOver(t *testing.T) {
	for range 20 {
		s := newServer(t, setup{})
		srv, addr := stoppable(t, s)
		var clients sync.WaitGroup
		var answered, began atomic.Int64
		for range 16 {
			w := dial(t, s, addr)
			clients.Go(func() {
				for {
					if _, err := io.WriteString(w.conn, status+"\r\nGET /healthz HTTP/1.1\r\n"+host+"\r\n"); err != nil {
						return
					}
					for range 2 {
						_ = w.conn.SetReadDeadline(time.Now().Add(soon))
						resp, err := http.ReadResponse(w.r, nil)
						if errors.Is(err, os.ErrDeadlineExceeded) {
							t.Error("a connection hangs")
						}
						if err != nil {
							return
						}
						if body, err := io.ReadAll(resp.Body); err != nil || len(body) == 0 {
							t.Errorf("half an answer: %q, %v", body, err)
						}
						answered.Add(1)
					}
					began.Add(1)
					_ = w.conn.Close()
					conn, err := net.Dial(addr.Network(), addr.String())
					if err != nil {
						return
					}
					w.conn = conn
					w.r.Reset(conn)
				}
			})
		}
		eventually(t, "all have begun", func() bool { return began.Load() > 16 })
		if err := <-beginStop(t, srv, addr); err != nil {
			t.Errorf("Shutdown: %v", err)
		}
		clients.Wait()
		eventually(t, "no connection is counted", func() bool { return s.door.connections[mainListener].Len() == 0 })
	}
}

// What both doors answer while the server drains says that connections end.
func TestLaneAnswersAsNetHTTPWhileDraining(t *testing.T) {
	t.Parallel()
	for name, s := range plainScripts() {
		t.Run(name, func(t *testing.T) {
			ws := newTwins(t, false, byLane.serve)
			for _, w := range ws {
				w.quietly(t, "POST /v1/drain")
			}
			ws.play(t, name, s)
		})
	}
}

// A client that closes its half right behind its requests has the same answers from both.
func TestLaneAnswersBeforeAHalfClose(t *testing.T) {
	t.Parallel()
	ws := newTwins(t, false, byLane.serve)
	ws[0].closes, ws[1].closes = true, true
	scripts := corpus()
	unescape := strings.NewReplacer("%61", "a", "%63", "c")
	for name, s := range scripts {
		if strings.Contains(unescape.Replace(strings.Join(s, "")), "acquire") || strings.Contains(name, " of ") {
			delete(scripts, name) // a grant may be on its way when its client leaves
		}
	}
	ws.playAll(t, scripts)
}
