package transport

import (
	"bytes"
	"fmt"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/octostore/octostore/core/auth"
)

// sink is the cheapest ResponseWriter that can do what a connection's can, so that
// what is measured is ours.
type sink struct {
	h      http.Header
	status int
	body   []byte
}

func (s *sink) Header() http.Header { return s.h }
func (s *sink) WriteHeader(n int)   { s.status = n }
func (s *sink) Write(b []byte) (int, error) {
	s.body = append(s.body[:0], b...)
	return len(b), nil
}

func (s *sink) SetWriteDeadline(time.Time) error { return nil }
func (s *sink) SetReadDeadline(time.Time) error  { return nil }
func (s *sink) FlushError() error                { return nil }

func (s *sink) serve(b *testing.B, h http.Handler, r *http.Request, want int) {
	clear(s.h)
	h.ServeHTTP(s, r)
	if s.status != want {
		b.Fatalf("status %d, want %d: %s", s.status, want, s.body)
	}
}

func newSink() *sink { return &sink{h: http.Header{}} }

// A pair is an acquire and its release, with a store in memory.
func BenchmarkPair(b *testing.B) {
	s := newServer(b, setup{})
	w := newSink()
	acquire := newRequest("POST /v1/locks/bench/a/acquire?ttl=60s&holder=bench", nil).http()
	release := newRequest("POST /v1/locks/bench/a/release", nil).http()
	acquire.Host, release.Host = "localhost:3000", "localhost:3000" // as clients say it
	b.ReportAllocs()
	for b.Loop() {
		w.serve(b, s, acquire, 200)
		release.Header["Octostore-Lease"] = []string{leaseIn(w.body)}
		w.serve(b, s, release, 200)
	}
}

// The same on a server as it is run: with a token, limits and the headers of a client.
func BenchmarkPairWithToken(b *testing.B) {
	s, client := newGuardedServer(b)
	w := newSink()
	acquire := newRequest("POST /v1/locks/bench/a/acquire?ttl=60s&holder=bench", client).http()
	release := newRequest("POST /v1/locks/bench/a/release", client).http()
	b.ReportAllocs()
	for b.Loop() {
		w.serve(b, s, acquire, 200)
		release.Header["Octostore-Lease"] = []string{leaseIn(w.body)}
		w.serve(b, s, release, 200)
	}
}

// The way of a request without the work of the lock table.
func BenchmarkGetWithToken(b *testing.B) {
	s, client := newGuardedServer(b)
	w, r := newSink(), newRequest("GET /v1/locks/bench/a", client).http()
	b.ReportAllocs()
	for b.Loop() {
		w.serve(b, s, r, 200)
	}
}

// newGuardedServer returns a server with a token and limits out of reach, and the headers of a
// client of it.
func newGuardedServer(b *testing.B) (*server, []option) {
	secret, file := auth.NewSecret(), filepath.Join(b.TempDir(), "tokens")
	if err := os.WriteFile(file, []byte("bench:"+secret+"\n"), 0o600); err != nil {
		b.Fatal(err)
	}
	s := newServer(b, setup{file: file, limits: Limits{Rate: 1e8, InFlight: 1e6, AddressRate: 1e6}})
	return s, []option{header("Host", "octostore.example"), header("User-Agent", "curl/8.14.1"), header("Accept", "*/*"), bearer(secret)}
}

// leaseIn finds the lease id in a grant more quickly than encoding/json, whose work
// is not what is measured.
func leaseIn(grant []byte) string {
	_, rest, _ := bytes.Cut(grant, []byte(`"lease_id":"`))
	id, _, _ := bytes.Cut(rest, []byte(`"`))
	return string(id)
}

func BenchmarkRefusal(b *testing.B) {
	s := newServer(b, setup{})
	s.acquire(b, "a")
	w, r := newSink(), newRequest("POST /v1/locks/a/acquire?ttl=60s&holder=bench", nil).http()
	b.ReportAllocs()
	for b.Loop() {
		w.serve(b, s, r, 409)
	}
}

func BenchmarkGet(b *testing.B) {
	s := newServer(b, setup{})
	s.acquire(b, "a")
	w, r := newSink(), newRequest("GET /v1/locks/a", nil).http()
	b.ReportAllocs()
	for b.Loop() {
		w.serve(b, s, r, 200)
	}
}

func BenchmarkList(b *testing.B) {
	s := newServer(b, setup{})
	for i := range 100 {
		s.do(b, fmt.Sprintf("POST /v1/locks/bench/%03d/acquire", i)).want(200)
	}
	w, r := newSink(), newRequest("GET /v1/locks?prefix=bench/", nil).http()
	b.ReportAllocs()
	for b.Loop() {
		w.serve(b, s, r, 200)
	}
}

// The cost of a request outside its handler.
func BenchmarkHealth(b *testing.B) {
	s := newServer(b, setup{})
	w, r := newSink(), newRequest("GET /healthz", nil).http()
	b.ReportAllocs()
	for b.Loop() {
		w.serve(b, s, r, 200)
	}
}

// Whether each answer can afford a deadline and a flush of its own: the same small
// answer over one connection, with and without.
func BenchmarkAnswer(b *testing.B) {
	answer := []byte(`{"status":"ok"}`)
	for name, extra := range map[string]func(*http.ResponseController){
		"plain":    func(*http.ResponseController) {},
		"deadline": func(rc *http.ResponseController) { _ = rc.SetWriteDeadline(time.Now().Add(writeTimeout)) },
	} {
		for _, flush := range []bool{false, true} {
			b.Run(fmt.Sprintf("%s/flush=%t", name, flush), func(b *testing.B) {
				exchangeAnswers(b, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
					rc := http.NewResponseController(w)
					w.Header()["Content-Length"] = []string{"15"}
					extra(rc)
					_, _ = w.Write(answer)
					if flush {
						_ = rc.Flush()
					}
				}))
			})
		}
	}
}

// exchangeAnswers sends a request after the other over one connection.
func exchangeAnswers(b *testing.B, h http.Handler) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		b.Fatal(err)
	}
	srv := &http.Server{Handler: h}
	served := make(chan struct{})
	go func() { defer close(served); _ = srv.Serve(l) }()
	defer func() { _ = srv.Close(); <-served }()
	conn, err := net.Dial("tcp", l.Addr().String())
	if err != nil {
		b.Fatal(err)
	}
	defer conn.Close()
	ask, buf := []byte("GET / HTTP/1.1\r\nHost: localhost\r\n\r\n"), make([]byte, 4096)
	for b.Loop() {
		if _, err := conn.Write(ask); err != nil {
			b.Fatal(err)
		}
		if _, err := conn.Read(buf); err != nil {
			b.Fatal(err)
		}
	}
}
