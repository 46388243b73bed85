package lane

import (
	"net"
	"net/http"
	"strings"
	"testing"
	"time"
)

// One request after the other over a connection, with an answer such as that to an acquire.
func BenchmarkAnswer(b *testing.B) {
	body := []byte(`{"name":"` + strings.Repeat("a", 240) + `"}` + "\n")
	header := http.Header{
		"X-Request-Id": {"abcdef-1234567"}, "Cache-Control": {"no-store"}, "X-Content-Type-Options": {"nosniff"},
		"Content-Type": {"application/json"}, "Content-Length": {"252"},
	}
	handler := http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		h := w.Header()
		for name, values := range header {
			h[name] = values
		}
		rc := http.NewResponseController(w)
		_ = rc.SetWriteDeadline(time.Now().Add(10 * time.Second))
		w.WriteHeader(http.StatusOK)
		_, _ = w.Write(body)
		_ = rc.Flush()
	})
	s := New(Config{Handler: handler, Rest: &http.Server{Handler: handler}, HeaderTimeout: 5 * time.Second, IdleTimeout: time.Minute, Poller: true})
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		b.Fatal(err)
	}
	served := make(chan struct{})
	go func() { defer close(served); _ = s.Serve(l) }()
	defer func() { _ = s.Close(); <-served }()
	c, err := net.Dial("tcp", l.Addr().String())
	if err != nil {
		b.Fatal(err)
	}
	defer c.Close()
	ask := []byte("POST /v1/locks/bench/a/acquire?ttl=60s HTTP/1.1\r\nHost: 127.0.0.1:3000\r\nAuthorization: Bearer " +
		strings.Repeat("t", 53) + "\r\nContent-Length: 0\r\n\r\n")
	got := make([]byte, 4096)
	b.ReportAllocs()
	for b.Loop() {
		if _, err := c.Write(ask); err != nil {
			b.Fatal(err)
		}
		if _, err := c.Read(got); err != nil {
			b.Fatal(err)
		}
	}
}
