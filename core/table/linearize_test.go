package table_test

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/octostore/octostore/core/journal"
	"github.com/octostore/octostore/core/lock"
	"github.com/octostore/octostore/core/lock/locktest"
	"github.com/octostore/octostore/core/store/memory"
	"github.com/octostore/octostore/core/table"
)

var (
	histories   = flag.Int("linearize.histories", 50, "how many histories to check")
	historySeed = flag.Uint64("linearize.seed", 1, "seed of the first history")
)

// TestLinearizable runs clients in virtual time against the table on a store that is
// slow, fails and comes back, and looks for an order of events that explains
// everything they were told.
func TestLinearizable(t *testing.T) {
	n := *histories
	if testing.Short() {
		n = min(n, 1)
	}
	var tried locktest.Coverage
	var byKey atomic.Int32
	for i := range n {
		seed := *historySeed + uint64(i)
		h := recordHistory(t, seed, &byKey)
		if h.Len() < operations {
			t.Errorf("the history of seed %d has only %d operations", seed, h.Len())
		}
		tried.Add(h.Cover())
		h.MustHold(t, fmt.Sprintf("go test ./core/table -run Linearizable -linearize.histories 1 -linearize.seed %d", seed))
	}
	t.Logf("%d histories, %s, %d releases by a key", n, tried, byKey.Load())
	if byKey.Load() == 0 {
		t.Error("no lease was released by a key")
	}
	tried.MustBeComplete(t)
}

// operations is how many a history has at least.
const operations = 2000

// recordHistory runs one workload in a bubble; the history is checked outside of it.
func recordHistory(t *testing.T, seed uint64, byKey *atomic.Int32) (h *locktest.History) {
	synctest.Test(t, func(t *testing.T) {
		h = locktest.NewHistory()
		rng := rand.New(rand.NewPCG(seed, 1<<32))
		s := &inProcess{
			t: t, history: h, rng: rng, byKey: byKey,
			store: &unhurried{faulty: &faulty{Store: memory.New()}, rng: rand.New(rand.NewPCG(seed, 1<<33))},
		}
		s.open()
		done := make(chan struct{})
		go func() {
			defer close(done)
			locktest.Workload{
				Seed: seed, Clients: 10, Locks: 4, Operations: operations, Pause: 500 * time.Millisecond,
				MinTTL: lock.MinTTL, MaxTTL: 20 * time.Second, MaxWait: 3 * time.Second,
			}.Run(h, s)
		}()
		s.weather(rand.New(rand.NewPCG(seed, 1<<34)), done)
		s.close()
	})
	return h
}

// unhurried is a faulty store whose commits take a moment, so that requests meet.
type unhurried struct {
	*faulty
	rng *rand.Rand // used by one table at a time
}

func (u *unhurried) Commit(ctx context.Context, b *lock.Batch) error {
	time.Sleep(time.Duration(u.rng.Int64N(int64(20 * time.Millisecond))))
	return u.faulty.Commit(ctx, b)
}

// inProcess is a table with what a transport does: it looks at the clock before it
// passes a lease on, and takes back what it cannot pass on.
type inProcess struct {
	t       *testing.T
	history *locktest.History
	store   *unhurried

	// mu keeps looks off a table that has been replaced: they need no loop and would
	// show what was. Everything else is refused there.
	mu      sync.RWMutex
	table   *table.Table
	journal *journal.Journal
	// keys are those of the leases that this table has granted, by lease id. Another table may
	// grant another lease to the same key.
	keys  *sync.Map
	byKey *atomic.Int32 // releases by a key

	luck sync.Mutex
	rng  *rand.Rand
}

func (s *inProcess) open() {
	s.journal = journal.New(s.store)
	table, err := table.Open(context.Background(), s.journal, table.Config{Published: s.journal.Publish})
	if err != nil {
		s.t.Error(err)
		return
	}
	s.table, s.keys = table, new(sync.Map)
}

func (s *inProcess) close() {
	_ = s.table.Close() // an error is what the store was told to do
	s.journal.Close()
}

// restart stops the table and starts another on what is left of it.
func (s *inProcess) restart() {
	s.store.set(fine, 0)
	_ = s.table.Close()
	s.mu.Lock()
	defer s.mu.Unlock()
	s.history.Restarted()
	s.journal.Close()
	s.open()
}

// weather changes what the store does, and restarts the table when it has failed and
// now and then for no reason.
func (s *inProcess) weather(rng *rand.Rand, done <-chan struct{}) {
	for {
		select {
		case <-done:
			return
		case <-s.table.Done():
			s.restart()
		case <-time.After(time.Duration(rng.Int64N(int64(2 * time.Second)))):
			if rng.IntN(25) == 0 {
				s.restart()
				continue
			}
			m := []mood{fine, fine, fine, fine, fine, fine, full, slow, slow, lostly, appliedly}[rng.IntN(11)]
			s.store.set(m, time.Duration(rng.Int64N(int64(2500*time.Millisecond))))
		}
	}
}

func (s *inProcess) now() (*table.Table, *sync.Map) {
	s.mu.RLock()
	defer s.mu.RUnlock()
	return s.table, s.keys
}

func (s *inProcess) Acquire(ctx context.Context, ask locktest.Ask) locktest.Outcome {
	attempt, err := lock.NewAttempt(ask.Key, ask.TTL, ask.Confirm, ask.Attempt, nil)
	if err != nil {
		s.t.Error(err)
	}
	table, keys := s.now()
	g, err := table.Acquire(ctx, lock.Acquisition{
		Origin: caller, Name: lock.Name(ask.Lock), Holder: ask.Attempt, TTL: ask.TTL, ConfirmWithin: ask.Confirm, Wait: ask.Wait, Attempt: attempt,
		Priority: lock.Priority(s.upTo(3) - 1),
	})
	switch {
	case err != nil:
		o := outcomeOf(err)
		o.HungUp = ctx.Err() != nil
		return o
	case !time.Now().Before(g.Lease.ExpiresAt):
		return locktest.Outcome{Result: locktest.Unknown, Detail: "too late"}
	case ctx.Err() != nil, s.cut():
		time.Sleep(s.upTo(300 * time.Millisecond)) // it is not seen at once
		table.Undo(g)
		return locktest.Outcome{Result: locktest.Unknown, HungUp: ctx.Err() != nil, Detail: "cut"}
	}
	if ask.Key != "" {
		keys.Store(g.LeaseID, ask.Key)
	}
	return granted(g)
}

// cut reports whether the connection breaks before the answer is through.
func (s *inProcess) cut() bool { return s.upTo(12) == 0 }

func (s *inProcess) upTo(d time.Duration) time.Duration {
	s.luck.Lock()
	defer s.luck.Unlock()
	return time.Duration(s.rng.Int64N(int64(d)))
}

func (s *inProcess) Renew(ctx context.Context, name, id string, ttl time.Duration) locktest.Outcome {
	table, _ := s.now()
	g, err := table.Renew(ctx, lock.RenewRequest{Origin: caller, Name: lock.Name(name), LeaseID: id, TTL: ttl})
	if err != nil {
		return outcomeOf(err)
	}
	return granted(g)
}

// Release releases a lease by its id, or half the time by its key, which does the same.
func (s *inProcess) Release(ctx context.Context, name, id string) locktest.Outcome {
	table, keys := s.now()
	r := lock.ReleaseRequest{Origin: caller, Name: lock.Name(name), LeaseID: id}
	if key, keyed := keys.Load(id); keyed && s.upTo(2) == 0 {
		r.LeaseID, r.Key = "", key.(string)
		s.byKey.Add(1)
	}
	_, err := table.Release(ctx, r)
	return outcomeOf(err)
}

func (s *inProcess) Break(ctx context.Context, name string, token uint64) locktest.Outcome {
	table, _ := s.now()
	_, err := table.Break(ctx, lock.BreakRequest{Origin: caller, Name: lock.Name(name), Token: lock.Token(token)})
	return outcomeOf(err)
}

func (s *inProcess) Look(_ context.Context, name string) locktest.Outcome {
	s.mu.RLock()
	defer s.mu.RUnlock()
	return seen(s.table.Get(lock.Name(name)).Lease, locktest.Free)
}

var caller = lock.Origin{Actor: lock.Actor{Account: "local"}}

func granted(g table.Grant) locktest.Outcome {
	return locktest.Outcome{
		Result: locktest.Done, Token: uint64(g.Lease.Token), LeaseID: g.LeaseID,
		Earliest: g.Lease.ExpiresAt, Latest: g.Lease.ExpiresAt, Unconfirmed: g.Lease.ConfirmWithin > 0,
	}
}

// seen returns the outcome that shows the lease of another client, or the one for a free lock.
func seen(l *lock.Lease, none locktest.Result) locktest.Outcome {
	if l == nil {
		return locktest.Outcome{Result: none}
	}
	return locktest.Outcome{Result: locktest.Held, Token: uint64(l.Token), Attempt: l.Holder}
}

// outcomeOf says what an answer means to the model. Whatever is not listed is
// promised to have done nothing.
func outcomeOf(err error) locktest.Outcome {
	var held *lock.HeldError
	o := locktest.Outcome{Result: locktest.Refused}
	switch {
	case err == nil:
		return locktest.Outcome{Result: locktest.Done}
	case errors.As(err, &held):
		o = seen(held.Lease, locktest.Refused)
	case errors.Is(err, lock.ErrOutcomeUnknown), errors.Is(err, lock.ErrTooLate):
		o.Result = locktest.Unknown
	case errors.Is(err, lock.ErrAttemptOver):
		o.Result = locktest.AttemptOver
	case errors.Is(err, lock.ErrNotHeld), errors.Is(err, lock.ErrFree), errors.Is(err, lock.ErrTokenChanged):
		o.Result = locktest.NotHeld
	}
	o.Detail = err.Error()
	return o
}
