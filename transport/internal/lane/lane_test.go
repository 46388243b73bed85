package lane

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// soon bounds what should take no time.
const soon = 10 * time.Second

// lane is a server for tests. Its handler says "lane", and that of Rest says "rest".
type lane struct {
	*Server
	addr   net.Addr
	opened atomic.Int64
	closed atomic.Int64
	logged syncBuffer
}

// syncBuffer is a buffer that many goroutines may write to.
type syncBuffer struct {
	mu sync.Mutex
	of bytes.Buffer
}

func (b *syncBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.of.Write(p)
}

func (b *syncBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.of.String()
}

// say returns a handler that says a word, with its length.
func say(word string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Length", fmt.Sprint(len(word)))
		w.Header().Set("Content-Type", "text/plain")
		_, _ = io.WriteString(w, word)
	}
}

// newLane serves until the test ends. Nil is the usual handler.
func newLane(t *testing.T, handler http.HandlerFunc, changes ...func(*Config)) *lane {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	return serveLane(t, l, handler, changes...)
}

func serveLane(t *testing.T, l net.Listener, handler http.HandlerFunc, changes ...func(*Config)) *lane {
	t.Helper()
	if handler == nil {
		handler = say("lane")
	}
	s := &lane{addr: l.Addr()}
	cfg := Config{
		Handler:     handler,
		Rest:        &http.Server{Handler: say("rest"), ReadHeaderTimeout: soon, ErrorLog: log.New(&s.logged, "", 0)},
		ConnContext: func(ctx context.Context, _ net.Conn) context.Context { s.opened.Add(1); return ctx },
		ConnState: func(_ net.Conn, state http.ConnState) {
			if state == http.StateClosed {
				s.closed.Add(1)
			}
		},
		HeaderTimeout: soon,
		IdleTimeout:   soon,
		Poller:        true,
	}
	for _, change := range changes {
		change(&cfg)
	}
	s.Server = New(cfg)
	served := make(chan error, 1)
	go func() { served <- s.Serve(l) }()
	t.Cleanup(func() {
		_ = s.Close()
		if err := <-served; !errors.Is(err, http.ErrServerClosed) {
			t.Errorf("Serve: %v", err)
		}
		eventually(t, "each connection is closed once", func() bool { return s.closed.Load() == s.opened.Load() })
	})
	return s
}

// client is a raw connection to a lane.
type client struct {
	net.Conn
	t *testing.T
	r *bufio.Reader
}

func (s *lane) dial(t *testing.T) *client {
	t.Helper()
	c, err := net.Dial("tcp", s.addr.String())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close() })
	_ = c.SetDeadline(time.Now().Add(soon))
	return &client{c, t, bufio.NewReader(c)}
}

const (
	get     = "GET /v1/locks/a HTTP/1.1\r\nHost: localhost\r\n\r\n"
	acquire = "POST /v1/locks/a/acquire HTTP/1.1\r\nHost: localhost\r\n\r\n"
	index   = "GET / HTTP/1.1\r\nHost: localhost\r\n\r\n"
)

func (c *client) send(text string) *client {
	c.t.Helper()
	if _, err := io.WriteString(c, text); err != nil {
		c.t.Fatal(err)
	}
	return c
}

// read returns the next answer and its body.
func (c *client) read() (*http.Response, string) {
	c.t.Helper()
	resp, err := http.ReadResponse(c.r, nil)
	if err != nil {
		c.t.Fatal(err)
	}
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		c.t.Fatal(err)
	}
	return resp, string(body)
}

// want reads an answer with that body.
func (c *client) want(body string) *client {
	c.t.Helper()
	if resp, got := c.read(); resp.StatusCode != 200 || got != body {
		c.t.Fatalf("the answer is %d %q, want %q", resp.StatusCode, got, body)
	}
	return c
}

// wantEnd expects the end of the connection, and nothing before it.
func (c *client) wantEnd() {
	c.t.Helper()
	if got, err := io.ReadAll(c.r); len(got) > 0 || errors.Is(err, os.ErrDeadlineExceeded) {
		c.t.Fatalf("the rest is %q, then %v", got, err)
	}
}

func eventually(t *testing.T, what string, is func() bool) {
	t.Helper()
	for began := time.Now(); !is(); time.Sleep(time.Millisecond) {
		if time.Since(began) > soon {
			t.Fatalf("not in time: %s", what)
		}
	}
}

// connections returns those in the lane.
func (s *lane) connections() (all []*conn) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for c := range s.conns {
		all = append(all, c)
	}
	return all
}

// TestLaneHandsOverForGood has a connection send plain requests, another one, and plain ones again.
func TestLaneHandsOverForGood(t *testing.T) {
	s := newLane(t, nil)
	c := s.dial(t).send(get).want("lane").send(acquire).want("lane")
	c.send(get + index + get).want("lane").want("rest").want("rest")
	eventually(t, "the lane forgets the connection", func() bool { return len(s.connections()) == 0 })
	if n := s.opened.Load(); n != 1 || s.closed.Load() != 0 {
		t.Errorf("%d opened and %d closed, want 1 and none", n, s.closed.Load())
	}
}

// TestLaneAnswersInOrder has requests arrive at once, cut anywhere.
func TestLaneAnswersInOrder(t *testing.T) {
	s := newLane(t, func(w http.ResponseWriter, r *http.Request) { say(r.URL.Path)(w, r) })
	c := s.dial(t)
	var all string
	for i := range 200 { // more than a buffer holds
		all += strings.Replace(get, "/a ", fmt.Sprintf("/a%d ", i), 1)
	}
	go func() { _, _ = io.WriteString(c, all) }()
	for i := range 200 {
		c.want(fmt.Sprintf("/v1/locks/a%d", i))
	}
}

// TestLaneHasNoBufferWhileItWaits has one request wait in its handler, and one connection be idle.
func TestLaneHasNoBufferWhileItWaits(t *testing.T) {
	entered, open := make(chan bool), make(chan struct{})
	s := newLane(t, func(w http.ResponseWriter, r *http.Request) {
		entered <- true
		<-open
		say("lane")(w, r)
	})
	c := s.dial(t).send(acquire)
	<-entered
	if in := &s.connections()[0].in; in.buf != nil { // its goroutine waits
		t.Errorf("%d bytes of a buffer are kept", in.len())
	}
	c.send(get)
	close(open)
	c.want("lane")
	<-entered
	c.want("lane")
}

// TestLaneKeepsWhatFollowsARequestThatWaits has a request and part of the next arrive at once.
func TestLaneKeepsWhatFollowsARequestThatWaits(t *testing.T) {
	s := newLane(t, nil)
	c := s.dial(t).send(acquire + get[:30]).want("lane")
	c.send(get[30:]).want("lane")
	c.send(acquire + index[:3]).want("lane").send(index[3:]).want("rest")
}

// TestLaneSendsNothingOfAnAbortedAnswer has handlers panic after they have written.
func TestLaneSendsNothingOfAnAbortedAnswer(t *testing.T) {
	for _, with := range []any{http.ErrAbortHandler, "a mistake"} {
		s := newLane(t, func(w http.ResponseWriter, r *http.Request) {
			say("lane")(w, r)
			panic(with)
		})
		s.dial(t).send(get).wantEnd()
		eventually(t, "the connection is closed", func() bool { return s.closed.Load() == 1 })
		if says := strings.Contains(s.logged.String(), "http: panic serving 127.0.0.1:"); says != (with == "a mistake") {
			t.Errorf("after panic(%v) the log is %q", with, s.logged.String())
		}
	}
}

// TestLaneLiftsDeadlines has a request set deadlines that pass before the next one.
func TestLaneLiftsDeadlines(t *testing.T) {
	s := newLane(t, func(w http.ResponseWriter, r *http.Request) {
		to := http.NewResponseController(w)
		if r.Method == http.MethodPost {
			at := time.Now().Add(200 * time.Millisecond)
			if err := errors.Join(to.SetReadDeadline(at), to.SetWriteDeadline(at)); err != nil {
				t.Error(err)
			}
		}
		say("lane")(w, r)
	})
	c := s.dial(t).send(acquire).want("lane")
	time.Sleep(300 * time.Millisecond) // the deadlines pass
	c.send(get).want("lane")
	c.send(acquire + get[:5]).want("lane")
	time.Sleep(300 * time.Millisecond)
	c.send(get[5:]).want("lane")
	c.send(acquire + index).want("lane").want("rest")
	time.Sleep(300 * time.Millisecond)
	c.send(index).want("rest")
}

// TestLaneTellsTheHandlerOfAFailedWrite has the time for an answer be over.
func TestLaneTellsTheHandlerOfAFailedWrite(t *testing.T) {
	failed := make(chan error, 1)
	s := newLane(t, func(w http.ResponseWriter, r *http.Request) {
		to := http.NewResponseController(w)
		_ = to.SetWriteDeadline(time.Now().Add(-time.Second))
		say("lane")(w, r)
		failed <- to.Flush()
	})
	s.dial(t).send(get).wantEnd()
	if err := <-failed; !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("Flush says %v", err)
	}
}

// TestLaneSendsAnAnswerAtTheFlush has a handler go on after it has flushed.
func TestLaneSendsAnAnswerAtTheFlush(t *testing.T) {
	read := make(chan struct{})
	s := newLane(t, func(w http.ResponseWriter, r *http.Request) {
		say("lane")(w, r)
		if err := http.NewResponseController(w).Flush(); err != nil {
			t.Error(err)
		}
		<-read
	})
	c := s.dial(t).send(get).want("lane")
	close(read)
	c.send(get).want("lane")
}

// TestLaneFramesOtherAnswers has handlers answer in ways in which those of the lane do not.
func TestLaneFramesOtherAnswers(t *testing.T) {
	long := strings.Repeat("long ", 10_000)
	for name, test := range map[string]struct {
		answer  http.HandlerFunc
		body    string
		length  int64
		chunked bool
		closed  bool
	}{
		"nothing":    {answer: func(http.ResponseWriter, *http.Request) {}},
		"short":      {answer: func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "short") }, body: "short", length: 5},
		"long":       {answer: func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, long) }, body: long, length: -1, chunked: true},
		"in pieces":  {answer: inPieces, body: "one two", length: -1, chunked: true},
		"no content": {answer: func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusNoContent) }},
		"cut off": {answer: func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Length", "0")
			w.Header().Set("Connection", "close")
		}, closed: true},
		"hint before": {answer: func(w http.ResponseWriter, r *http.Request) { w.WriteHeader(http.StatusEarlyHints); say("then")(w, r) }, body: "then", length: 4},
	} {
		t.Run(name, func(t *testing.T) {
			c := newLane(t, test.answer).dial(t).send(get)
			resp, body := c.read()
			if resp.StatusCode == http.StatusEarlyHints {
				resp, body = c.read()
			}
			if chunked := len(resp.TransferEncoding) > 0; body != test.body || resp.ContentLength != test.length || chunked != test.chunked || resp.Close != test.closed {
				t.Errorf("%q of length %d, chunked %t, closed %t", body, resp.ContentLength, chunked, resp.Close)
			}
			if test.closed {
				c.wantEnd()
				return
			}
			if resp.Header.Get("Date") == "" {
				t.Error("there is no Date")
			}
			c.send(get).read()
		})
	}
}

func inPieces(w http.ResponseWriter, _ *http.Request) {
	_, _ = io.WriteString(w, "one ")
	_ = http.NewResponseController(w).Flush()
	_, _ = io.WriteString(w, "two")
}

// TestLaneRequestsHaveTheContextOfNetHTTP looks at it in the handler, and after the connection.
func TestLaneRequestsHaveTheContextOfNetHTTP(t *testing.T) {
	requests := make(chan *http.Request, 1)
	s := newLane(t, func(w http.ResponseWriter, r *http.Request) {
		if err := r.Context().Err(); err != nil {
			t.Errorf("in the handler: %v", err)
		}
		requests <- r
		say("lane")(w, r)
	})
	c := s.dial(t).send(get).want("lane")
	r := <-requests
	_ = c.Close()
	<-r.Context().Done()
	if at, is := r.Context().Value(http.LocalAddrContextKey).(net.Addr); !is || at.String() != s.addr.String() {
		t.Errorf("the local address is %v", at)
	}
	if r.Context().Value(http.ServerContextKey) != s.cfg.Rest {
		t.Error("the server is another")
	}
	if r.RemoteAddr != c.LocalAddr().String() {
		t.Errorf("the remote address is %s", r.RemoteAddr)
	}
}
