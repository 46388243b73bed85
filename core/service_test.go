package core_test

import (
	"context"
	"errors"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"

	"github.com/octostore/octostore/core"
	"github.com/octostore/octostore/core/auth"
	"github.com/octostore/octostore/core/input"
	"github.com/octostore/octostore/core/journal"
	"github.com/octostore/octostore/core/lock"
	"github.com/octostore/octostore/core/store/memory"
	"github.com/octostore/octostore/core/table"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// house is a service with its table and journal, in virtual time.
type house struct {
	*core.Service
	table   *table.Table
	journal *journal.Journal
}

func inHouse(t *testing.T, cfg core.Config, f func(t *testing.T, h house)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		j := journal.New(memory.New())
		table, err := table.Open(t.Context(), j, table.Config{Published: j.Publish, Rechecks: core.Rechecks(cfg.Guard)})
		if err != nil {
			t.Fatal(err)
		}
		f(t, house{core.New(table, cfg), table, j})
		table.Close()
	})
}

// record returns the journal's lines.
func (h house) record(t *testing.T) string {
	t.Helper()
	segments, err := h.journal.Scan(t.Context(), 0, 1<<20)
	if err != nil {
		t.Fatal(err)
	}
	var b strings.Builder
	for _, s := range segments {
		b.Write(s.Bytes)
	}
	return b.String()
}

var me = auth.Local()

func (h house) mustAcquire(t *testing.T, r core.AcquireRequest) table.Grant {
	t.Helper()
	g, err := h.Acquire(t.Context(), me, r)
	if err != nil {
		t.Fatal(err)
	}
	return g
}

func (h house) mustRelease(t *testing.T, g table.Grant) {
	t.Helper()
	if _, err := h.Release(t.Context(), me, lock.ReleaseRequest{Name: g.Lease.Name, LeaseID: g.LeaseID}); err != nil {
		t.Fatal(err)
	}
}

func TestRequestIsCheckedBeforeAnythingHappens(t *testing.T) {
	inHouse(t, core.Config{MaxTTL: time.Minute, Guard: &scripted{}}, func(t *testing.T, h house) {
		for field, r := range map[string]core.AcquireRequest{
			"ttl":             {Name: "x", TTL: 2 * time.Minute},
			"wait":            {Name: "x", Wait: -time.Second},
			"holder":          {Name: "x", Holder: "a\nb"},
			"reason":          {Name: "x", Reason: strings.Repeat("r", 513)},
			"metadata":        {Name: "x", Metadata: map[string]string{"a b": "v"}},
			"Idempotency-Key": {Name: "x", Key: "short"},
		} {
			_, err := h.Acquire(t.Context(), me, r)
			var input *input.Error
			if !errors.As(err, &input) || input.Field != field {
				t.Errorf("%s: %v", field, err)
			}
		}
		if got := h.record(t); got != "" {
			t.Errorf("it is on record: %s", got)
		}
	})
}

func TestZeroPrincipalMayDoNothing(t *testing.T) {
	inHouse(t, core.Config{}, func(t *testing.T, h house) {
		g := h.mustAcquire(t, core.AcquireRequest{Name: "x"})
		var nobody auth.Principal
		ctx := t.Context()
		_, acquire := h.Acquire(ctx, nobody, core.AcquireRequest{Name: "y"})
		_, renew := h.Renew(ctx, nobody, lock.RenewRequest{Name: "x", LeaseID: g.LeaseID})
		_, release := h.Release(ctx, nobody, lock.ReleaseRequest{Name: "x", LeaseID: g.LeaseID})
		_, breaking := h.Break(ctx, nobody, lock.BreakRequest{Name: "x", Cause: "because"})
		_, get := h.Get(nobody, "x")
		for what, err := range map[string]error{"acquire": acquire, "renew": renew, "release": release, "break": breaking, "get": get} {
			if !errors.Is(err, core.ErrForbidden) {
				t.Errorf("%s: %v", what, err)
			}
		}
		if views, _, err := h.List(nobody, table.Query{Limit: 10}); !errors.Is(err, core.ErrForbidden) || len(views) != 0 {
			t.Errorf("list: %v, %v", views, err)
		}
		if views, _, err := h.List(me, table.Query{Limit: 10}); err != nil || len(views) != 1 {
			t.Errorf("list for one who may: %v, %v", views, err)
		}
	})
}

func TestDefaultsAndBounds(t *testing.T) {
	inHouse(t, core.Config{}, func(t *testing.T, h house) {
		if g := h.mustAcquire(t, core.AcquireRequest{Name: "x"}); g.Lease.TTL != time.Minute || g.Lease.Account != "local" {
			t.Errorf("got %+v", g.Lease)
		}
		start := time.Now()
		_, err := h.Acquire(t.Context(), me, core.AcquireRequest{Name: "x", TTL: time.Hour, Wait: 24 * time.Hour})
		if err != nil || time.Since(start) != time.Minute {
			t.Errorf("the waiter is granted after %v: %v", time.Since(start), err)
		}
		if w := h.Wait(24 * time.Hour); w != 10*time.Minute {
			t.Errorf("a wait is cut to %v", w)
		}
	})
}

// scripted is a guard that says what a test wants it to.
type scripted struct {
	request, grant func(core.Question) (core.Decision, error)
	away           atomic.Bool // it covers nothing
}

func (s *scripted) Covers(_ core.Hook, name lock.Name) bool {
	return !s.away.Load() && strings.HasPrefix(string(name), "prod/")
}

func (s *scripted) Judge(_ context.Context, q core.Question) (core.Decision, error) {
	ask := s.request
	if q.Phase == core.PhaseGrant {
		ask = s.grant
	}
	if ask == nil {
		return core.Decision{}, nil
	}
	return ask(q)
}

func deny(core.Question) (core.Decision, error) {
	return core.Decision{}, &core.DeniedError{Policy: "freeze", Reason: "closed for the holidays", RetryAfter: time.Hour}
}

func TestPolicyDenialIsRecordedAndKeepsTheLockFree(t *testing.T) {
	inHouse(t, core.Config{Guard: &scripted{request: deny}}, func(t *testing.T, h house) {
		_, err := h.Acquire(t.Context(), me, core.AcquireRequest{Name: "prod/db", Holder: "ci"})
		var denied *core.DeniedError
		if !errors.As(err, &denied) || denied.Policy != "freeze" || denied.RetryAfter != time.Hour {
			t.Fatal(err)
		}
		if v, _ := h.Get(me, "prod/db"); v.Lease != nil {
			t.Error("it has the lock all the same")
		}
		if got := h.record(t); !strings.Contains(got, `"kind":"denied","name":"prod/db","account":"local","holder":"ci"`) || !strings.Contains(got, "closed for the holidays") {
			t.Errorf("on record: %s", got)
		}
		h.mustAcquire(t, core.AcquireRequest{Name: "test/db"}) // no policy covers it
	})
}

func TestPolicyErrorIsNotADenial(t *testing.T) {
	broken := func(core.Question) (core.Decision, error) {
		return core.Decision{}, &core.PolicyError{Policy: "freeze", Err: errors.New("out of fuel")}
	}
	inHouse(t, core.Config{Guard: &scripted{request: broken}}, func(t *testing.T, h house) {
		_, err := h.Acquire(t.Context(), me, core.AcquireRequest{Name: "prod/db"})
		var policy *core.PolicyError
		if !errors.As(err, &policy) {
			t.Fatal(err)
		}
		if got := h.record(t); !strings.Contains(got, `"kind":"policy_error"`) {
			t.Errorf("on record: %s", got)
		}
	})
}

func TestCapsOnlyLower(t *testing.T) {
	guard := &scripted{request: func(core.Question) (core.Decision, error) {
		return core.Decision{TTL: 10 * time.Second, Wait: 3 * time.Second, CapWait: true, Opinion: lock.Opinion{Notes: []lock.Note{{Policy: "maxttl", Key: "cap", Value: "10s"}}}}, nil
	}}
	inHouse(t, core.Config{Guard: guard}, func(t *testing.T, h house) {
		if g := h.mustAcquire(t, core.AcquireRequest{Name: "prod/a", TTL: time.Hour}); g.Lease.TTL != 10*time.Second {
			t.Errorf("ttl %v", g.Lease.TTL)
		}
		if g := h.mustAcquire(t, core.AcquireRequest{Name: "prod/b", TTL: 5 * time.Second}); g.Lease.TTL != 5*time.Second {
			t.Errorf("a shorter ttl became %v", g.Lease.TTL)
		}
		start := time.Now()
		_, err := h.Acquire(t.Context(), me, core.AcquireRequest{Name: "prod/a", Wait: time.Minute})
		if held := new(*lock.HeldError); !errors.As(err, held) || time.Since(start) != 3*time.Second {
			t.Errorf("after %v: %v", time.Since(start), err)
		}
		if got := h.record(t); !strings.Contains(got, `"notes":[{"policy":"maxttl","key":"cap","value":"10s"}]`) {
			t.Errorf("on record: %s", got)
		}
	})
}

// An idempotency key recognises what was asked, not what a cap made of it.
func TestCapDoesNotMakeAnAttemptAnother(t *testing.T) {
	cap := 30 * time.Second
	guard := &scripted{request: func(core.Question) (core.Decision, error) { return core.Decision{TTL: cap}, nil }}
	inHouse(t, core.Config{Guard: guard}, func(t *testing.T, h house) {
		r := core.AcquireRequest{Name: "prod/a", TTL: time.Hour, Key: "0123456789abcdef"}
		first := h.mustAcquire(t, r)
		cap = 20 * time.Second
		if again := h.mustAcquire(t, r); !again.Repeat || again.LeaseID != first.LeaseID {
			t.Errorf("got %+v", again)
		}
	})
}

func TestAttemptWithItsLeaseIsNotJudgedAgain(t *testing.T) {
	guard := &scripted{}
	inHouse(t, core.Config{Guard: guard}, func(t *testing.T, h house) {
		r := core.AcquireRequest{Name: "prod/a", Key: "0123456789abcdef"}
		first := h.mustAcquire(t, r)
		guard.request = deny
		if again := h.mustAcquire(t, r); again.LeaseID != first.LeaseID {
			t.Errorf("got %+v", again)
		}
		r.Holder = "another"
		if _, err := h.Acquire(t.Context(), me, r); !errors.Is(err, lock.ErrKeyMismatch) {
			t.Errorf("with other parameters: %v", err)
		}
	})
}

func TestWaiterIsJudgedAgainAtItsTurn(t *testing.T) {
	var waited time.Duration
	guard := &scripted{grant: func(q core.Question) (core.Decision, error) {
		waited = q.Waited
		if q.Asked.Holder == "frozen" {
			return deny(q)
		}
		return core.Decision{Opinion: lock.Opinion{PolicySet: "later", Notes: []lock.Note{{Policy: "p", Key: "seen", Value: "at the turn"}}}}, nil
	}}
	guard.request = func(core.Question) (core.Decision, error) {
		return core.Decision{Opinion: lock.Opinion{PolicySet: "earlier"}}, nil
	}
	inHouse(t, core.Config{Guard: guard}, func(t *testing.T, h house) {
		g := h.mustAcquire(t, core.AcquireRequest{Name: "prod/a"})
		first, second := make(chan error, 1), make(chan error, 1)
		go func() {
			_, err := h.Acquire(t.Context(), me, core.AcquireRequest{Name: "prod/a", Holder: "frozen", Wait: time.Minute})
			first <- err
		}()
		synctest.Wait()
		go func() {
			_, err := h.Acquire(t.Context(), me, core.AcquireRequest{Name: "prod/a", Holder: "fine", Wait: time.Minute})
			second <- err
		}()
		time.Sleep(5 * time.Second)
		h.mustRelease(t, g)
		if err := <-first; !errors.As(err, new(*core.DeniedError)) {
			t.Error(err)
		}
		if err := <-second; err != nil || waited != 5*time.Second {
			t.Errorf("%v after %v", err, waited)
		}
		got := h.record(t)
		for _, want := range []string{`"kind":"denied"`, `"value":"at the turn"`, `"policy_set":"earlier","policy_set_at_grant":"later"`, `"policy_set":"earlier","prev"`} {
			if !strings.Contains(got, want) {
				t.Errorf("%s is not on record: %s", want, got)
			}
		}
		if strings.Contains(got, `"kind":"undone"`) {
			t.Errorf("policy undid a grant: %s", got)
		}
	})
}

// Policies may come to cover a name, or cease to, while a client waits for it: what
// counts is whether they do at the turn.
func TestWaiterIsJudgedByThePoliciesOfTheTurn(t *testing.T) {
	guard := &scripted{grant: deny}
	inHouse(t, core.Config{Guard: guard}, func(t *testing.T, h house) {
		for _, tt := range []struct{ before, at, denied bool }{{false, true, true}, {true, false, false}, {false, false, false}} {
			guard.away.Store(true)
			g := h.mustAcquire(t, core.AcquireRequest{Name: "prod/a"})
			guard.away.Store(!tt.before)
			answered := make(chan error, 1)
			var next table.Grant
			go func() {
				var err error
				next, err = h.Acquire(t.Context(), me, core.AcquireRequest{Name: "prod/a", Wait: time.Minute})
				answered <- err
			}()
			synctest.Wait()
			guard.away.Store(!tt.at)
			h.mustRelease(t, g)
			err := <-answered
			if errors.As(err, new(*core.DeniedError)) != tt.denied || !tt.denied && err != nil {
				t.Errorf("%+v: %v", tt, err)
			}
			if err == nil {
				h.mustRelease(t, next)
			}
		}
		if got := h.record(t); strings.Count(got, `"kind":"denied"`) != 1 {
			t.Errorf("on record: %s", got)
		}
	})
}

func TestDrainingShows(t *testing.T) {
	inHouse(t, core.Config{}, func(t *testing.T, h house) {
		if h.Draining() || h.Serving() != nil {
			t.Error("it does not serve")
		}
		h.table.Drain()
		if !h.Draining() || h.Serving() != nil {
			t.Error("a draining server serves those who hold")
		}
	})
}

func TestRenewalCanBeVetoedButNoPolicyTakesALeaseAway(t *testing.T) {
	var answer error
	guard := &scripted{request: func(q core.Question) (core.Decision, error) {
		if q.Hook != core.HookRenew {
			return core.Decision{}, nil
		}
		if q.Asked.Holder != "ci" || q.Asked.TTL != 30*time.Second || q.View.Lease == nil {
			t.Errorf("asked about %+v", q)
		}
		return core.Decision{Opinion: lock.Opinion{PolicySet: "ours", Verdicts: []lock.Verdict{{Policy: "freeze", At: "renew", Verdict: "error"}}}}, answer
	}}
	inHouse(t, core.Config{Guard: guard}, func(t *testing.T, h house) {
		g := h.mustAcquire(t, core.AcquireRequest{Name: "prod/a", Holder: "ci"})
		renewal := lock.RenewRequest{Name: "prod/a", LeaseID: g.LeaseID, TTL: 30 * time.Second}
		answer = &core.DeniedError{Policy: "freeze", Reason: "no"}
		if _, err := h.Renew(t.Context(), me, renewal); !errors.As(err, new(*core.DeniedError)) {
			t.Errorf("a veto: %v", err)
		}
		if v, _ := h.Get(me, "prod/a"); v.Lease == nil || !v.Lease.ExpiresAt.Equal(g.Lease.ExpiresAt) {
			t.Errorf("the lease is %+v", v.Lease)
		}
		stranger := lock.RenewRequest{Name: "prod/a", LeaseID: strings.Repeat("A", len(g.LeaseID))}
		if _, err := h.Renew(t.Context(), me, stranger); !errors.Is(err, lock.ErrNotHeld) {
			t.Errorf("who does not hold the lock is told %v", err) // and not what a policy says to holders
		}
		answer = &core.PolicyError{Policy: "freeze", Err: errors.New("out of fuel")}
		if _, err := h.Renew(t.Context(), me, renewal); err != nil {
			t.Errorf("a broken policy: %v", err)
		}
		got := h.record(t)
		for _, want := range []string{`"kind":"denied"`, `"kind":"renewed"`, `"at":"renew","verdict":"error"`} {
			if !strings.Contains(got, want) {
				t.Errorf("%s is not on record: %s", want, got)
			}
		}
		if strings.Count(got, `"policy_set":"ours"`) != 2 {
			t.Errorf("which policies judged the renewals is not on record: %s", got)
		}
		if strings.Count(got, `"kind":"denied"`) != 1 {
			t.Errorf("a stranger got on record: %s", got)
		}
	})
}

func TestBreakIsJudged(t *testing.T) {
	guard := &scripted{request: func(q core.Question) (core.Decision, error) {
		if q.Hook == core.HookBreak && q.Asked.Reason == "no good reason" {
			return deny(q)
		}
		return core.Decision{Opinion: lock.Opinion{PolicySet: "of-" + string(q.Hook)}}, nil
	}}
	inHouse(t, core.Config{Guard: guard}, func(t *testing.T, h house) {
		h.mustAcquire(t, core.AcquireRequest{Name: "prod/a"})
		breaking := lock.BreakRequest{Name: "prod/a", Cause: "no good reason"}
		if _, err := h.Break(t.Context(), me, breaking); !errors.As(err, new(*core.DeniedError)) {
			t.Errorf("got %v", err)
		}
		if v, _ := h.Get(me, "prod/a"); v.Lease == nil {
			t.Error("it is broken all the same")
		}
		breaking.Cause = "the machine burnt"
		if _, err := h.Break(t.Context(), me, breaking); err != nil {
			t.Error(err)
		}
		breaking.Cause = "no good reason"
		if _, err := h.Break(t.Context(), me, breaking); !errors.Is(err, lock.ErrFree) {
			t.Errorf("of a free lock: %v", err)
		}
		for _, want := range []string{`"policy_set":"of-acquire"`, `"policy_set":"of-break"`} {
			if got := h.record(t); strings.Count(got, want) != 1 {
				t.Errorf("%s is not on record once: %s", want, got)
			}
		}
	})
}
