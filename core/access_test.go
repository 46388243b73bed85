package core_test

import (
	"errors"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/octostore/octostore/core"
	"github.com/octostore/octostore/core/auth"
	"github.com/octostore/octostore/core/lock"
	"github.com/octostore/octostore/core/store/memory"
)

// Taking a lock asks the policies of a break and of an acquire. Whichever says no,
// nothing is broken.
func TestTakingIsJudgedTwice(t *testing.T) {
	var asked []core.Hook
	no := core.Hook("")
	guard := &scripted{request: func(q core.Question) (core.Decision, error) {
		asked = append(asked, q.Hook)
		if q.Hook == no {
			return deny(q)
		}
		return core.Decision{TTL: 30 * time.Second, Opinion: lock.Opinion{Verdicts: []lock.Verdict{{Policy: "p", At: string(q.Hook)}}}}, nil
	}}
	inHouse(t, core.Config{Guard: guard}, func(t *testing.T, h house) {
		held := h.mustAcquire(t, core.AcquireRequest{Name: "prod/db"})
		breaking := lock.BreakRequest{Name: "prod/db", Cause: "pager", Token: held.Lease.Token}
		for _, no = range []core.Hook{core.HookBreak, core.HookAcquire} {
			_, err := h.Take(t.Context(), me, breaking, core.AcquireRequest{})
			if denied := new(core.DeniedError); !errors.As(err, &denied) {
				t.Errorf("%s says no: %v", no, err)
			}
			if v, _ := h.Get(me, "prod/db"); v.Lease.Token != held.Lease.Token {
				t.Errorf("%s says no, and it is broken", no)
			}
		}
		no, asked = "", nil
		g, err := h.Take(t.Context(), me, breaking, core.AcquireRequest{Holder: "ops", TTL: time.Minute})
		if err != nil {
			t.Fatal(err)
		}
		if len(asked) != 2 || g.Lease.TTL != 30*time.Second || g.Lease.Holder != "ops" {
			t.Errorf("asked %v, granted %+v", asked, g.Lease)
		}
		got := h.record(t)
		if !strings.Contains(got, `"kind":"broken"`) || strings.Count(got, `"at":"break"`) != 1 || strings.Count(got, `"at":"acquire"`) != 2 {
			t.Errorf("on record: %s", got)
		}
		if _, err := h.Take(t.Context(), me, breaking, core.AcquireRequest{}); !errors.Is(err, lock.ErrTokenChanged) {
			t.Errorf("the next holder is hit: %v", err)
		}
	})
}

// A policy that judges a renewal sees the holder, and may reveal it. So only the holder's
// renewals are judged, and others leave no record that looks as if they held the lock.
func TestPoliciesAreNotAskedAboutARenewalOfAnothersLease(t *testing.T) {
	guard := &scripted{request: func(q core.Question) (core.Decision, error) {
		if q.Hook != core.HookRenew {
			return core.Decision{}, nil
		}
		return core.Decision{}, &core.DeniedError{Policy: "freeze", Reason: "not while " + q.Asked.Holder + " has it"}
	}}
	inHouse(t, core.Config{Guard: guard}, func(t *testing.T, h house) {
		g := h.mustAcquire(t, core.AcquireRequest{Name: "prod/a", Holder: "secret-job"})
		other := h.mustAcquire(t, core.AcquireRequest{Name: "prod/b"})
		bob := principalWith(t, h, "acquire:prod/**")
		for what, try := range map[string]struct {
			who auth.Principal
			id  string
		}{
			"a guessed id":           {bob, "guessed"},
			"another's id":           {bob, g.LeaseID},
			"the id of another lock": {me, other.LeaseID},
		} {
			if _, err := h.Renew(t.Context(), try.who, lock.RenewRequest{Name: "prod/a", LeaseID: try.id}); !errors.Is(err, lock.ErrNotHeld) {
				t.Errorf("%s: %v", what, err)
			}
		}
		if got := h.record(t); strings.Contains(got, `"kind":"denied"`) {
			t.Errorf("on record: %s", got)
		}
		if _, err := h.Renew(t.Context(), me, lock.RenewRequest{Name: "prod/a", LeaseID: g.LeaseID}); !errors.As(err, new(*core.DeniedError)) {
			t.Errorf("who has it is told %v", err)
		}
	})
}

// Both answers of an acquire that say who has the lock say it only to an account that may read it.
func TestHolderIsNamedToReadersOnly(t *testing.T) {
	inHouse(t, core.Config{}, func(t *testing.T, h house) {
		h.mustAcquire(t, core.AcquireRequest{Name: "prod/a", Holder: "secret-job"})
		for what, scope := range map[string]string{"a reader": "acquire,read:**", "another": "acquire:**"} {
			p := principalWith(t, h, scope)
			ask := core.AcquireRequest{Name: "prod/a", Wait: 3 * time.Second, Key: strings.Repeat(scope, 2)}
			older := make(chan error, 1)
			go func() {
				_, err := h.Acquire(t.Context(), p, ask)
				older <- err
			}()
			synctest.Wait()
			time.Sleep(time.Second)
			_, err := h.Acquire(t.Context(), p, ask)
			held, is := errors.AsType[*lock.HeldError](err)
			superseded, was := errors.AsType[*lock.SupersededError](<-older)
			if !is || !was || !errors.Is(superseded, lock.ErrSuperseded) {
				t.Fatalf("%s: held %v, superseded %v", what, is, was)
			}
			for _, got := range []*lock.HeldError{held, &superseded.Held} {
				if got.Hidden == (what == "a reader") || (got.Lease == nil) != got.Hidden || got.Position == 0 || got.Waited < time.Second {
					t.Errorf("%s reads %+v", what, got)
				}
			}
		}
	})
}

// principalWith returns the principal of a token with some scopes.
func principalWith(t *testing.T, h house, scope string) auth.Principal {
	t.Helper()
	tokens, err := auth.Open(t.Context(), auth.Config{Store: memory.New(), Recorder: h.table})
	if err != nil {
		t.Fatal(err)
	}
	defer tokens.Close()
	scopes, err := auth.ParseScopes(scope)
	if err != nil {
		t.Fatal(err)
	}
	_, secret, err := tokens.Create(t.Context(), lock.Origin{}, auth.TokenSpec{Account: "bob", Scopes: scopes})
	if err != nil {
		t.Fatal(err)
	}
	p, err := tokens.Authenticate(t.Context(), secret, time.Now())
	if err != nil {
		t.Fatal(err)
	}
	return p
}
