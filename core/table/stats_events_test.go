package table

import (
	"context"
	"slices"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/octostore/octostore/core/lock"
)

// A renewal counts with the share of the lease that was left before it, an unconfirmed lease
// with what was left of the time to confirm it.
func TestMarginsAreOfTheLeaseBefore(t *testing.T) {
	for what, test := range map[string]struct {
		confirm, after time.Duration
		margin         float64
	}{
		"at once":            {0, 0, 1},
		"at a third":         {0, 20 * time.Second, 2. / 3},
		"almost too late":    {0, 57 * time.Second, .05},
		"unconfirmed, early": {10 * time.Second, time.Second, .9},
		"unconfirmed, late":  {10 * time.Second, 9 * time.Second, .1},
	} {
		t.Run(what, func(t *testing.T) {
			inTime(t, Config{}, func(t *testing.T, tab *Table, _ *diary) {
				a := try("x")
				a.TTL, a.ConfirmWithin = time.Minute, test.confirm
				g := mustAcquire(t, tab, a)
				time.Sleep(test.after)
				if _, err := tab.Renew(t.Context(), lock.RenewRequest{Origin: a.Origin, Name: "x", LeaseID: g.LeaseID}); err != nil {
					t.Fatal(err)
				}
				if got := tab.Stats().Margins; got.Count() != 1 || got.Sum < test.margin-1e-9 || got.Sum > test.margin+1e-9 {
					t.Errorf("the margin is %g of %d renewals, want %g", got.Sum, got.Count(), test.margin)
				}
			})
		})
	}
}

func TestEventsAreCountedByKind(t *testing.T) {
	inTime(t, Config{}, func(t *testing.T, tab *Table, _ *diary) {
		mustRelease(t, tab, mustAcquire(t, tab, try("x")))
		mustAcquire(t, tab, try("x"))
		time.Sleep(2 * time.Hour) // it expires
		if _, err := tab.Append(t.Context(), lock.Event{Kind: lock.Drained}); err != nil {
			t.Fatal(err)
		}
		counts := tab.Stats().Events
		for kind, want := range map[lock.Kind]uint64{
			lock.Granted: 2, lock.Released: 1, lock.Expired: 1, lock.Drained: 1, lock.Broken: 0, lock.Renewed: 0,
		} {
			if got := counts[slices.Index(lock.Kinds(), kind)]; got != want {
				t.Errorf("%d are %s, want %d", got, kind, want)
			}
		}
	})
}

// A drain of a server that goes on does not stop it where a commit cannot begin for longer
// than a drain may take: afterwards holders renew and release as before.
func TestRefusingAcquiresOutlastsALockedStore(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &pausedStore{diary: newDiary(), resume: make(chan struct{})}
		tab, err := Open(t.Context(), s, Config{})
		if err != nil {
			t.Fatal(err)
		}
		g := mustAcquire(t, tab, try("x"))
		s.paused.Store(true)
		go tab.Append(t.Context(), lock.Event{Kind: lock.Drained})
		synctest.Wait()
		tab.RefuseAcquires()
		tab.RefuseAcquires()
		time.Sleep(2 * drainingPatience)
		s.paused.Store(false)
		close(s.resume)
		if !tab.Draining() || tab.UntilDrain().Err() != nil {
			t.Errorf("draining %t, stopping %v", tab.Draining(), tab.UntilDrain().Err())
		}
		mustRelease(t, tab, g)
		tab.Drain()
		if tab.UntilDrain().Err() == nil {
			t.Error("the stop is not announced")
		}
		if err := tab.Close(); err != nil {
			t.Error(err)
		}
	})
}

// pausedStore is a diary whose commits wait to begin until resume is closed.
type pausedStore struct {
	*diary
	paused atomic.Bool
	resume chan struct{}
}

func (s *pausedStore) Commit(ctx context.Context, b *lock.Batch) error {
	if s.paused.Load() {
		select {
		case <-s.resume:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	return s.diary.Commit(ctx, b)
}
