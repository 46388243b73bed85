package core_test

import (
	"context"
	"errors"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/octostore/octostore/core"
	"github.com/octostore/octostore/core/lock"
	"github.com/octostore/octostore/core/table"
)

// busy is a guard as it is when every guest is busy: it waits until the client leaves.
func busy(ctx context.Context, hook core.Hook, on core.Hook, phase core.Phase, at core.Phase) (core.Decision, error) {
	if hook != on || phase != at {
		return core.Decision{}, nil
	}
	<-ctx.Done()
	return core.Decision{}, ctx.Err()
}

// A client that leaves while policies are asked is no outage of theirs: it is not on
// record, costs no commit, and its request is not carried out.
func TestLeavingWhilePoliciesAreAskedIsNoPolicyError(t *testing.T) {
	for name, tt := range map[string]struct {
		hook core.Hook
		ask  func(ctx context.Context, h house, g table.Grant) error
	}{
		"acquire": {core.HookAcquire, func(ctx context.Context, h house, _ table.Grant) error {
			_, err := h.Acquire(ctx, me, core.AcquireRequest{Name: "prod/b"})
			return err
		}},
		"acquire that waits": {core.HookAcquire, func(ctx context.Context, h house, _ table.Grant) error {
			_, err := h.Acquire(ctx, me, core.AcquireRequest{Name: "prod/b", Wait: time.Minute})
			return err
		}},
		"renew": {core.HookRenew, func(ctx context.Context, h house, g table.Grant) error {
			_, err := h.Renew(ctx, me, lock.RenewRequest{Name: "prod/a", LeaseID: g.LeaseID})
			return err
		}},
		"break": {core.HookBreak, func(ctx context.Context, h house, _ table.Grant) error {
			_, err := h.Break(ctx, me, lock.BreakRequest{Name: "prod/a", Cause: "because"})
			return err
		}},
		"take, the break": {core.HookBreak, func(ctx context.Context, h house, _ table.Grant) error {
			_, err := h.Take(ctx, me, lock.BreakRequest{Name: "prod/a", Cause: "because"}, core.AcquireRequest{})
			return err
		}},
		"take, the acquire": {core.HookAcquire, func(ctx context.Context, h house, _ table.Grant) error {
			_, err := h.Take(ctx, me, lock.BreakRequest{Name: "prod/a", Cause: "because"}, core.AcquireRequest{})
			return err
		}},
	} {
		t.Run(name, func(t *testing.T) {
			asking := false
			guard := guardFunc(func(ctx context.Context, q core.Question) (core.Decision, error) {
				if !asking {
					return core.Decision{}, nil
				}
				return busy(ctx, q.Hook, tt.hook, q.Phase, core.PhaseRequest)
			})
			inHouse(t, core.Config{Guard: guard}, func(t *testing.T, h house) {
				g := h.mustAcquire(t, core.AcquireRequest{Name: "prod/a"})
				before := h.record(t)
				asking = true
				ctx, cancel := context.WithTimeout(t.Context(), time.Second)
				defer cancel()
				if err := tt.ask(ctx, h, g); !errors.Is(err, lock.ErrGone) {
					t.Errorf("got %v, want %v", err, lock.ErrGone)
				}
				synctest.Wait()
				if got := h.record(t); got != before {
					t.Errorf("on record: %s", strings.TrimPrefix(got, before))
				}
			})
		})
	}
}

// The same for a waiter that leaves while it is called. One with a key keeps its place.
func TestLeavingAtTheTurnIsNoPolicyError(t *testing.T) {
	for range 20 { // the end of the context or the verdict may be noticed first
		guard := guardFunc(func(ctx context.Context, q core.Question) (core.Decision, error) {
			if q.Asked.Holder != "leaver" {
				return core.Decision{}, nil
			}
			return busy(ctx, q.Hook, core.HookAcquire, q.Phase, core.PhaseGrant)
		})
		inHouse(t, core.Config{Guard: guard}, func(t *testing.T, h house) {
			g := h.mustAcquire(t, core.AcquireRequest{Name: "prod/a"})
			ctx, cancel := context.WithCancel(t.Context())
			answered := make(chan error, 1)
			go func() {
				_, err := h.Acquire(ctx, me, core.AcquireRequest{Name: "prod/a", Holder: "leaver", Wait: time.Minute, Key: "0123456789abcdef"})
				answered <- err
			}()
			synctest.Wait()
			h.mustRelease(t, g)
			synctest.Wait() // the waiter is called, and its policies think
			cancel()
			if err := <-answered; !errors.Is(err, lock.ErrGone) {
				t.Errorf("got %v, want %v", err, lock.ErrGone)
			}
			synctest.Wait()
			if got := h.record(t); strings.Contains(got, "policy_error") {
				t.Errorf("on record: %s", got)
			}
			if n := h.table.Get("prod/a").Waiters; n != 1 {
				t.Errorf("%d places are kept, want that of the attempt", n)
			}
		})
	}
}

// A deadline of the policy itself is an outage, and so is what fails while the client
// is there or is not: both are on record.
func TestPolicyFaultsAreOnRecordWhateverTheClientDoes(t *testing.T) {
	for name, fail := range map[string]func(ctx context.Context) error{
		"its own deadline": func(context.Context) error { return context.DeadlineExceeded },
		"a fault after the client left": func(ctx context.Context) error {
			<-ctx.Done()
			return &core.PolicyError{Policy: "freeze", Err: errors.New("trap")}
		},
	} {
		t.Run(name, func(t *testing.T) {
			guard := guardFunc(func(ctx context.Context, _ core.Question) (core.Decision, error) { return core.Decision{}, fail(ctx) })
			inHouse(t, core.Config{Guard: guard}, func(t *testing.T, h house) {
				ctx, cancel := context.WithTimeout(t.Context(), time.Second)
				defer cancel()
				_, err := h.Acquire(ctx, me, core.AcquireRequest{Name: "prod/a"})
				if err == nil || errors.Is(err, lock.ErrGone) {
					t.Errorf("got %v", err)
				}
				if got := h.record(t); !strings.Contains(got, `"kind":"policy_error"`) {
					t.Errorf("on record: %q", got)
				}
			})
		})
	}
}

// A client that has left by the time the policies agree gets nothing, and nothing is broken
// for it.
func TestLeavingBeforeThePoliciesAgreeDoesNothing(t *testing.T) {
	for name, tt := range map[string]struct {
		hook core.Hook
		ask  func(ctx context.Context, h house) error
	}{
		"acquire": {core.HookAcquire, func(ctx context.Context, h house) error {
			_, err := h.Acquire(ctx, me, core.AcquireRequest{Name: "prod/b"})
			return err
		}},
		"break": {core.HookBreak, func(ctx context.Context, h house) error {
			_, err := h.Break(ctx, me, lock.BreakRequest{Name: "prod/a", Cause: "because"})
			return err
		}},
		"take": {core.HookAcquire, func(ctx context.Context, h house) error {
			_, err := h.Take(ctx, me, lock.BreakRequest{Name: "prod/a", Cause: "because"}, core.AcquireRequest{})
			return err
		}},
	} {
		t.Run(name, func(t *testing.T) {
			asking := false
			guard := guardFunc(func(ctx context.Context, q core.Question) (core.Decision, error) {
				if asking && q.Hook == tt.hook {
					<-ctx.Done()
				}
				return core.Decision{}, nil
			})
			inHouse(t, core.Config{Guard: guard}, func(t *testing.T, h house) {
				h.mustAcquire(t, core.AcquireRequest{Name: "prod/a"})
				before := h.record(t)
				asking = true
				ctx, cancel := context.WithTimeout(t.Context(), time.Second)
				defer cancel()
				if err := tt.ask(ctx, h); !errors.Is(err, lock.ErrGone) {
					t.Errorf("got %v, want %v", err, lock.ErrGone)
				}
				synctest.Wait()
				if got := h.record(t); got != before {
					t.Errorf("on record: %s", strings.TrimPrefix(got, before))
				}
			})
		})
	}
}
