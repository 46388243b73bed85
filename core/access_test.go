package core_test

import (
	"errors"
	"strings"
	"testing"
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
		tokens, err := auth.Open(t.Context(), auth.Config{Store: memory.New(), Recorder: h.table})
		if err != nil {
			t.Fatal(err)
		}
		defer tokens.Close()
		scopes, err := auth.ParseScopes("acquire:prod/**")
		if err != nil {
			t.Fatal(err)
		}
		_, secret, err := tokens.Create(t.Context(), lock.Origin{}, auth.TokenSpec{Account: "bob", Scopes: scopes})
		if err != nil {
			t.Fatal(err)
		}
		bob, err := tokens.Authenticate(t.Context(), secret, time.Now())
		if err != nil {
			t.Fatal(err)
		}
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
