package transport

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/octostore/octostore/core/journal"
	"github.com/octostore/octostore/core/lock"
	"github.com/octostore/octostore/core/store/memory"
	"github.com/octostore/octostore/core/table"
	"github.com/octostore/octostore/transport/api"
)

// term is the ownership of a lock table, which is lost when it is asked for the nth time.
type term struct {
	journal.Store
	commits atomic.Int64
	ends    atomic.Bool
	left    atomic.Int64
}

func (o *term) Commit(ctx context.Context, b *lock.Batch) error {
	o.commits.Add(1)
	return o.Store.Commit(ctx, b)
}

func (o *term) owns() bool { return !o.ends.Load() || o.left.Add(-1) >= 0 }

// endAfter has the ownership end after n more answers to the question for it.
func (o *term) endAfter(n int) {
	o.left.Store(int64(n))
	o.ends.Store(true)
}

// newTerm returns a server of a table that can be lost.
func newTerm(t testing.TB, with setup) (*server, *term) {
	t.Helper()
	o := &term{Store: memory.New()}
	with.store, with.lock.Owns = o, o.owns
	return newServer(t, with), o
}

// Whenever the ownership is lost, before, while or after a request is decided, its answer is true:
// it moved and nothing was done, or its outcome is unknown, or it is an answer of the owner.
func TestMovedOrUnknownOnceTheTermIsLost(t *testing.T) {
	key := header(api.HeaderKey, "0123456789abcdef0123456789abcdef")
	for _, line := range []string{
		"POST /v1/locks/free/acquire",
		"POST /v1/locks/free/acquire keyed",
		"POST /v1/locks/keyed/acquire keyed", // a repeat
		"POST /v1/locks/held/acquire",
		"POST /v1/locks/held/renew lease",
		"POST /v1/locks/free/renew lease", // not held
		"POST /v1/locks/held/release lease",
		"POST /v1/locks/over/release over", // a repeat
		"POST /v1/locks/held/break?reason=stuck",
		"POST /v1/locks/held/break?reason=stuck&take=1",
		"POST /v1/locks/free/break?reason=stuck",
		"GET /v1/locks/held",
		"GET /v1/locks/free",
		"GET /v1/locks/held?waiters=10",
		"GET /v1/locks",
		"GET /v1/locks?name=held",
		"GET /v1/activity",
		"GET /v1/audit",
		"GET /v1/audit/state",
		"GET /v1/whoami",
		"GET /v1/server",
		"GET /v1/policies",
		"GET /v1/tokens",
		"GET /v1/live?show=lock&name=no/../name",
		"POST /v1/tokens?account=a&scopes=admin:**",
		"POST /v1/drain?reason=upgrade",
	} {
		t.Run(line, func(t *testing.T) {
			lost := 0
			for n := 0; ; n++ {
				if n > 20 {
					t.Fatal("no answer, however often the term was owned")
				}
				s, o := newTerm(t, setup{})
				held := s.acquire(t, "held")
				over := s.acquire(t, "over")
				s.do(t, "POST /v1/locks/keyed/acquire", key).want(200)
				s.do(t, "POST /v1/locks/over/release", header(api.HeaderLease, over.LeaseID)).want(200)
				asked, how, _ := strings.Cut(line, " ")
				target, how, _ := strings.Cut(how, " ")
				options := map[string][]option{
					"": {onPurpose}, "keyed": {key},
					"lease": {header(api.HeaderLease, held.LeaseID)}, "over": {header(api.HeaderLease, over.LeaseID)},
				}[how]
				before := o.commits.Load()
				o.endAfter(n)
				a := s.do(t, asked+" "+target, options...)
				switch changed := o.commits.Load() > before; {
				case a.status != http.StatusServiceUnavailable && lost == 0:
					t.Fatalf("answered %d after the term was lost: %s", a.status, a.body)
				case a.status != http.StatusServiceUnavailable:
					return
				case a.header.Get("Retry-After") != "1" || strings.Contains(string(a.body), "lease_id\""):
					t.Errorf("lost at question %d: %v %s", n, a.header, a.body)
				case changed && a.problem().Code != api.CodeOutcomeUnknown:
					t.Errorf("lost at question %d, after the commit: %s", n, a.body)
				case asked == "GET" && a.problem().Code != api.CodeMoved, n == 0 && a.problem().Code != api.CodeMoved:
					t.Errorf("lost at question %d: %s", n, a.body)
				}
				lost++
			}
		})
	}
}

// What says nothing of the lock table is answered by any node, also when its table has ended. A node
// that has lost its term has not failed: no probe is to restart it.
func TestMovedTableLeavesProbesAndPages(t *testing.T) {
	s, o := newTerm(t, setup{cluster: &nodes{}})
	check := func() {
		for _, line := range []string{"GET /healthz", "GET /metrics", "GET /openapi.yaml", "GET /", "GET /docs"} {
			s.do(t, line).want(200)
		}
		if got := s.do(t, "GET /readyz").want(503); !strings.Contains(string(got.body), `"moved"`) {
			t.Errorf("it is ready: %s", got.body)
		}
		s.do(t, "GET /v1/locks/a").want(503, api.CodeMoved)
	}
	o.endAfter(0)
	check()
	s.do(t, "POST /v1/locks/a/acquire").want(503, api.CodeMoved)
	<-s.table.Done()
	check()
}

// A waiter of a table that is deposed is told where to ask: here, in a moment.
func TestMovedTableSendsWaitersAway(t *testing.T) { byBothDoors(t, testMovedTableSendsWaitersAway) }

func testMovedTableSendsWaitersAway(t *testing.T) {
	for name, leave := range map[string]func(*table.Table){"deposed": (*table.Table).Depose, "handed over": (*table.Table).Move} {
		t.Run(name, func(t *testing.T) {
			s, _ := newTerm(t, setup{})
			addr := listening(t, s).String()
			s.acquire(t, "a")
			answers := make(chan *http.Response, 3)
			for range 3 {
				go func() {
					r, err := http.Post("http://"+addr+"/v1/locks/a/acquire?wait=1m", "", nil)
					if err != nil {
						t.Error(err)
					}
					answers <- r
				}()
			}
			for s.table.Stats().Waiters < 3 {
				time.Sleep(time.Millisecond)
			}
			leave(s.table)
			for range 3 {
				r := <-answers
				if r == nil || r.StatusCode != 503 || r.Header.Get("Retry-After") != "1" {
					t.Fatalf("the waiter is answered %+v", r)
				}
				var p api.Problem
				if err := json.NewDecoder(r.Body).Decode(&p); err != nil || p.Code != api.CodeMoved {
					t.Errorf("the waiter is answered %+v, %v", p, err)
				}
				r.Body.Close()
			}
			s.do(t, "POST /v1/locks/b/acquire").want(503, api.CodeMoved)
		})
	}
}

// Streams end with the term.
func TestMovedTableEndsStreams(t *testing.T) { byBothDoors(t, testMovedTableEndsStreams) }

func testMovedTableEndsStreams(t *testing.T) {
	s, _ := newTerm(t, setup{})
	addr := listening(t, s).String()
	s.acquire(t, "a")
	locks := watch(t, "http://"+addr+"/v1/live?show=locks")
	locks.wantLocks("a:0")
	events := watch(t, "http://"+addr+"/v1/events")
	s.table.Depose()
	for _, w := range []*watched{locks, events} {
		for _, more := w.next(); more; _, more = w.next() {
		}
	}
	s.do(t, "GET /v1/events").want(503, api.CodeMoved)
	s.do(t, "GET /v1/live").want(503, api.CodeMoved)
	s.do(t, "GET /v1/audit?follow=1").want(503, api.CodeMoved)
}

// A stream that has begun sends nothing that may be untrue, though it was not told to end.
func TestMovedTableShowsNothingStale(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, o := newTerm(t, setup{})
		s.acquire(t, "a")
		ctx, leave := context.WithCancel(t.Context())
		defer leave()
		stream := make(chan answer, 1)
		go func() { stream <- s.do(t, "GET /v1/live", during(ctx)) }()
		time.Sleep(time.Second)
		o.endAfter(0)
		time.Sleep(heartbeat)
		synctest.Wait()
		select {
		case a := <-stream:
			if !a.cut {
				t.Errorf("the stream went on: %s", a.body)
			}
		default:
			t.Error("the stream goes on")
		}
	})
}

// What refuses a request at the end of a term is named after the end, also where the journal says
// that it is closed.
func TestMovedJournalIsNotAStop(t *testing.T) {
	s, _ := newTerm(t, setup{})
	s.table.Move()
	x := &exchange{api: s.API, route: &route{method: http.MethodGet}}
	for _, err := range []error{journal.ErrClosed, lock.ErrClosed, lock.ErrDraining, fmt.Errorf("read: %w", journal.ErrClosed)} {
		if p := x.problemOf(err); p.Code != api.CodeMoved {
			t.Errorf("%v is answered %s", err, p.Code)
		}
	}
}
