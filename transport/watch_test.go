package transport

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/octostore/octostore/core/journal/record"
	"github.com/octostore/octostore/core/lock"
	"github.com/octostore/octostore/transport/api"
)

func newRecorded() *httptest.ResponseRecorder { return httptest.NewRecorder() }

// scanner reads lines that are still to come.
type scanner struct{ *bufio.Scanner }

func lineScanner(r io.Reader) scanner {
	s := bufio.NewScanner(r)
	s.Buffer(nil, 1<<20)
	return scanner{s}
}

// want reads the next line, which has to contain the text.
func (s scanner) want(t *testing.T, text string) {
	t.Helper()
	if !s.Scan() || !strings.Contains(s.Text(), text) {
		t.Fatalf("the next line is %q (%v), want %s", s.Text(), s.Err(), text)
	}
}

// watched is a watch under way.
type watched struct {
	t    *testing.T
	in   scanner
	stop func()
}

func watch(t *testing.T, url string, headers ...string) *watched {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	req, err := http.NewRequestWithContext(ctx, "GET", url, nil)
	if err != nil {
		t.Fatal(err)
	}
	for i := 0; i < len(headers); i += 2 {
		req.Header.Set(headers[i], headers[i+1])
	}
	resp, err := http.DefaultTransport.RoundTrip(req)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { cancel(); resp.Body.Close() })
	if got := resp.Header.Get("Content-Type"); resp.StatusCode != 200 || got != "text/event-stream" {
		t.Fatalf("%s, %s", resp.Status, got)
	}
	return &watched{t: t, in: lineScanner(resp.Body), stop: cancel}
}

// event is one server-sent event.
type event struct{ id, kind, data string }

// next returns the next event, or false at the end of the stream. A block that has
// only an id is a heartbeat and has no kind.
func (w *watched) next() (e event, ok bool) {
	for w.in.Scan() {
		name, value, _ := strings.Cut(w.in.Text(), ":")
		value = strings.TrimPrefix(value, " ")
		switch {
		case w.in.Text() == "":
			return e, true
		case name == "id":
			e.id = value
		case name == "event":
			e.kind = value
		case name == "data":
			e.data = value
		}
	}
	return e, false
}

// want reads the next event that is one.
func (w *watched) want(kind, name string) event {
	w.t.Helper()
	for {
		e, ok := w.next()
		if !ok {
			w.t.Fatalf("the stream ended (%v), want %s %s", w.in.Err(), kind, name)
		}
		if e.kind == "" {
			continue
		}
		var r record.Record
		if err := json.Unmarshal([]byte(e.data), &r); err != nil {
			w.t.Fatal(err)
		}
		if e.kind != kind || string(r.Name) != name || kind != "gap" && e.id != fmt.Sprint(r.Seq) {
			w.t.Fatalf("got %+v, want %s %s", e, kind, name)
		}
		return e
	}
}

func TestWatchOfLocks(t *testing.T) { byBothDoors(t, testWatchOfLocks) }

func testWatchOfLocks(t *testing.T) {
	s := newServer(t, setup{})
	url := "http://" + listening(t, s).String() + "/v1/events"
	s.acquire(t, "before")
	all, some := watch(t, url), watch(t, url+"?prefix=deploy/")
	for _, w := range []*watched{all, some} {
		if e, ok := w.next(); !ok || e.kind != "" || e.id == "" {
			t.Fatalf("it begins with %+v, want its place", e)
		}
	}
	grant := s.acquire(t, "deploy/prod")
	s.acquire(t, "cron")
	s.do(t, "POST /v1/locks/deploy/prod/release", header(api.HeaderLease, grant.LeaseID)).want(200)
	all.want("granted", "deploy/prod")
	last := all.want("granted", "cron")
	all.want("released", "deploy/prod")
	some.want("granted", "deploy/prod")
	some.want("released", "deploy/prod")

	// A client that comes back goes on with its cursor.
	back := watch(t, url, "Last-Event-ID", last.id)
	back.want("released", "deploy/prod")

	// All watches end when the server begins to stop.
	s.table.Drain()
	for _, w := range []*watched{all, some, back} {
		if e, ok := w.next(); ok && e.kind != "" {
			t.Errorf("got %+v, want the end", e)
		}
		if w.in.Err() != nil {
			t.Errorf("the stream broke off: %v", w.in.Err())
		}
	}
}

func TestWatchTellsOfAGap(t *testing.T) { byBothDoors(t, testWatchTellsOfAGap) }

func testWatchTellsOfAGap(t *testing.T) {
	s := newServer(t, setup{})
	url := "http://" + listening(t, s).String() + "/v1/events"
	first := s.acquire(t, "a")
	second := s.acquire(t, "b")
	s.acquire(t, "c")
	if err := s.log.Prune(t.Context(), lock.Head{Seq: lock.Seq(second.FencingToken)}); err != nil {
		t.Fatal(err)
	}
	w := watch(t, url, "Last-Event-ID", fmt.Sprint(first.FencingToken))
	if e := w.want("gap", ""); e.id != fmt.Sprint(second.FencingToken) {
		t.Errorf("the gap has the id %s", e.id)
	}
	w.want("granted", "c")
}

// A thousand clients that watch and do not read slow no commit, and a client that
// reads late misses nothing.
func TestWatchOfManySlowClients(t *testing.T) { byBothDoors(t, testWatchOfManySlowClients) }

func testWatchOfManySlowClients(t *testing.T) {
	const events = 1000
	watchers := 1000
	if testing.Short() {
		watchers = 100
	}
	s := newServer(t, setup{})
	addr := listening(t, s)
	url := "http://" + addr.String() + "/v1/events"
	late := watch(t, url)
	late.next()
	idle := time.Duration(0)
	for _, crowd := range []bool{false, true} {
		if crowd {
			for range watchers {
				w := dial(t, s, addr)
				if err := w.conn.(*net.TCPConn).SetReadBuffer(4 << 10); err != nil {
					t.Fatal(err)
				}
				w.raw("GET /v1/events HTTP/1.1\r\nHost: localhost\r\n\r\n")
			}
		}
		begun := time.Now()
		for i := range events {
			rec := newRecorded()
			if serve(s, rec, newRequest(fmt.Sprintf("POST /v1/locks/w/%t/%d/acquire", crowd, i), nil).http()) || rec.Code != 200 {
				t.Fatalf("%d %s", rec.Code, rec.Body)
			}
		}
		took := time.Since(begun)
		t.Logf("%d acquires took %s, with a crowd: %t", events, took, crowd)
		if !crowd {
			idle = took
		}
		if most := 20*idle + 5*time.Second; crowd && took > most {
			t.Errorf("%d acquires took %s with %d watchers, and %s without", events, took, watchers, idle)
		}
	}
	for _, crowd := range []bool{false, true} {
		for i := range events {
			late.want("granted", fmt.Sprintf("w/%t/%d", crowd, i))
		}
	}
}

// A watch on which nothing happens says something every fifteen seconds, with its place.
func TestWatchHasAHeartbeat(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newServer(t, setup{})
		ctx, cancel := context.WithTimeout(t.Context(), 50*time.Second)
		defer cancel()
		rec := newRecorded()
		r := newRequest("GET /v1/events?prefix=deploy/", []option{during(ctx)})
		go func() {
			time.Sleep(20 * time.Second)
			s.acquire(t, "other") // is not for this client, but moves its place
		}()
		serve(s, rec, r.http())
		beats := strings.Split(strings.TrimSuffix(rec.Body.String(), "\n\n"), "\n\n")
		if len(beats) != 4 || beats[0] != beats[1] || beats[1] == beats[2] || !strings.HasPrefix(beats[3], ":\nid: ") {
			t.Errorf("got %q", beats)
		}
	})
}
