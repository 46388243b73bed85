package transport

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/octostore/octostore/transport/api"
)

// follows opens a live stream over a connection, as an account.
func (s *server) follows(t *testing.T, addr, query string, as func(http.Header)) *watched {
	t.Helper()
	h := http.Header{}
	as(h)
	return watch(t, "http://"+addr+"/v1/live"+query, "Authorization", h.Get("Authorization"))
}

// headerOf is the header that an option sets.
func headerOf(o option) func(http.Header) {
	return func(h http.Header) {
		r := request{header: h}
		o(&r)
	}
}

// Names of locks that the account may not read appear nowhere, also where others share the view.
func TestLiveShowsOnlyWhatMayBeRead(t *testing.T) { byBothDoors(t, testLiveShowsOnlyWhatMayBeRead) }

func testLiveShowsOnlyWhatMayBeRead(t *testing.T) {
	s, alice, bob := teams(t)
	addr := listening(t, s).String()
	s.do(t, "POST /v1/locks/team-a/secret/acquire?holder=alices-job", alice).want(200)
	s.do(t, "POST /v1/locks/team-b/open/acquire?holder=bobs-job", bob).want(200)
	s.do(t, "GET /v1/live?show=lock&name=team-a/secret", bob).want(403, api.CodeForbidden)
	s.do(t, "GET /v1/live?show=policies", bob).want(403, api.CodeForbidden)
	s.do(t, "GET /v1/live?show=server", bob).want(403, api.CodeForbidden)
	of := s.follows(t, addr, "?show=locks", headerOf(alice))
	w := s.follows(t, addr, "?show=locks,activity", headerOf(bob))
	for range 2 {
		e, ok := w.next()
		if !ok || strings.Contains(e.data, "secret") || strings.Contains(e.data, "alice") {
			t.Errorf("bob is shown %+v", e)
		}
	}
	of.wantLocks("team-a/secret:0 team-a/x:0")
}

func TestActivityNamesOnlyWhatMayBeRead(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, alice, bob := teams(t)
		s.do(t, "POST /v1/locks/team-a/secret/acquire?holder=alices-job&ttl=1h", alice).want(200)
		s.do(t, "POST /v1/locks/team-b/open/acquire?holder=bobs-job&ttl=1h", bob).want(200)
		for _, w := range []struct {
			line string
			as   option
		}{{"POST /v1/locks/team-a/secret/acquire?wait=1m", alice}, {"POST /v1/locks/team-b/open/acquire?wait=1m", bob}} {
			go s.do(t, w.line, w.as)
		}
		time.Sleep(15 * time.Second)
		synctest.Wait()
		for who, want := range map[string]string{"alice": "team-a/", "bob": "team-b/"} {
			as := map[string]option{"alice": alice, "bob": bob}[who]
			a := decode[api.Activity](s.do(t, "GET /v1/activity", as).want(200))
			if len(a.Busiest) != 2 || !strings.HasPrefix(a.Busiest[0].Name, want) || !strings.HasPrefix(a.Busiest[1].Name, want) ||
				len(a.Longest) != 1 || !strings.HasPrefix(a.Longest[0].Name, want) {
				t.Errorf("%s is shown %+v and %+v", who, a.Busiest, a.Longest)
			}
			if n := len(a.Buckets); n == 0 || a.Buckets[n-1].Held != 4 || a.Buckets[n-1].Waiters != 2 {
				t.Errorf("%s: the numbers are of all locks: %+v", who, a.Buckets)
			}
		}
		time.Sleep(time.Minute) // the waits are over
	})
}

func TestLiveEndsWithItsToken(t *testing.T) { byBothDoors(t, testLiveEndsWithItsToken) }

func testLiveEndsWithItsToken(t *testing.T) {
	s := newServer(t, setup{})
	admin := s.as(t, "root", "admin")
	token, eve := s.token(t, "eve", "read:**")
	w := s.follows(t, listening(t, s).String(), "", headerOf(eve))
	w.wantLocks("")
	s.do(t, "DELETE /v1/tokens/"+token.ID, admin).want(200)
	for {
		if _, ok := w.next(); !ok {
			break
		}
	}
	if errors.Is(w.in.Err(), context.DeadlineExceeded) {
		t.Error("the stream went on for a minute")
	}
}

// The end of a stream when the server stops is one in good order, and comes at once.
func TestLiveEndsWithTheServer(t *testing.T) { byBothDoors(t, testLiveEndsWithTheServer) }

func testLiveEndsWithTheServer(t *testing.T) {
	s := newServer(t, setup{})
	w := watch(t, "http://"+listening(t, s).String()+"/v1/live")
	w.wantLocks("")
	s.table.Drain()
	if e, ok := w.next(); ok || w.in.Err() != nil {
		t.Errorf("after the drain came %+v, %v", e, w.in.Err())
	}
	if n := s.hub.Feeds(); n != 0 {
		t.Errorf("%d feeds are left", n)
	}
}

func TestLiveCountsAsAWatch(t *testing.T) { byBothDoors(t, testLiveCountsAsAWatch) }

func testLiveCountsAsAWatch(t *testing.T) {
	s := newServer(t, setup{watches: 1})
	w := watch(t, "http://"+listening(t, s).String()+"/v1/live")
	w.wantLocks("")
	s.do(t, "GET /v1/live").want(429, api.CodeTooManyReaders)
}

// After a lost connection only the steps come that the client has not got.
func TestLiveActivityGoesOnAfterTheLastEvent(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newServer(t, setup{})
		time.Sleep(35 * time.Second)
		all := liveFor(t, s, 16*time.Second)
		first := all[0]
		if !strings.HasPrefix(first, "id: ") || strings.Count(first, `"at"`) != 3 {
			t.Fatalf("the first event is %s", first)
		}
		if len(all) != 3 || strings.Count(all[1], `"at"`) != 1 || strings.Count(all[2], `"at"`) != 1 {
			t.Errorf("the next events have other than one step each: %q", all[1:])
		}
		id, _, _ := strings.Cut(strings.TrimPrefix(first, "id: "), "\n")
		again := liveFor(t, s, time.Second, header("Last-Event-ID", id))
		if len(again) != 1 || strings.Count(again[0], `"at"`) != 2 {
			t.Errorf("after %s come %q; want the two steps since", id, again)
		}
		if late := liveFor(t, s, time.Second, header("Last-Event-ID", "2999-01-01T00:00:00Z")); strings.Count(late[0], `"at"`) != 5 {
			t.Errorf("after an id of the future, which a clock that was set back leaves, comes %q; want all", late[0])
		}
	})
}

// liveFor returns the events of the activity in that time.
func liveFor(t *testing.T, s *server, d time.Duration, with ...option) []string {
	ctx, cancel := context.WithTimeout(t.Context(), d)
	defer cancel()
	rec := newRecorded()
	serve(s, rec, newRequest("GET /v1/live?show=activity", append(with, during(ctx))).http())
	return strings.Split(strings.TrimSuffix(rec.Body.String(), "\n\n"), "\n\n")
}

// A client that does not read costs others nothing, and its stream ends.
func TestLiveOfManySlowClients(t *testing.T) { byBothDoors(t, testLiveOfManySlowClients) }

func testLiveOfManySlowClients(t *testing.T) {
	s := newServer(t, setup{})
	addr := listening(t, s)
	for i := range 100 {
		s.acquire(t, fmt.Sprintf("deploy/%03d", i))
	}
	for range 20 {
		w := dial(t, s, addr)
		w.raw("GET /v1/live HTTP/1.1\r\nHost: localhost\r\n\r\n")
	}
	w := watch(t, "http://"+addr.String()+"/v1/live?prefix=z")
	w.wantLocks("")
	for i := range 10 {
		s.acquire(t, fmt.Sprintf("z/%02d", i))
		if i%5 == 4 {
			w.wantUntil(t, fmt.Sprintf("z/%02d", i))
		}
	}
}

// wantUntil reads views of locks until one has a lock.
func (w *watched) wantUntil(t *testing.T, name string) {
	t.Helper()
	for {
		e, ok := w.next()
		if !ok {
			t.Fatalf("the stream ended before %s", name)
		}
		if strings.Contains(e.data, name) {
			return
		}
	}
}

// Prefixes may have all the characters of names, and those that mean something in a query are
// encoded.
func TestLivePrefixesMayHaveSpecialCharacters(t *testing.T) {
	byBothDoors(t, testLivePrefixesMayHaveSpecialCharacters)
}

func testLivePrefixesMayHaveSpecialCharacters(t *testing.T) {
	s := newServer(t, setup{})
	s.acquire(t, "a+b:c@d~e/f")
	s.acquire(t, "a+c")
	w := watch(t, "http://"+listening(t, s).String()+"/v1/live?prefix=a%2Bb:c@d~")
	w.wantLocks("a+b:c@d~e/f:0")
}
