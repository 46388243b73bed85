package forward

import (
	"bytes"
	"crypto/tls"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// With TLS a connection carries many requests, so that many can wait between two nodes.
func TestForwardHasFewConnectionsWithTLS(t *testing.T) {
	const waiters, streams = 150, 100
	var waiting atomic.Int64
	free := make(chan struct{})
	node := &servingNode{Receiver: NewReceiver(testKey, testTerm)}
	node.answer = func(w http.ResponseWriter, r *http.Request) {
		waiting.Add(1)
		<-free
		node.grant(w, r, yes)
	}
	node.Server = httptest.NewUnstartedServer(node)
	node.EnableHTTP2 = true
	node.Config.HTTP2 = &http.HTTP2Config{MaxConcurrentStreams: streams}
	var connections atomic.Int64
	node.Config.ConnState = func(_ net.Conn, now http.ConnState) {
		switch now { //nolint:exhaustive // the others are in between
		case http.StateNew:
			connections.Add(1)
		case http.StateClosed:
			connections.Add(-1)
		}
	}
	node.StartTLS()
	defer node.Close()
	trusted := node.Client().Transport.(*http.Transport).TLSClientConfig
	f, at, _ := forwardingNode(t, node, func(c *Config) { c.TLS = &tls.Config{RootCAs: trusted.RootCAs} })
	f.main.MaxConnsPerHost, f.words.MaxConnsPerHost = 2, 1
	var wait sync.WaitGroup
	for range waiters {
		wait.Go(func() {
			if status, body, err := send(t, "POST", at+"/v1/locks/a/acquire"); err != nil || status != 200 || body != "a lease" {
				t.Errorf("answered %d %s %v", status, body, err)
			}
		})
	}
	eventually(t, "all wait", func() bool { return waiting.Load() == waiters })
	eventually(t, "they wait on two connections", func() bool { return connections.Load() <= 2 })
	close(free)
	wait.Wait()
}

// A serving node whose URL leads nowhere makes all nodes answer 503: the log has to say why.
func TestForwardLogsWhyTheServingNodeIsNotReached(t *testing.T) {
	node := newServingNode(t, testTerm, nil)
	node.Close()
	var out bytes.Buffer
	f, at, end := forwardingNode(t, node, func(c *Config) { c.Logger = slog.New(slog.NewTextHandler(&out, nil)) })
	for range 3 {
		if status, body, err := send(t, "GET", at+"/v1/locks/a"); err != nil || status != 503 {
			t.Errorf("%d %q %v", status, body, err)
		}
	}
	end()
	_ = f.Close() // it always returns nil; nothing is logged after it
	if log := out.String(); !strings.Contains(log, node.URL) || !strings.Contains(log, "refused") || strings.Count(log, "\n") > 2 {
		t.Errorf("the log says %q", log)
	}
}

// A URL that leads to another node than its own is told by the one that gets the requests.
func TestForwardLogsRequestsThatGoAstray(t *testing.T) {
	var out bytes.Buffer
	f := New(Config{Key: testKey, Logger: slog.New(slog.NewTextHandler(&out, nil)), Target: func() (Target, bool) {
		return Target{URL: &url.URL{Scheme: "http", Host: "here"}, Term: testTerm}, true
	}})
	defer f.Close()
	for _, term := range []int64{testTerm - 1, testTerm} { // that of before is on its way at each take
		r := httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/v1/locks/a", nil)
		r.Header[Header] = []string{claim{kind: kindRequest, term: term, at: time.Now()}.sign(testKey, r.Method, r.URL.RequestURI())}
		w := httptest.NewRecorder()
		f.ServeHTTP(w, r)
		if astray := strings.Contains(out.String(), "http://here"); w.Code != http.StatusServiceUnavailable || astray != (term == testTerm) {
			t.Errorf("term %d: %d, the log says %q", term, w.Code, out.String())
		}
	}
}
