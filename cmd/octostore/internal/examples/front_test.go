//go:build unix

package examples_test

import (
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"strings"
	"sync"
	"testing"
)

// newFront starts a reverse proxy in front of a server and returns its address. What answers
// does not answer itself is passed on.
func newFront(t *testing.T, addr string, answers func(w http.ResponseWriter, r *http.Request, verb string) bool) string {
	t.Helper()
	proxy := passOn(addr)
	front := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		verb := r.URL.Path[strings.LastIndexByte(r.URL.Path, '/')+1:]
		if !answers(w, r, verb) {
			proxy.ServeHTTP(w, r)
		}
	}))
	t.Cleanup(func() {
		front.CloseClientConnections()
		front.Close()
	})
	return front.Listener.Addr().String()
}

func passOn(addr string) http.Handler {
	proxy := httputil.NewSingleHostReverseProxy(&url.URL{Scheme: "http", Host: addr})
	proxy.Transport = &http.Transport{DisableKeepAlives: true}
	proxy.ErrorHandler = func(w http.ResponseWriter, _ *http.Request, _ error) { w.WriteHeader(http.StatusBadGateway) }
	return proxy
}

// cut closes the connection of a request without an answer.
func cut(w http.ResponseWriter) {
	conn, _, err := w.(http.Hijacker).Hijack()
	if err == nil {
		_ = conn.Close()
	}
}

// cable is a proxy for TCP whose connections can be cut.
type cable struct {
	net.Listener
	mu    sync.Mutex
	ends  []net.Conn
	pumps sync.WaitGroup
}

// newCable lays a cable to a server.
func newCable(t *testing.T, addr string) *cable {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	c := &cable{Listener: l}
	c.pumps.Go(func() {
		for {
			near, err := l.Accept()
			if err != nil {
				return
			}
			if far, err := net.Dial("tcp", addr); err != nil {
				_ = near.Close()
			} else {
				c.join(near, far)
			}
		}
	})
	t.Cleanup(func() {
		_ = l.Close()
		c.cut()
		c.pumps.Wait()
	})
	return c
}

func (c *cable) join(near, far net.Conn) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.ends = append(c.ends, near, far)
	for from, to := range map[net.Conn]net.Conn{near: far, far: near} {
		c.pumps.Go(func() {
			_, _ = io.Copy(to, from) // until one of them is closed
			_ = to.Close()
			_ = from.Close()
		})
	}
}

// cut ends all connections.
func (c *cable) cut() {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, end := range c.ends {
		_ = end.Close() // closed already: fine
	}
	c.ends = nil
}
