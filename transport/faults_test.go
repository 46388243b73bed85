package transport

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http/httptest"
	"strings"
	"sync/atomic"
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

// failingStore fails its commits with whatever is in err.
type failingStore struct {
	journal.Store
	err atomic.Pointer[error]
}

func (s *failingStore) fail(err error) { s.err.Store(&err) }

func (s *failingStore) Commit(ctx context.Context, b *lock.Batch) error {
	if err := s.err.Load(); err != nil && *err != nil {
		return *err
	}
	return s.Store.Commit(ctx, b)
}

func TestErrorsOfTheStore(t *testing.T) {
	for _, test := range []struct {
		name   string
		err    error
		status int
		code   api.Code
		health int
		ready  int
		level  string
	}{
		{"the disk is full", lock.ErrFull, 507, api.CodeStorageFull, 200, 200, "level=WARN"},
		{"another server owns the table", lock.ErrDeposed, 503, api.CodeMoved, 503, 503, ""},
		{"unknown error", errors.New("canary: /var/lib/secret.db: input/output error"), 503, api.CodeOutcomeUnknown, 503, 503, "level=WARN"},
	} {
		t.Run(test.name, func(t *testing.T) {
			var log bytes.Buffer
			store := &failingStore{Store: memory.New()}
			s := newServer(t, setup{store: store, log: slog.NewTextHandler(&log, nil)})
			store.fail(test.err)
			a := s.do(t, "POST /v1/locks/a/acquire").want(test.status, test.code)
			if strings.Contains(string(a.body), "canary") {
				t.Errorf("the answer shows the inside: %s", a.body)
			}
			s.do(t, "GET /healthz").want(test.health)
			s.do(t, "GET /readyz").want(test.ready)
			s.do(t, "GET /readyz?grants=1").want(503)
			if got := s.scrape(t)["octostore_granting"]; got != "0" {
				t.Errorf("octostore_granting is %q", got)
			}
			if got := strings.Count(log.String(), "request failed"); (got == 1) != (test.level != "") || !strings.Contains(log.String(), test.level) {
				t.Errorf("logged %d times:\n%s", got, log.String())
			}
		})
	}
}

// TestLogOfRefusalsIsOneLineAMinute has a full disk refuse thousands of requests, and a
// policy fail as often.
func TestLogOfRefusalsIsOneLineAMinute(t *testing.T) {
	for name, with := range map[string]setup{
		"full disk":     {store: &failingStore{Store: memory.New()}},
		"broken policy": {core: core.Config{Guard: refusing{&core.PolicyError{Policy: "p", Err: errors.New("trap")}}}},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				log := new(lines)
				with.log = slog.NewTextHandler(log, nil)
				s := newServer(t, with)
				if store, is := with.store.(*failingStore); is {
					store.fail(lock.ErrFull)
				}
				request := newRequest("POST /v1/locks/a/acquire", nil)
				for range 5485 {
					serve(s, httptest.NewRecorder(), request.http())
				}
				if n := strings.Count(log.String(), "request failed"); n != 1 {
					t.Errorf("%d lines at once, want 1", n)
				}
				time.Sleep(time.Minute)
				synctest.Wait()
				if n := strings.Count(log.String(), "request failed"); n != 2 || !strings.Contains(log.String(), "times=5484") {
					t.Errorf("%d lines in a minute, want 2:\n%.2000s", n, log.String())
				}
			})
		})
	}
}

// byName is a guard whose policies fail, one for each lock.
type byName struct{ refusing }

func (byName) Judge(_ context.Context, q core.Question) (core.Decision, error) {
	return core.Decision{}, &core.PolicyError{Policy: "of-" + string(q.Asked.Name), Err: errors.New("trap")}
}

// TestLogOfPolicyFaults has two policies fail: neither is hidden by the other.
func TestLogOfPolicyFaults(t *testing.T) {
	log := new(lines)
	s := newServer(t, setup{core: core.Config{Guard: byName{}}, log: slog.NewTextHandler(log, nil)})
	for range 3 {
		s.do(t, "POST /v1/locks/a/acquire").want(503, api.CodePolicyError)
		s.do(t, "POST /v1/locks/b/acquire").want(503, api.CodePolicyError)
	}
	for _, policy := range []string{"policy of-a ", "policy of-b "} {
		if n := strings.Count(log.String(), policy); n != 1 {
			t.Errorf("%d lines about %s, want 1:\n%s", n, policy, log)
		}
	}
}

// refusing is a guard with the same answer for every request.
type refusing struct{ err error }

func (refusing) Covers(core.Hook, lock.Name) bool { return true }
func (g refusing) Judge(context.Context, core.Question) (core.Decision, error) {
	return core.Decision{}, g.err
}

func TestPoliciesReasonIsPassedOn(t *testing.T) {
	s := newServer(t, setup{core: core.Config{Guard: refusing{&core.DeniedError{Policy: "freeze", Reason: "not before Monday", RetryAfter: time.Hour}}}})
	p := s.do(t, "POST /v1/locks/a/acquire").want(403, api.CodePolicyDenied).problem()
	if p.Policy != "freeze" || p.Reason != "not before Monday" || p.RetryAfterMS != 3_600_000 {
		t.Errorf("got %+v, %+v", p, p.PolicyProblem)
	}
}

// A policy that fails is the operator's business: what went wrong goes to the log.
func TestLogOfAPolicyError(t *testing.T) {
	var log bytes.Buffer
	s := newServer(t, setup{
		core: core.Config{Guard: refusing{&core.PolicyError{Policy: "freeze", Err: errors.New("canary: out of fuel")}}},
		log:  slog.NewTextHandler(&log, nil),
	})
	a := s.do(t, "POST /v1/locks/a/acquire").want(503, api.CodePolicyError)
	if strings.Contains(string(a.body), "canary") || a.problem().Policy != "freeze" {
		t.Errorf("answered %s", a.body)
	}
	if !strings.Contains(log.String(), "canary: out of fuel") || !strings.Contains(log.String(), a.header.Get("X-Request-Id")) {
		t.Errorf("logged %s", log.String())
	}
}

func TestErrorsThatAreUnknownAreLogged(t *testing.T) {
	var log bytes.Buffer
	s := newServer(t, setup{
		core: core.Config{Guard: refusing{errors.New("canary: the impossible")}},
		log:  slog.NewTextHandler(&log, nil),
	})
	a := s.do(t, "POST /v1/locks/a/acquire").want(500, api.CodeInternal)
	if strings.Contains(string(a.body), "canary") {
		t.Errorf("answered %s", a.body)
	}
	if !strings.Contains(log.String(), "canary: the impossible") || !strings.Contains(log.String(), "level=ERROR") {
		t.Errorf("logged %s", log.String())
	}
}

func TestPanicIsAnsweredLoggedAndCounted(t *testing.T) {
	var log bytes.Buffer
	s := newServer(t, setup{log: slog.NewTextHandler(&log, nil)})
	for i := range s.routes {
		if s.routes[i].id == "health" {
			s.routes[i].serve = func(*exchange) error { panic("canary: no health") }
		}
	}
	a := s.do(t, "GET /healthz").want(500, api.CodeInternal)
	if strings.Contains(string(a.body), "canary") {
		t.Errorf("answered %s", a.body)
	}
	for _, want := range []string{"canary: no health", "faults_test.go", a.header.Get("X-Request-Id")} {
		if !strings.Contains(log.String(), want) {
			t.Errorf("the log does not have %q:\n%s", want, log.String())
		}
	}
	if n := strings.Count(log.String(), "level=ERROR"); n != 1 {
		t.Errorf("logged %d times", n)
	}
}

func TestQueueOfTooManyWaiters(t *testing.T) {
	s := newServer(t, setup{lock: table.Config{Rules: lock.Rules{MaxWaitersPerLock: 1}}})
	s.acquire(t, "a")
	ctx, leave := context.WithCancel(t.Context())
	done := make(chan struct{})
	go func() {
		defer close(done)
		serve(s, httptest.NewRecorder(), newRequest("POST /v1/locks/a/acquire?wait=1m", []option{during(ctx)}).http())
	}()
	s.waiters(t, "a", 1)
	a := s.do(t, "POST /v1/locks/a/acquire?wait=1m").want(429, api.CodeQueueFull)
	if a.header.Get("Retry-After") == "" {
		t.Error("no Retry-After")
	}
	leave()
	<-done
}

// The places of attempts whose connections were cut do not lock out connected clients.
func TestQueueGivesKeptPlacesAway(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newServer(t, setup{lock: table.Config{Rules: lock.Rules{MaxWaitersPerLock: 3}}})
		s.do(t, "POST /v1/locks/a/acquire?ttl=1h").want(200)
		ctx, leave := context.WithCancel(t.Context())
		for i := range 3 {
			r := newRequest("POST /v1/locks/a/acquire?wait=1m", []option{during(ctx), header("Idempotency-Key", fmt.Sprintf("attempt-of-the-flood-%d", i))})
			go serve(s, httptest.NewRecorder(), r.http())
		}
		synctest.Wait()
		s.do(t, "POST /v1/locks/a/acquire?wait=1m").want(429, api.CodeQueueFull)
		leave()
		synctest.Wait()
		if n := s.do(t, "GET /v1/locks/a").lock().WaitersTotal; n != 3 {
			t.Fatalf("%d places are kept, want 3", n)
		}
		s.do(t, "POST /v1/locks/a/acquire?wait=1s").want(409, api.CodeHeld)
	})
}

func TestErrorsOfAQuota(t *testing.T) {
	s := newServer(t, setup{lock: table.Config{Rules: lock.Rules{MaxPerAccount: 1}}})
	s.acquire(t, "a")
	s.do(t, "POST /v1/locks/b/acquire").want(429, api.CodeQuota)
}
