package transport

import (
	"bytes"
	"context"
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
func TestStreamsAreLimited(t *testing.T) { byBothDoors(t, testStreamsAreLimited) }

func testStreamsAreLimited(t *testing.T) {
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
			soon, cancel := context.WithTimeout(t.Context(), 10*time.Second)
			defer cancel()
			refused := s.do(t, "GET "+tt.path, during(soon)).want(429, api.CodeTooManyReaders)
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
func TestStreamsThatEndMakeRoom(t *testing.T) { byBothDoors(t, testStreamsThatEndMakeRoom) }

func testStreamsThatEndMakeRoom(t *testing.T) {
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

// unread is a client that takes a few writes, nothing more until it is released, and
// then is gone.
type unread struct {
	*httptest.ResponseRecorder
	takes    int
	once     sync.Once
	reached  chan struct{} // closed when it takes nothing more
	released chan struct{}
}

func newUnread(takes int) *unread {
	return &unread{ResponseRecorder: newRecorded(), takes: takes, reached: make(chan struct{}), released: make(chan struct{})}
}

func (u *unread) Write(b []byte) (int, error) {
	if u.takes > 0 {
		u.takes--
		return len(b), nil
	}
	u.once.Do(func() { close(u.reached) })
	<-u.released
	return 0, os.NewSyscallError("write", syscall.EPIPE)
}

// Streams work by turns. One whose client takes nothing does not keep its turn.
func TestStreamsKeepNoSlotForASlowClient(t *testing.T) {
	s := newServer(t, setup{})
	s.acquire(t, "a")
	var stalled []*unread
	var all sync.WaitGroup
	for range s.streams.Slots() {
		for path, takes := range map[string]int{"/v1/audit": 1, "/v1/audit?format=csv&follow=1": 1, "/v1/events": 0} {
			u := newUnread(takes) // the opening line, and then no more
			stalled = append(stalled, u)
			all.Go(func() { serve(s, u, newRequest("GET "+path, []option{header("Last-Event-ID", "0")}).http()) })
		}
	}
	answered := make(chan struct{})
	go func() {
		defer close(answered)
		for _, u := range stalled {
			<-u.reached
		}
		s.do(t, "GET /v1/audit").want(200)
	}()
	select {
	case <-answered:
	case <-time.After(5 * time.Second):
		t.Error("streams wait for one whose client takes nothing")
	}
	for _, u := range stalled {
		close(u.released)
	}
	all.Wait()
	<-answered
	if s.streams.Working() != 0 || s.exports.InUse() != 0 {
		t.Errorf("%d turns and %d seats are still taken", s.streams.Working(), s.exports.InUse())
	}
}

// A client that hangs up is nothing to look into.
func TestStreamsThatAreHungUpAreNoErrors(t *testing.T) {
	for _, path := range []string{"/v1/audit", "/v1/audit?format=csv", "/v1/audit?follow=1", "/v1/events"} {
		for _, packed := range []string{"", "gzip"} {
			var log bytes.Buffer
			s := newServer(t, setup{log: slog.NewTextHandler(&log, nil)})
			s.acquire(t, "a")
			u := newUnread(0)
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
