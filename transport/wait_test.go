package transport

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"testing"
	"testing/synctest"
	"time"

	"github.com/octostore/octostore/core"
	"github.com/octostore/octostore/core/journal"
	"github.com/octostore/octostore/core/lock"
	"github.com/octostore/octostore/core/store/memory"
	"github.com/octostore/octostore/core/table"
	"github.com/octostore/octostore/transport/api"
)

func TestWaitEndsToTheInstant(t *testing.T) {
	for _, test := range []struct {
		name   string
		query  string
		header []option
		want   time.Duration
	}{
		{"no wait at all", "", nil, 0},
		{"a wait of nothing", "?wait=0", nil, 0},
		{"a duration", "?wait=30s", nil, 30 * time.Second},
		{"seconds", "?wait=30", nil, 30 * time.Second},
		{"seconds with decimals", "?wait=1.5", nil, 1500 * time.Millisecond},
		{"a preference", "", []option{header("Prefer", "respond-async, wait=30")}, 30 * time.Second},
		{"a preference on a second line", "", []option{header("Prefer", "respond-async"), header("Prefer", `WAIT = "30"; x=y`)}, 30 * time.Second},
		{"the parameter goes before the preference", "?wait=10s", []option{header("Prefer", "wait=30")}, 10 * time.Second},
		{"even when it is nothing", "?wait=0s", []option{header("Prefer", "wait=30")}, 0},
		{"a preference that cannot be read is ignored", "", []option{header("Prefer", "wait=soon")}, 0},
		{"more than the server's maximum", "?wait=24h", nil, 10 * time.Minute},
	} {
		t.Run(test.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := newServer(t, setup{})
				s.do(t, "POST /v1/locks/a/acquire?ttl=1h").want(200)
				began := time.Now()
				p := s.do(t, "POST /v1/locks/a/acquire"+test.query, test.header...).want(409, api.CodeHeld).problem()
				if took := time.Since(began); took != test.want {
					t.Errorf("answered after %s, want %s", took, test.want)
				}
				if p.WaitedMS != test.want.Milliseconds() {
					t.Errorf("waited_ms is %d, want %d", p.WaitedMS, test.want.Milliseconds())
				}
			})
		})
	}
}

func TestGrantSaysWhichWaitApplied(t *testing.T) {
	s := newServer(t, setup{core: core.Config{MaxWait: time.Minute}})
	for query, want := range map[string]int64{"": 0, "?wait=30s": 30_000, "?wait=2m": 60_000} {
		g := s.do(t, "POST /v1/locks/wait"+fmt.Sprint(want)+"/acquire"+query).grant()
		if g.WaitMS != want {
			t.Errorf("%q: wait_ms is %d, want %d", query, g.WaitMS, want)
		}
	}
}

// A client calculates its safe end from the instant at which it sent the request.
// However long it waited, that end is not after the end of the lease.
func TestGrantSafeEndIsNotAfterTheLease(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newServer(t, setup{})
		s.do(t, "POST /v1/locks/a/acquire?ttl=7500ms").want(200)
		sent := time.Now()
		g := s.do(t, "POST /v1/locks/a/acquire?wait=30s&ttl=20s").grant()
		if g.ServerMS != 7500 || g.WaitedMS != 7500 || g.ExpiresInMS != 20_000 {
			t.Errorf("server_ms %d, waited_ms %d, expires_in_ms %d", g.ServerMS, g.WaitedMS, g.ExpiresInMS)
		}
		safe := sent.Add(time.Duration(g.ServerMS+g.ExpiresInMS) * time.Millisecond)
		if safe.After(g.ExpiresAt) {
			t.Errorf("safe end %s is after the lease's, %s", safe, g.ExpiresAt)
		}
	})
}

// A client that leaves is answered with nothing at all, least of all with the empty
// 200 net/http makes of a handler that returns, and its place is free at once.
func TestWaitOfAClientThatLeftHasNoAnswer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newServer(t, setup{})
		holder := s.acquire(t, "a")
		ctx, leave := context.WithCancel(t.Context())
		left := make(chan answer)
		go func() { left <- s.do(t, "POST /v1/locks/a/acquire?wait=30s", during(ctx)) }()
		synctest.Wait()
		if n := s.do(t, "GET /v1/locks/a").lock().WaitersTotal; n != 1 {
			t.Fatalf("%d wait, want 1", n)
		}
		leave()
		if a := <-left; !a.cut {
			t.Errorf("answered %d %s", a.status, a.body)
		}
		if n := s.do(t, "GET /v1/locks/a").lock().WaitersTotal; n != 0 {
			t.Errorf("%d wait after it left", n)
		}
		s.do(t, "POST /v1/locks/a/release", header("Octostore-Lease", holder.LeaseID)).want(200)
		if state := s.do(t, "GET /v1/locks/a").lock().State; state != api.Free {
			t.Errorf("the lock is %s", state)
		}
	})
}

// deaf is a connection whose writes fail when they are flushed, which is when
// net/http tells of a client that has gone.
type deaf struct{ *httptest.ResponseRecorder }

func (deaf) FlushError() error { return errors.New("broken pipe") }

func TestGrantIsUndoneIfItCannotBeWritten(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newServer(t, setup{})
		r := newRequest("POST /v1/locks/a/acquire", nil)
		if cut := serve(s, deaf{httptest.NewRecorder()}, r.http()); !cut {
			t.Error("the connection was kept")
		}
		synctest.Wait()
		if state := s.do(t, "GET /v1/locks/a").lock().State; state != api.Free {
			t.Errorf("the lock is %s", state)
		}
	})
}

// With a key the client can ask again, so the grant is kept for a while.
func TestGrantWithAKeyIsKeptForAWhile(t *testing.T) {
	const key = "3f1c9d1e-8f0b-4f6a-9c51-0a6b2f6d3f5e"
	lose := func(t *testing.T, s *server) {
		r := newRequest("POST /v1/locks/a/acquire", []option{header("Idempotency-Key", key)})
		serve(s, deaf{httptest.NewRecorder()}, r.http())
		synctest.Wait()
	}
	t.Run("asked again", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			s := newServer(t, setup{})
			lose(t, s)
			time.Sleep(5 * time.Second)
			g := s.do(t, "POST /v1/locks/a/acquire", header("Idempotency-Key", key)).grant()
			time.Sleep(20 * time.Second)
			if l := s.do(t, "GET /v1/locks/a").lock(); l.Lease == nil || l.Lease.FencingToken != g.FencingToken {
				t.Errorf("the lease it asked for again is gone")
			}
		})
	})
	t.Run("not asked again", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			s := newServer(t, setup{})
			lose(t, s)
			time.Sleep(20 * time.Second)
			if state := s.do(t, "GET /v1/locks/a").lock().State; state != api.Free {
				t.Errorf("the lock is %s", state)
			}
		})
	})
}

// slowStore takes its time to commit, while the lease that is being granted is
// running already.
type slowStore struct {
	journal.Store
	takes time.Duration
}

func (s *slowStore) Commit(ctx context.Context, b *lock.Batch) error {
	time.Sleep(s.takes)
	return s.Store.Commit(ctx, b)
}

func TestGrantThatHasExpiredIsNotDelivered(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newServer(t, setup{store: &slowStore{memory.New(), 1500 * time.Millisecond}})
		a := s.do(t, "POST /v1/locks/a/acquire?ttl=1s").want(503, api.CodeTooLate)
		if a.header.Get("Retry-After") != "1" {
			t.Errorf("Retry-After is %q", a.header.Get("Retry-After"))
		}
	})
}

func TestCommitThatHangsIsAnswered(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newServer(t, setup{store: &slowStore{memory.New(), time.Minute}})
		began := time.Now()
		s.do(t, "POST /v1/locks/a/acquire?wait=5s&ttl=1h").want(503, api.CodeOutcomeUnknown)
		if took := time.Since(began); took != 7*time.Second {
			t.Errorf("answered after %s, want 7 s", took)
		}
		time.Sleep(5 * time.Minute)
		if state := s.do(t, "GET /v1/locks/a").lock().State; state != api.Free {
			t.Errorf("the grant that came later was not undone: the lock is %s", state)
		}
	})
}

// panicky is a ResponseWriter under which a handler panics after the grant.
type panicky struct{ *httptest.ResponseRecorder }

func (panicky) WriteHeader(status int) {
	if status == http.StatusOK {
		panic("boom")
	}
}

func TestPanicAfterTheGrantUndoesIt(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newServer(t, setup{})
		serve(s, panicky{httptest.NewRecorder()}, newRequest("POST /v1/locks/a/acquire", nil).http())
		synctest.Wait()
		if state := s.do(t, "GET /v1/locks/a").lock().State; state != api.Free {
			t.Errorf("the lock is %s", state)
		}
	})
}

// The client leaves in the very moment of the grant: after the commit, before the
// answer.
func TestGrantIsUndoneIfTheClientLeaves(t *testing.T) {
	for range 20 { // whether the loop or the handler is first is a matter of luck
		synctest.Test(t, func(t *testing.T) {
			ctx, leave := context.WithCancel(t.Context())
			s := newServer(t, setup{lock: table.Config{Published: leave}})
			if a := s.do(t, "POST /v1/locks/a/acquire", during(ctx)); !a.cut {
				t.Errorf("answered %d %s", a.status, a.body)
			}
			synctest.Wait()
			if state := s.do(t, "GET /v1/locks/a").lock().State; state != api.Free {
				t.Errorf("the lock is %s", state)
			}
		})
	}
}
