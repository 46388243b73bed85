package journal_test

import (
	"context"
	"errors"
	"log/slog"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/octostore/octostore/core/journal"
	"github.com/octostore/octostore/core/lock"
	"github.com/octostore/octostore/core/store/memory"
	"github.com/octostore/octostore/core/table"
)

// quotaStore counts the bytes of its journal, in a store of which others use some, too.
type quotaStore struct {
	*memory.Store
	others, quota atomic.Int64
}

func (s *quotaStore) count(ctx context.Context) (all int64) {
	page, err := s.Segments(ctx, 0, 1<<30)
	for after := lock.Seq(0); err == nil && len(page) > 0; page, err = s.Segments(ctx, after, 1<<30) {
		for _, g := range page {
			all += int64(len(g.Bytes))
			after = g.Last
		}
	}
	return all
}

func (s *quotaStore) keep(t *testing.T, cfg journal.KeepConfig, logs *strings.Builder) *kept {
	t.Helper()
	j := journal.New(s)
	table, err := table.Open(t.Context(), j, table.Config{Published: j.Publish})
	if err != nil {
		t.Fatal(err)
	}
	cfg.Journal, cfg.Recorder = j, table
	cfg.Used = func(ctx context.Context) (int64, error) { return s.count(ctx), nil }
	cfg.Space = func(ctx context.Context) (int64, int64, error) {
		return s.others.Load() + s.count(ctx), s.quota.Load(), nil
	}
	cfg.Logger = slog.New(slog.NewTextHandler(logs, nil))
	k := journal.Keep(cfg)
	t.Cleanup(func() { k.Close(); table.Close(); j.Close() })
	return &kept{table, j, k}
}

// A store with a quota keeps a week, and a quarter of the quota, whatever the settings say.
func TestSharedStoreKeepsAWeekAndAQuarter(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, logs := &quotaStore{Store: memory.New()}, new(strings.Builder)
		s.quota.Store(1 << 30)
		k := s.keep(t, journal.KeepConfig{Retention: journal.Retention{Age: 30 * 24 * time.Hour, Size: 4 << 30}, Every: time.Hour}, logs)
		for range 10 * 24 {
			k.notice(t)
			time.Sleep(time.Hour)
		}
		synctest.Wait()
		if n := k.count(t, lock.Started); n < 7*24-2 || n > 7*24+2 {
			t.Errorf("%d records of one an hour are left, want a week", n)
		}
		if begins := k.Begins().Time; time.Since(begins) < 6*24*time.Hour || time.Since(begins) > 8*24*time.Hour {
			t.Errorf("the log begins at %s", begins)
		}
		quota := s.count(t.Context()) // so that a quarter of it is left
		s.quota.Store(quota)
		time.Sleep(2 * time.Hour)
		synctest.Wait()
		if used := s.count(t.Context()); used > quota/4 || used < quota/6 {
			t.Errorf("%d bytes of a quota of %d are left, want a quarter", used, quota)
		}
		if n := strings.Count(logs.String(), "no archive"); n < 2 || n > 4 {
			t.Errorf("said %d times that records are gone, want once a day:\n%s", n, logs)
		}
	})
}

// A store that is more than half full gives up some records every ten minutes, not all at
// once: the space shows only once the store has been compacted.
func TestSharedStoreGivesUpRecordsWhilePressed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &quotaStore{Store: memory.New()}
		s.quota.Store(1 << 30)
		k := s.keep(t, journal.KeepConfig{Every: time.Minute}, new(strings.Builder))
		for range 600 {
			k.notice(t)
			time.Sleep(time.Minute)
		}
		synctest.Wait()
		before := s.count(t.Context())
		s.others.Store(600 << 20)
		time.Sleep(6 * time.Minute)
		synctest.Wait()
		if used := s.count(t.Context()); used > before*15/16 || used < before*3/4 {
			t.Errorf("%d of %d bytes are left after the first step", used, before)
		}
		time.Sleep(40 * time.Minute)
		synctest.Wait()
		later := s.count(t.Context())
		if later > before*3/4 || later < before/3 {
			t.Errorf("%d of %d bytes are left after four more steps", later, before)
		}
		s.others.Store(0)
		time.Sleep(time.Hour)
		synctest.Wait()
		if used := s.count(t.Context()); used < later*7/8 {
			t.Errorf("%d bytes are left, and there was space again at %d", used, later)
		}
	})
}

// brokenArchive cannot be written.
type brokenArchive struct {
	journal.Archive
	err   atomic.Pointer[error]
	asked atomic.Int64
}

func (a *brokenArchive) Keep(context.Context, lock.Seq, lock.Seq) error {
	a.asked.Add(1)
	if err := a.err.Load(); err != nil {
		return *err
	}
	return nil
}

func (a *brokenArchive) Oldest(upTo lock.Seq) lock.Seq { return upTo }

func (a *brokenArchive) Segments(context.Context, lock.Seq, int) ([]lock.Segment, error) {
	return nil, nil
}

// What is not in the archive stays in the store, and no record says that it was pruned.
func TestPruneWaitsForTheArchive(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		k := keep(t, journal.Retention{Age: time.Hour}, nil)
		a, full := new(brokenArchive), errors.New("no space left on device")
		a.err.Store(&full)
		k.SetArchive(a)
		for range 120 {
			k.notice(t)
			time.Sleep(time.Minute)
		}
		synctest.Wait()
		if k.Pruned().Seq != 0 || k.count(t, lock.Pruned) != 0 || a.asked.Load() == 0 {
			t.Errorf("pruned up to %d; the archive was asked %d times", k.Pruned().Seq, a.asked.Load())
		}
		a.err.Store(nil)
		time.Sleep(2 * time.Minute)
		synctest.Wait()
		if n := k.count(t, lock.Started); n < 55 || n > 62 {
			t.Errorf("%d records of one each minute are left of an hour", n)
		}
	})
}
