package table

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/octostore/octostore/core/lock"
)

// TestHammer has many goroutines fight over few locks, in real time and with
// everything they may do to each other. A client that is granted a lock writes its token
// where only the holder may: two holders at once, or a token that goes back, show.
func TestHammer(t *testing.T) {
	d := newDiary()
	tab, err := Open(t.Context(), d, Config{Rules: lock.Rules{MaxWaitersPerLock: 20}})
	if err != nil {
		t.Fatal(err)
	}
	const locks, clients = 4, 48
	rounds := 300
	if testing.Short() {
		rounds = 60
	}
	var holder [locks]atomic.Int64
	var last [locks]atomic.Uint64
	var grants atomic.Int64
	var wg sync.WaitGroup
	for c := range clients {
		wg.Go(func() {
			rng := rand.New(rand.NewPCG(1, uint64(c)))
			for range rounds {
				i := rng.IntN(locks)
				h := hammerer{tab: tab, rng: rng, name: lock.Name(fmt.Sprint("lock", i))}
				g, err := h.acquire()
				if err != nil {
					if msg := h.unexpected(err); msg != "" {
						t.Error(msg)
					}
					continue
				}
				grants.Add(1)
				if n := holder[i].Add(1); n != 1 {
					t.Errorf("invariant 1: %d holders of %s", n, h.name)
				}
				if was := last[i].Swap(uint64(g.Lease.Token)); was >= uint64(g.Lease.Token) {
					t.Errorf("invariant 2: token %d after %d", g.Lease.Token, was)
				}
				holder[i].Add(-1)
				h.letGo(t, g)
			}
		})
	}
	wg.Wait()
	if n := tab.Stats().Waiters; n != 0 {
		t.Errorf("%d ghosts wait", n)
	}
	if err := tab.Close(); err != nil {
		t.Fatal(err)
	}
	if grants.Load() < clients {
		t.Errorf("only %d grants: the workload tries nothing", grants.Load())
	}
	for _, fault := range tab.m.Faults() {
		t.Error(fault)
	}
}

type hammerer struct {
	tab  *Table
	rng  *rand.Rand
	name lock.Name
}

func (h *hammerer) acquire() (Grant, error) {
	ctx := context.Background()
	a := wait(h.name, time.Duration(h.rng.IntN(20))*time.Millisecond)
	a.Priority = lock.Priority(h.rng.IntN(3) - 1)
	var recheck Recheck
	switch h.rng.IntN(5) {
	case 0: // hangs up, sooner or later
		c, cancel := context.WithTimeout(ctx, time.Duration(h.rng.IntN(3000))*time.Microsecond)
		defer cancel()
		ctx = c
	case 1:
		yes := h.rng.IntN(2) == 0
		recheck = func(context.Context, lock.Turn) (lock.Opinion, error) {
			if yes {
				return lock.Opinion{}, nil
			}
			return lock.Opinion{}, errNoHammer
		}
	}
	return h.tab.AcquireWith(ctx, a, recheck)
}

var errNoHammer = errors.New("no")

func (h *hammerer) unexpected(err error) string {
	var held *lock.HeldError
	if errors.As(err, &held) || errors.Is(err, lock.ErrGone) || errors.Is(err, lock.ErrQueueFull) || errors.Is(err, errNoHammer) {
		return ""
	}
	return fmt.Sprintf("acquire %s: %v", h.name, err)
}

func (h *hammerer) letGo(t *testing.T, g Grant) {
	if h.rng.IntN(4) == 0 {
		h.tab.Undo(g)
		return
	}
	if _, err := h.tab.Release(context.Background(), lock.ReleaseRequest{Origin: me, Name: h.name, LeaseID: g.LeaseID}); err != nil {
		t.Errorf("release %s: %v", h.name, err)
	}
}
