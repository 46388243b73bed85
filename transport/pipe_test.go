package transport

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"testing"
	"testing/synctest"
	"time"

	"github.com/octostore/octostore/transport/api"
)

// These tests are about the deadlines of connections. They run on pipes, which obey
// the clock of a bubble.

// pipes is a listener whose connections are pipes.
type pipes struct {
	conns  chan net.Conn
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

func (p *pipes) Close() error   { close(p.closed); return nil }
func (p *pipes) Addr() net.Addr { return &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1)} }

func piped(t *testing.T, s *server) *rawConn {
	p := &pipes{conns: make(chan net.Conn), closed: make(chan struct{})}
	if doorOf(t) == byLane {
		serveBy(t, s.door.newLane(false), s, p) // pipes cannot be watched, and a bubble has no poller
	} else {
		serveOn(t, s, p)
	}
	client, theirs := net.Pipe()
	t.Cleanup(func() { _ = client.Close() })
	p.conns <- theirs
	return &rawConn{t: t, s: s, conn: client, r: bufio.NewReader(client)}
}

// A wait longer than every deadline there is: the answer still arrives. The request
// has a body, for which there is a deadline; if that outlived the body, its end would
// look like a client that left.
func TestTimeoutsDoNotEndAWait(t *testing.T) { byBothDoors(t, testTimeoutsDoNotEndAWait) }

func testTimeoutsDoNotEndAWait(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newServer(t, setup{})
		s.do(t, "POST /v1/locks/a/acquire?ttl=9m").want(200)
		w := piped(t, s)
		began := time.Now()
		g := w.receive(w.send("POST /v1/locks/a/acquire", "wait=10m", "Content-Type: application/x-www-form-urlencoded")).grant()
		if took := time.Since(began); took != 9*time.Minute {
			t.Errorf("answered after %s", took)
		}
		// The connection has no deadline left from before.
		time.Sleep(30 * time.Second)
		w.receive(w.send("POST /v1/locks/a/renew", "", "Octostore-Lease: "+g.LeaseID)).want(200)
	})
}

// That holds for a body of a request that takes none, too.
func TestTimeoutOfASlowBody(t *testing.T) { byBothDoors(t, testTimeoutOfASlowBody) }

func testTimeoutOfASlowBody(t *testing.T) {
	for line, want := range map[string]int{
		"POST /v1/locks/a/acquire": 400,
		"POST /nothing":            404,
		"GET /healthz":             400,
	} {
		synctest.Test(t, func(t *testing.T) {
			w := piped(t, newServer(t, setup{}))
			began := time.Now()
			w.raw(line + " HTTP/1.1\r\nHost: localhost\r\nContent-Length: 8\r\n\r\nwait")
			w.receive(newRequest(line, []option{onPurpose})).want(want)
			if _, err := w.conn.Read(make([]byte, 1)); !errors.Is(err, io.EOF) {
				t.Errorf("%s: the connection is kept: %v", line, err)
			}
			if took := time.Since(began); took != bodyTimeout {
				t.Errorf("%s: %s, want %s", line, took, bodyTimeout)
			}
		})
	}
}

func TestTimeoutOfASlowHeader(t *testing.T) { byBothDoors(t, testTimeoutOfASlowHeader) }

func testTimeoutOfASlowHeader(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := piped(t, newServer(t, setup{}))
		began := time.Now()
		w.raw("POST /v1/locks/a/acquire HTTP/1.1\r\nHost: loc")
		_, _ = io.ReadAll(w.conn)
		if took := time.Since(began); took != headerTimeout {
			t.Errorf("cut off after %s, want %s", took, headerTimeout)
		}
	})
}

// A client that does not read its answer does not keep the lock.
func TestTimeoutOfAnAnswer(t *testing.T) { byBothDoors(t, testTimeoutOfAnAnswer) }

func testTimeoutOfAnAnswer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newServer(t, setup{})
		w := piped(t, s)
		w.send("POST /v1/locks/a/acquire?ttl=1h", "")
		synctest.Wait()
		if state := s.do(t, "GET /v1/locks/a").lock().State; state != api.Held {
			t.Fatalf("the lock is %s", state)
		}
		time.Sleep(writeTimeout)
		synctest.Wait()
		if state := s.do(t, "GET /v1/locks/a").lock().State; state != api.Free {
			t.Errorf("the lock is %s", state)
		}
	})
}

// An export that is read slowly, or not at all, holds its connection as long as one
// piece may take and no longer, however much there is to come.
func TestTimeoutOfAnExport(t *testing.T) { byBothDoors(t, testTimeoutOfAnExport) }

func testTimeoutOfAnExport(t *testing.T) {
	for name, pause := range map[string]time.Duration{"not at all": time.Hour, "byte by byte": time.Second} {
		for _, line := range []string{"GET /v1/audit", "GET /v1/audit?follow=1"} {
			synctest.Test(t, func(t *testing.T) {
				s := newServer(t, setup{})
				for i := range 200 {
					s.acquire(t, fmt.Sprintf("a%d", i))
				}
				w := piped(t, s)
				w.send(line, "")
				synctest.Wait()
				began := time.Now()
				for one := make([]byte, 1); time.Since(began) < time.Minute; time.Sleep(pause) {
					if pause > writeTimeout {
						continue
					}
					if _, err := w.conn.Read(one); err != nil {
						break
					}
				}
				if took := time.Since(began); pause < writeTimeout && took > writeTimeout+2*pause {
					t.Errorf("%s, %s: cut off after %s, want %s", line, name, took, writeTimeout)
				}
				if rest, _ := io.ReadAll(w.conn); len(rest) > 0 {
					t.Errorf("%s, %s: there is more: %.100s", line, name, rest)
				}
				synctest.Wait() // the handler hears of it a moment after the client
				if n := s.streams.Followers(); n != 0 {
					t.Errorf("%s, %s: %d still follow", line, name, n)
				}
			})
		}
	}
}

func TestTimeoutsOfTheServer(t *testing.T) {
	srv := newServer(t, setup{}).Server()
	if srv.WriteTimeout != 0 || srv.ReadTimeout != 0 {
		t.Errorf("WriteTimeout %s, ReadTimeout %s", srv.WriteTimeout, srv.ReadTimeout)
	}
	if srv.ReadHeaderTimeout != 5*time.Second || srv.IdleTimeout != 2*time.Minute || srv.MaxHeaderBytes != 16<<10 {
		t.Errorf("ReadHeaderTimeout %s, IdleTimeout %s, MaxHeaderBytes %d", srv.ReadHeaderTimeout, srv.IdleTimeout, srv.MaxHeaderBytes)
	}
}
