package core_test

import (
	"bytes"
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/octostore/octostore/core"
	"github.com/octostore/octostore/core/input"
	"github.com/octostore/octostore/core/journal"
	"github.com/octostore/octostore/core/journal/verify"
	"github.com/octostore/octostore/core/lock"
	"github.com/octostore/octostore/core/store/memory"
	"github.com/octostore/octostore/core/table"
)

// The time to confirm is checked against the ttl that counts, be it the default one.
func TestConfirmIsASecondToTheTTL(t *testing.T) {
	inHouse(t, core.Config{DefaultTTL: 30 * time.Second}, func(t *testing.T, h house) {
		for what, c := range map[string]struct {
			ttl, confirm time.Duration
			good         bool
		}{
			"none":                      {time.Minute, 0, true},
			"a second":                  {time.Minute, time.Second, true},
			"the ttl":                   {time.Minute, time.Minute, true},
			"the default ttl":           {0, 30 * time.Second, true},
			"less than a second":        {time.Minute, time.Second - time.Millisecond, false},
			"negative":                  {time.Minute, -time.Second, false},
			"more than the ttl":         {time.Minute, time.Minute + time.Millisecond, false},
			"more than the default ttl": {0, 30*time.Second + time.Millisecond, false},
		} {
			g, err := h.Acquire(t.Context(), me, core.AcquireRequest{Name: "x", TTL: c.ttl, Confirm: c.confirm})
			var input *input.Error
			switch {
			case c.good && err != nil, !c.good && (!errors.As(err, &input) || input.Field != "confirm"):
				t.Errorf("%s: %v", what, err)
			case c.good && g.Lease.ConfirmWithin != c.confirm:
				t.Errorf("%s: got %s", what, g.Lease.ConfirmWithin)
			}
			if err == nil {
				h.mustRelease(t, g)
			}
		}
	})
}

// A policy's cap on the ttl caps the time to confirm, too; both halves of a take know it.
func TestConfirmIsCappedWithTheTTL(t *testing.T) {
	guard := &scripted{request: func(core.Question) (core.Decision, error) { return core.Decision{TTL: 10 * time.Second}, nil }}
	inHouse(t, core.Config{Guard: guard}, func(t *testing.T, h house) {
		g := h.mustAcquire(t, core.AcquireRequest{Name: "prod/a", TTL: time.Minute, Confirm: 15 * time.Second})
		if g.Lease.ConfirmWithin != 10*time.Second || g.Lease.TTL != 10*time.Second || time.Until(g.Lease.ExpiresAt) != 10*time.Second {
			t.Errorf("got %+v", g.Lease)
		}
		g, err := h.Take(t.Context(), me, lock.BreakRequest{Name: "prod/a", Cause: "stuck"}, core.AcquireRequest{TTL: time.Minute, Confirm: 2 * time.Second})
		if err != nil || g.Lease.ConfirmWithin != 2*time.Second || time.Until(g.Lease.ExpiresAt) != 2*time.Second {
			t.Errorf("taken: %+v, %v", g.Lease, err)
		}
		g, err = h.Renew(t.Context(), me, lock.RenewRequest{Name: "prod/a", LeaseID: g.LeaseID})
		if err != nil || time.Until(g.Lease.ExpiresAt) != 10*time.Second {
			t.Errorf("confirmed: %+v, %v", g.Lease, err)
		}
	})
}

// The renewal that confirms a lease is not put to the policies of renewals: those of the
// acquire have allowed this ttl. One that asks for more than it is, and so is every later
// one.
func TestConfirmationIsNotJudged(t *testing.T) {
	asked := 0
	guard := &scripted{request: func(q core.Question) (core.Decision, error) {
		if q.Hook != core.HookRenew {
			return core.Decision{}, nil
		}
		asked++
		return core.Decision{}, &core.DeniedError{Policy: "freeze", Reason: "nothing is renewed"}
	}}
	inHouse(t, core.Config{Guard: guard}, func(t *testing.T, h house) {
		g := h.mustAcquire(t, core.AcquireRequest{Name: "prod/a", TTL: time.Minute, Confirm: 15 * time.Second})
		renew := func(ttl time.Duration) (table.Grant, error) {
			return h.Renew(t.Context(), me, lock.RenewRequest{Name: "prod/a", LeaseID: g.LeaseID, TTL: ttl})
		}
		if _, err := renew(2 * time.Minute); !errors.As(err, new(*core.DeniedError)) || asked != 1 {
			t.Errorf("for more than was granted: %v, asked %d times", err, asked)
		}
		if v, _ := h.Get(me, "prod/a"); !v.Lease.ExpiresAt.Equal(g.Lease.ExpiresAt) {
			t.Error("a veto does not leave the lease to its present end")
		}
		if r, err := renew(2 * time.Second); err != nil || time.Until(r.Lease.ExpiresAt) != time.Minute || asked != 1 {
			t.Errorf("the confirmation: %+v, %v, asked %d times", r.Lease, err, asked)
		}
		if _, err := renew(0); !errors.As(err, new(*core.DeniedError)) || asked != 2 {
			t.Errorf("the next one: %v, asked %d times", err, asked)
		}
	})
}

// A policy's refusal of a renewal shows that the holder has its lease, although the answer
// with it was thought to be lost.
func TestUndoOfALeaseWhoseRenewalWasRefused(t *testing.T) {
	guard := &scripted{request: func(q core.Question) (core.Decision, error) {
		if q.Hook == core.HookRenew {
			return deny(q)
		}
		return core.Decision{}, nil
	}}
	inHouse(t, core.Config{Guard: guard}, func(t *testing.T, h house) {
		g := h.mustAcquire(t, core.AcquireRequest{Name: "prod/a", Key: "0123456789abcdef"})
		h.Undo(g)
		synctest.Wait()
		if _, err := h.Renew(t.Context(), me, lock.RenewRequest{Name: "prod/a", LeaseID: g.LeaseID}); !errors.As(err, new(*core.DeniedError)) {
			t.Errorf("renewed: %v", err)
		}
		time.Sleep(11 * time.Second)
		if v, _ := h.Get(me, "prod/a"); v.Lease == nil {
			t.Error("the lease is undone before its present end")
		}
	})
}

// What a replay makes of the audit log is what the store has, before and after the
// confirmation; and the log tells when the lease would have ended.
func TestConfirmIsReplayed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := memory.New()
		j := journal.New(store)
		table, err := table.Open(t.Context(), j, table.Config{Published: j.Publish})
		if err != nil {
			t.Fatal(err)
		}
		defer table.Close()
		h := house{core.New(table, core.Config{}), table, j}
		check := func(when string, confirmMS int64) {
			t.Helper()
			replay := verify.NewReplay(0)
			for line := range bytes.Lines([]byte(h.record(t))) {
				if err := replay.Apply(bytes.TrimSuffix(line, []byte("\n"))); err != nil {
					t.Fatal(err)
				}
			}
			snap, err := store.Load(context.Background())
			if err != nil {
				t.Fatal(err)
			}
			found, unknown := replay.Differences(snap.Leases)
			if len(found)+unknown+len(replay.Faults()) > 0 {
				t.Errorf("%s: %v, %d unknown, %v", when, found, unknown, replay.Faults())
			}
			if held := replay.Held(); len(held) != 1 || held[0].ConfirmMS != confirmMS || held[0].TTLMS != 60_000 {
				t.Errorf("%s: %+v", when, held)
			}
			snap.Leases[0].Lease.ConfirmWithin += time.Second
			if found, _ := replay.Differences(snap.Leases); len(found) != 1 {
				t.Errorf("%s: another time to confirm is not noticed: %v", when, found)
			}
		}
		g := h.mustAcquire(t, core.AcquireRequest{Name: "x", TTL: time.Minute, Confirm: 15 * time.Second})
		check("unconfirmed", 15_000)
		if _, err := h.Renew(t.Context(), me, lock.RenewRequest{Name: "x", LeaseID: g.LeaseID}); err != nil {
			t.Fatal(err)
		}
		check("confirmed", 0)
	})
}
