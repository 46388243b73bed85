package transport

import (
	"bytes"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/octostore/octostore/transport/api"
)

// Clients that stay long are so many and no more. The others are told to come back, and
// come in when one of them has left.
func TestReadersHaveSeats(t *testing.T) {
	for _, tt := range []struct{ path, metric string }{
		{"/v1/events", "octostore_watches"},
		{"/v1/audit?follow=1", "octostore_exports"},
	} {
		t.Run(tt.metric, func(t *testing.T) {
			s := newServer(t, setup{watches: 2, exports: 2})
			base := "http://" + listening(t, s).String()
			open := func() *http.Response {
				resp, err := http.Get(base + tt.path)
				if err != nil {
					t.Fatal(err)
				}
				t.Cleanup(func() { resp.Body.Close() })
				return resp
			}
			first := open()
			if second := open(); first.StatusCode != 200 || second.StatusCode != 200 {
				t.Fatalf("%s, %s", first.Status, second.Status)
			}
			if got := s.scrape(t)[tt.metric]; got != "2" {
				t.Errorf("%s is %s", tt.metric, got)
			}
			refused := s.do(t, "GET "+tt.path).want(429, api.CodeTooManyReaders)
			if got := refused.header.Get("Retry-After"); got != "5" {
				t.Errorf("Retry-After is %q", got)
			}
			first.Body.Close()
			giveUp := time.Now().Add(10 * time.Second)
			for open().StatusCode != 200 {
				if time.Now().After(giveUp) {
					t.Fatal("the seat stays taken")
				}
				time.Sleep(time.Millisecond)
			}
		})
	}
}

// An export that is short needs a seat too, and leaves it. One kind does not take the
// seats of the other.
func TestSeatsAreLeft(t *testing.T) {
	s := newServer(t, setup{watches: 1, exports: 1})
	for range 3 {
		s.do(t, "GET /v1/audit").want(200)
		s.do(t, "GET /v1/audit?after=x", onPurpose).want(400)
		s.do(t, "HEAD /v1/audit").want(200)
		s.do(t, "HEAD /v1/events").want(200)
	}
	url := "http://" + listening(t, s).String() + "/v1/events"
	watch(t, url).next()
	s.do(t, "GET /v1/audit").want(200)
	s.do(t, "GET /v1/events").want(429)
}

// unread is a client that takes nothing until it is released, and then is gone.
type unread struct {
	*httptest.ResponseRecorder
	once     sync.Once
	reached  chan struct{} // closed when something was written
	released chan struct{}
}

func newUnread() *unread {
	return &unread{ResponseRecorder: newRecorded(), reached: make(chan struct{}), released: make(chan struct{})}
}

func (u *unread) Write([]byte) (int, error) {
	u.once.Do(func() { close(u.reached) })
	<-u.released
	return 0, os.NewSyscallError("write", syscall.EPIPE)
}

// Streams work by turns. One whose client takes nothing does not keep its turn.
func TestAClientThatTakesNothingKeepsNoTurn(t *testing.T) {
	s := newServer(t, setup{})
	s.acquire(t, "a")
	var stalled []*unread
	var all sync.WaitGroup
	for range 2 * cap(s.turns) {
		for _, path := range []string{"/v1/audit", "/v1/audit?format=csv&follow=1"} {
			u := newUnread()
			stalled = append(stalled, u)
			all.Go(func() { serve(s, u, newRequest("GET "+path, nil).http()) })
			<-u.reached
		}
	}
	answered := make(chan struct{})
	go func() {
		defer close(answered)
		s.do(t, "GET /v1/audit").want(200)
	}()
	select {
	case <-answered:
	case <-time.After(10 * time.Second):
		t.Error("an export waits for those who take nothing")
	}
	for _, u := range stalled {
		close(u.released)
	}
	all.Wait()
	<-answered
	if len(s.turns) != 0 || s.exports.taken.Load() != 0 {
		t.Errorf("%d turns and %d seats are still taken", len(s.turns), s.exports.taken.Load())
	}
}

// A client that hangs up is nothing to look into.
func TestAStreamThatIsHungUpIsNoError(t *testing.T) {
	for _, path := range []string{"/v1/audit", "/v1/audit?format=csv", "/v1/audit?follow=1", "/v1/events"} {
		for _, packed := range []string{"", "gzip"} {
			var log bytes.Buffer
			s := newServer(t, setup{log: slog.NewTextHandler(&log, nil)})
			s.acquire(t, "a")
			u := newUnread()
			close(u.released)
			if cut := serve(s, u, newRequest("GET "+path, []option{header("Accept-Encoding", packed), header("Last-Event-ID", "0")}).http()); !cut {
				t.Errorf("%s: the connection is not cut", path)
			}
			if log.Len() > 0 {
				t.Errorf("%s: it logs %s", path, &log)
			}
		}
	}
}
