package transport

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/octostore/octostore/transport/api"
)

// wantView reads the next event, which has to be of that kind, and decodes its data.
func wantView[T any](w *watched, kind string) (view T, id string) {
	w.t.Helper()
	e, ok := w.next()
	if !ok || e.kind != kind {
		w.t.Fatalf("got %+v (%v), want %s", e, w.in.Err(), kind)
	}
	if err := json.Unmarshal([]byte(e.data), &view); err != nil {
		w.t.Fatal(err)
	}
	return view, e.id
}

// namesIn are the names of a list, with the number of waiters of each.
func namesIn(list api.List) string {
	var names []string
	for _, l := range list.Locks {
		names = append(names, fmt.Sprintf("%s:%d", l.Name, l.WaitersTotal))
	}
	return strings.Join(names, " ")
}

// wantLocks reads views of locks until one is as wanted.
func (w *watched) wantLocks(want string) {
	w.t.Helper()
	giveUp := time.Now().Add(20 * time.Second)
	for {
		list, _ := wantView[api.List](w, "locks")
		if namesIn(list) == want {
			return
		}
		if time.Now().After(giveUp) {
			w.t.Fatalf("the locks are %s, want %s", namesIn(list), want)
		}
	}
}

func TestLiveShowsLocksAsTheyChange(t *testing.T) { byBothDoors(t, testLiveShowsLocksAsTheyChange) }

func testLiveShowsLocksAsTheyChange(t *testing.T) {
	s := newServer(t, setup{})
	s.acquire(t, "deploy/a")
	s.acquire(t, "other")
	url := "http://" + listening(t, s).String() + "/v1/live"
	all, some := watch(t, url), watch(t, url+"?prefix=deploy/&limit=2")
	all.wantLocks("deploy/a:0 other:0")
	some.wantLocks("deploy/a:0")
	waited := watch(t, url+"?sort=wait&show=locks")
	waited.wantLocks("")
	wait := s.waiter(t, "deploy/a")
	defer wait()
	all.wantLocks("deploy/a:1 other:0")
	some.wantLocks("deploy/a:1")
	waited.wantLocks("deploy/a:1")
	s.acquire(t, "deploy/b")
	some.wantLocks("deploy/a:1 deploy/b:0")
}

// A stream says at once that there is nothing, also on a server that has never had a lock.
func TestLiveShowsAnEmptyServer(t *testing.T) { byBothDoors(t, testLiveShowsAnEmptyServer) }

func testLiveShowsAnEmptyServer(t *testing.T) {
	url := "http://" + listening(t, newServer(t, setup{})).String() + "/v1/live"
	watch(t, url).wantLocks("")
	if l, _ := wantView[api.Lock](watch(t, url+"?name=a"), "lock"); l.Name != "a" || l.State != api.Free {
		t.Errorf("got %+v", l)
	}
}

// waiter begins to wait for a lock, until leave is called.
func (s *server) waiter(t *testing.T, name string) (leave func()) {
	t.Helper()
	before := s.table.Get("deploy/a").Waiters
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan struct{})
	go func() {
		defer close(done)
		s.do(t, "POST /v1/locks/"+name+"/acquire?wait=1m", during(ctx))
	}()
	for s.table.Get("deploy/a").Waiters == before {
		time.Sleep(time.Millisecond)
	}
	return func() { cancel(); <-done }
}

// The JSON of a view is that of the route for it.
func TestLiveShowsWhatTheRoutesGive(t *testing.T) { byBothDoors(t, testLiveShowsWhatTheRoutesGive) }

func testLiveShowsWhatTheRoutesGive(t *testing.T) {
	s := newServer(t, setup{})
	s.acquire(t, "a")
	url := "http://" + listening(t, s).String() + "/v1/live"
	w := watch(t, url+"?show=lock,activity,policies,locks,server&name=a")
	seen := map[string]string{}
	for len(seen) < 5 {
		e, ok := w.next()
		if !ok {
			t.Fatal("the stream ended")
		}
		seen[e.kind] = e.data
	}
	for kind, path := range map[string]string{"lock": "/v1/locks/a", "locks": "/v1/locks", "activity": "/v1/activity", "policies": "/v1/policies"} {
		var live, got any
		if err := json.Unmarshal([]byte(seen[kind]), &live); err != nil {
			t.Fatal(err)
		}
		if err := json.Unmarshal(s.do(t, "GET "+path).want(200).body, &got); err != nil {
			t.Fatal(err)
		}
		if a, b := withoutMember(live, "expires_in_ms"), withoutMember(got, "expires_in_ms"); a != b {
			t.Errorf("%s: the stream has\n%s\nand the route\n%s", kind, a, b)
		}
	}
}

// withoutMember writes JSON without the members of a name, at any depth.
func withoutMember(v any, name string) string {
	var drop func(any)
	drop = func(v any) {
		switch v := v.(type) {
		case map[string]any:
			delete(v, name)
			for _, of := range v {
				drop(of)
			}
		case []any:
			for _, of := range v {
				drop(of)
			}
		}
	}
	drop(v)
	b, _ := json.Marshal(v)
	return string(b)
}

func TestLiveShowsALockWithUpToAHundredWaiters(t *testing.T) {
	byBothDoors(t, testLiveShowsALockWithUpToAHundredWaiters)
}

func testLiveShowsALockWithUpToAHundredWaiters(t *testing.T) {
	s := newServer(t, setup{})
	s.acquire(t, "deploy/a")
	w := watch(t, "http://"+listening(t, s).String()+"/v1/live?name=deploy/a")
	if l, _ := wantView[api.Lock](w, "lock"); l.State != api.Held || l.WaitersTotal != 0 {
		t.Errorf("%+v", l)
	}
	for range 20 {
		defer s.waiter(t, "deploy/a")()
	}
	for {
		l, _ := wantView[api.Lock](w, "lock")
		if l.WaitersTotal < 20 {
			continue
		}
		if len(l.Waiters) != 20 || l.WaitingSince == nil {
			t.Errorf("of 20 waiters %d are shown, since %v", len(l.Waiters), l.WaitingSince)
		}
		return
	}
}

func TestLiveRefusesWhatMakesNoSense(t *testing.T) {
	s := newServer(t, setup{})
	for query, field := range map[string]string{
		"show=locks,nothing":             "show",
		"show=locks,locks":               "show",
		"show=lock":                      "name",
		"show=locks&name=a":              "show",
		"show=activity&prefix=a":         "show",
		"sort=age":                       "sort",
		"sort=wait&after=a":              "after",
		"limit=1001":                     "limit",
		"show=lock&name=a&sort=waiters":  "show",
		"show=lock,locks&name=..":        "name",
		"show=locks&prefix=a%20b":        "prefix",
		"show=activity&waiters=3&name=a": "waiters",
	} {
		s.do(t, "GET /v1/live?"+query, onPurpose).wantInvalid(field)
	}
	s.do(t, "GET /v1/live", header("Last-Event-ID", "yesterday"), onPurpose).wantInvalid("Last-Event-ID")
	s.do(t, "GET /v1/locks?sort=age", onPurpose).wantInvalid("sort")
	s.do(t, "GET /v1/locks?sort=wait&after=a", onPurpose).wantInvalid("after")
	s.do(t, "GET /v1/locks?sort=wait&name=a", onPurpose).wantInvalid("name")
}

func TestListingsAreSortedByWaiting(t *testing.T) {
	s := newServer(t, setup{})
	s.acquire(t, "deploy/a")
	s.acquire(t, "b")
	defer s.waiter(t, "deploy/a")()
	for query, want := range map[string]string{"": "b:0 deploy/a:1", "?sort=name": "b:0 deploy/a:1", "?sort=waiters": "deploy/a:1", "?sort=wait&prefix=b": ""} {
		list := decode[api.List](s.do(t, "GET /v1/locks"+query).want(200))
		if got := namesIn(list); got != want {
			t.Errorf("%s: %s, want %s", query, got, want)
		}
	}
}
