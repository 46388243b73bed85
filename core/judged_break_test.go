package core_test

import (
	"context"
	"errors"
	"strings"
	"testing"

	"github.com/octostore/octostore/core"
	"github.com/octostore/octostore/core/lock"
)

// guardFunc judges every name.
type guardFunc func(ctx context.Context, q core.Question) (core.Decision, error)

func (guardFunc) Covers(core.Hook, lock.Name) bool { return true }

func (f guardFunc) Judge(ctx context.Context, q core.Question) (core.Decision, error) {
	return f(ctx, q)
}

// changing protects leases of the holder "critical" from being broken, and has the lock
// change hands while a break is judged.
type changing struct {
	house
	t      *testing.T
	change func(n int) // n counts the judgements from 1
	judged int
}

func (c *changing) judge(_ context.Context, q core.Question) (core.Decision, error) {
	if q.Hook != core.HookBreak {
		return core.Decision{}, nil
	}
	c.judged++
	holder := "nobody"
	if l := q.View.Lease; l != nil {
		holder = l.Holder
	}
	c.change(c.judged)
	if holder == "critical" {
		return core.Decision{}, &core.DeniedError{Policy: "protect", Reason: "critical"}
	}
	return core.Decision{}, nil
}

// next gives the lock to another holder.
func (c *changing) next(holder string) {
	c.t.Helper()
	c.end()
	c.mustAcquire(c.t, core.AcquireRequest{Name: "x", Holder: holder})
}

// end leaves the lock free.
func (c *changing) end() {
	if v := c.table.Get("x"); v.Lease != nil {
		if _, err := c.table.Break(c.t.Context(), lock.BreakRequest{Name: "x"}); err != nil {
			c.t.Fatal(err)
		}
	}
}

// The lease that the policies judged is the one that is broken. If another one has begun
// meanwhile, it is judged too.
func TestBreakEndsOnlyTheLeaseThatWasJudged(t *testing.T) {
	denied := new(*core.DeniedError)
	for name, tt := range map[string]struct {
		change func(c *changing, n int)
		token  func(first lock.Token) lock.Token // named by the request; nil: none
		judged int
		broken bool
		is     error // nil: any
		as     any   // nil: any
	}{
		"it stays":                {change: func(*changing, int) {}, judged: 1, broken: true},
		"the next is protected":   {change: func(c *changing, n int) { c.next("critical") }, judged: 2, as: denied},
		"the next may be broken":  {change: func(c *changing, n int) { c.once(n, "another") }, judged: 2, broken: true},
		"it becomes free":         {change: func(c *changing, n int) { c.end() }, judged: 1, is: lock.ErrFree},
		"it never stays the same": {change: func(c *changing, n int) { c.next("another") }, judged: 4, is: core.ErrChangedHands},
		"the request names the token": {
			change: func(c *changing, n int) { c.once(n, "another") },
			token:  func(first lock.Token) lock.Token { return first },
			judged: 1, is: lock.ErrTokenChanged,
		},
		"the request guesses the next token": {
			change: func(c *changing, n int) { c.next("critical") },
			token:  func(first lock.Token) lock.Token { return first + 2 },
			judged: 0, is: lock.ErrTokenChanged,
		},
	} {
		for _, take := range []bool{false, true} {
			what := name + map[bool]string{false: ", break", true: ", take"}[take]
			t.Run(what, func(t *testing.T) {
				c := &changing{}
				c.change = func(n int) { tt.change(c, n) }
				inHouse(t, core.Config{Guard: guardFunc(c.judge)}, func(t *testing.T, h house) {
					c.house, c.t = h, t
					first := h.mustAcquire(t, core.AcquireRequest{Name: "x", Holder: "other"}).Lease.Token
					b := lock.BreakRequest{Name: "x", Cause: "because"}
					if tt.token != nil {
						b.Token = tt.token(first)
					}
					err := breakOrTake(t, h, b, take)
					if (err == nil) != tt.broken || tt.is != nil && !errors.Is(err, tt.is) || tt.as != nil && !errors.As(err, tt.as) {
						t.Errorf("got %v", err)
					}
					if c.judged != tt.judged {
						t.Errorf("judged %d times, want %d", c.judged, tt.judged)
					}
					if got := strings.Count(h.record(t), `"cause":"because"`); (got == 1) != tt.broken {
						t.Errorf("%d breaks are on record", got)
					}
				})
			})
		}
	}
}

// once changes hands only while the first lease is judged.
func (c *changing) once(n int, holder string) {
	if n == 1 {
		c.next(holder)
	}
}

func breakOrTake(t *testing.T, h house, b lock.BreakRequest, take bool) error {
	if take {
		_, err := h.Take(t.Context(), me, b, core.AcquireRequest{Holder: "taker"})
		return err
	}
	_, err := h.Break(t.Context(), me, b)
	return err
}

// A lock that looks free has no lease to be judged, so a break of it ends none, even if a
// grant is on its way to the disk.
func TestBreakOfALockThatLooksFreeEndsNothing(t *testing.T) {
	for _, take := range []bool{false, true} {
		judged := 0
		guard := guardFunc(func(_ context.Context, q core.Question) (core.Decision, error) {
			if q.Hook == core.HookBreak {
				judged++
			}
			return core.Decision{}, nil
		})
		inHouse(t, core.Config{Guard: guard}, func(t *testing.T, h house) {
			if err := breakOrTake(t, h, lock.BreakRequest{Name: "x", Cause: "because"}, take); !errors.Is(err, lock.ErrFree) || judged != 0 {
				t.Errorf("take %v: got %v, judged %d times", take, err, judged)
			}
		})
	}
}
