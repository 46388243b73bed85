package table

import (
	"context"
	"errors"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/octostore/octostore/core/lock"
)

// lockedStore is a diary whose commits wait to begin while another process keeps it
// locked.
type lockedStore struct {
	*diary
	locked atomic.Bool
}

func (s *lockedStore) Commit(ctx context.Context, b *lock.Batch) error {
	if s.locked.Load() {
		<-ctx.Done()
		return ctx.Err()
	}
	return s.diary.Commit(ctx, b)
}

// A drain does not wait for a commit that cannot begin: it is given up, and the table
// ends, saying why.
func TestDrainGivesUpACommitThatCannotBegin(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &lockedStore{diary: newDiary()}
		tab, err := Open(t.Context(), s, Config{})
		if err != nil {
			t.Fatal(err)
		}
		g := mustAcquire(t, tab, try("x"))
		s.locked.Store(true)
		released := make(chan error, 1)
		go func() {
			_, err := tab.Release(t.Context(), lock.ReleaseRequest{Origin: me, Name: "x", LeaseID: g.LeaseID})
			released <- err
		}()
		synctest.Wait()
		start := time.Now()
		tab.Drain()
		if err := <-released; !errors.Is(err, lock.ErrOutcomeUnknown) {
			t.Errorf("release: %v", err)
		}
		<-tab.Done()
		if took := time.Since(start); took != drainingPatience {
			t.Errorf("the table ended after %v", took)
		}
		if err := tab.Close(); !errors.Is(err, context.Canceled) {
			t.Errorf("it was stopped by %v", err)
		}
		if tab.Get("x").Lease == nil {
			t.Error("the view shows what was not done")
		}
	})
}

// So does Close, when the commit came after the drain.
func TestCloseGivesUpACommitThatCannotBegin(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &lockedStore{diary: newDiary()}
		tab, err := Open(t.Context(), s, Config{})
		if err != nil {
			t.Fatal(err)
		}
		tab.Drain()
		synctest.Wait()
		s.locked.Store(true)
		go tab.Append(t.Context(), lock.Event{Kind: lock.Stopped})
		synctest.Wait()
		start := time.Now()
		if err := tab.Close(); !errors.Is(err, context.Canceled) || time.Since(start) != drainingPatience {
			t.Errorf("closed after %v: %v", time.Since(start), err)
		}
	})
}

// A store that knows whether it is full is asked each time: acquires are let in as
// soon as it has space, and none tries before.
func TestDiskSpaceIsKnownFromTheStore(t *testing.T) {
	var full atomic.Bool
	inTime(t, Config{Full: full.Load}, func(t *testing.T, tab *Table, d *diary) {
		d.set(nil, lock.ErrFull)
		full.Store(true) // as a store does when it refuses
		for range 3 {
			if _, err := tab.Acquire(t.Context(), try("x")); !errors.Is(err, lock.ErrFull) || !tab.Full() {
				t.Fatalf("acquire: %v; Full() = %v", err, tab.Full())
			}
			time.Sleep(time.Minute)
		}
		if n := tab.Stats().FullCommits; n != 0 {
			t.Errorf("%d acquires tried although the store is full", n)
		}
		if _, err := tab.Append(t.Context(), lock.Event{Kind: lock.Started}); !errors.Is(err, lock.ErrFull) {
			t.Errorf("append: %v", err)
		}
		d.set(nil, nil)
		full.Store(false)
		if tab.Full() {
			t.Error("Full() = true after the store has space again")
		}
		mustAcquire(t, tab, try("x"))
	})
}
