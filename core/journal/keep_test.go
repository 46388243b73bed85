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
	"github.com/octostore/octostore/core/journal/journaltest"
	"github.com/octostore/octostore/core/lock"
	"github.com/octostore/octostore/core/store/memory"
	"github.com/octostore/octostore/core/table"
)

// kept is a table whose journal is kept.
type kept struct {
	*table.Table
	*journal.Journal
	keeper *journal.Keeper
}

func keep(t *testing.T, r journal.Retention, used func(context.Context) (int64, error)) *kept {
	t.Helper()
	j := journal.New(memory.New())
	table, err := table.Open(t.Context(), j, table.Config{Published: j.Publish})
	if err != nil {
		t.Fatal(err)
	}
	k := journal.Keep(journal.KeepConfig{Journal: j, Recorder: table, Retention: r, Used: used})
	t.Cleanup(func() { k.Close(); table.Close(); j.Close() })
	return &kept{table, j, k}
}

// notice records something, so that there is something new.
func (k *kept) notice(t *testing.T) {
	t.Helper()
	if _, err := k.Append(t.Context(), lock.Event{Kind: lock.Started}); err != nil {
		t.Fatal(err)
	}
}

// count returns how many events of a kind can be read.
func (k *kept) count(t *testing.T, kind lock.Kind) (n int) {
	t.Helper()
	for _, r := range records(t, journaltest.Export(t, k.Journal, journal.Query{After: k.Oldest()})) {
		if r.Kind == kind {
			n++
		}
	}
	return n
}

func TestCheckpointEveryMinuteWithNewRecords(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		k := keep(t, journal.Retention{}, nil)
		for minute, want := range []int{0, 1, 2, 2, 2, 3} {
			if got := k.count(t, lock.Checkpoint); got != want {
				t.Errorf("after %d minutes: %d checkpoints, want %d", minute, got, want)
			}
			if minute < 2 || minute == 4 {
				k.notice(t)
			}
			time.Sleep(time.Minute + time.Second)
			synctest.Wait()
		}
		d, err := verifyFile(journaltest.Export(t, k.Journal, journal.Query{}))
		if err != nil || d.Records != 6 {
			t.Errorf("%+v, %v", d, err)
		}
	})
}

func TestCheckpointWithinTenThousandRecords(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		k := keep(t, journal.Retention{}, nil)
		for range 18_000 {
			k.notice(t)
		}
		synctest.Wait()
		since, most := 0, 0
		for _, r := range records(t, journaltest.Export(t, k.Journal, journal.Query{})) {
			if since++; r.Kind == lock.Checkpoint {
				since = 0
			}
			most = max(most, since)
		}
		if n := k.count(t, lock.Checkpoint); most >= 10_000 || n < 2 || n > 5 {
			t.Errorf("%d records in a row without a checkpoint, %d checkpoints", most, n)
		}
	})
}

func TestPruneByAgeIsRecorded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		k := keep(t, journal.Retention{Age: time.Hour}, nil)
		for range 3 * 60 {
			k.notice(t)
			time.Sleep(time.Minute)
		}
		synctest.Wait()
		if n := k.count(t, lock.Started); n < 59 || n > 62 {
			t.Errorf("%d records of one each minute are left of an hour", n)
		}
		if k.count(t, lock.Pruned) == 0 {
			t.Error("nothing says that something was pruned")
		}
		if d, err := verifyFile(journaltest.Export(t, k.Journal, journal.Query{After: k.Oldest()})); err != nil || !d.Complete {
			t.Errorf("the rest: %+v, %v", d, err)
		}
		// With nothing new, even the newest record gets old; it stays.
		time.Sleep(24 * time.Hour)
		synctest.Wait()
		if k.Oldest() >= k.Head() || k.count(t, lock.Pruned) == 0 {
			t.Error("nothing is left")
		}
	})
}

// What the rest cannot be read without is recorded again before the record of it goes; as
// long as that fails nothing is pruned.
func TestPruneRecordsNeededEventsAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		j := journal.New(memory.New())
		table, err := table.Open(t.Context(), j, table.Config{Published: j.Publish})
		if err != nil {
			t.Fatal(err)
		}
		var fails atomic.Bool
		k := &kept{Table: table, Journal: j}
		var at lock.Seq
		k.keeper = journal.Keep(journal.KeepConfig{
			Journal: j, Recorder: table, Retention: journal.Retention{Age: time.Hour},
			BeforePrune: func(ctx context.Context, upTo lock.Seq) error {
				if fails.Load() {
					return errors.New("not now")
				}
				if upTo < at {
					return nil
				}
				var err error
				at, err = table.Append(ctx, lock.Event{Kind: lock.PoliciesLoaded})
				return err
			},
		})
		defer func() { k.keeper.Close(); table.Close(); j.Close() }()
		for range 5 * 60 {
			k.notice(t)
			time.Sleep(time.Minute)
			synctest.Wait()
			if n := k.count(t, lock.PoliciesLoaded); k.Oldest() > 0 && (n < 1 || n > 2) {
				t.Fatalf("%d records of what is needed are left", n)
			}
		}
		fails.Store(true)
		before := k.Oldest()
		time.Sleep(2 * time.Hour)
		if k.Oldest() != before {
			t.Error("it was pruned although what is needed could not be recorded")
		}
	})
}

func TestPruneBySizeKeepsYoungRecords(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var excess atomic.Int64
		used := func(context.Context) (int64, error) { return 1000 + excess.Load(), nil }
		k := keep(t, journal.Retention{Age: 100 * time.Hour, Size: 1000, Keep: time.Hour}, used)
		for range 120 {
			k.notice(t)
			time.Sleep(time.Minute)
		}
		excess.Store(1 << 20)
		time.Sleep(2 * time.Second)
		synctest.Wait()
		excess.Store(0)
		if n := k.count(t, lock.Started); n < 59 || n > 61 {
			t.Errorf("%d records are left, want those of the last hour", n)
		}
		for _, r := range records(t, journaltest.Export(t, k.Journal, journal.Query{After: k.Oldest()})) {
			if r.Kind == lock.Pruned && !strings.Contains(r.Cause, "1000 bytes") {
				t.Errorf("the cause is %q", r.Cause)
			}
		}
	})
}

// The records of a live lease are kept for as long as its ttl can make them needed,
// whatever the limits say, and no longer than the lease lives.
func TestKeepsWhatTheLongestLeaseNeeds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		j := journal.New(memory.New())
		table, err := table.Open(t.Context(), j, table.Config{Published: j.Publish})
		if err != nil {
			t.Fatal(err)
		}
		used := func(context.Context) (int64, error) { return 1 << 20, nil }
		keeper := journal.Keep(journal.KeepConfig{
			Journal: j, Recorder: table, LongestTTL: table.LongestTTL, Used: used,
			Retention: journal.Retention{Age: time.Hour, Size: 1000},
		})
		defer func() { keeper.Close(); table.Close(); j.Close() }()
		k := &kept{table, j, keeper}
		g, err := table.Acquire(t.Context(), lock.Acquisition{Name: "long", TTL: 48 * time.Hour})
		if err != nil {
			t.Fatal(err)
		}
		for range 47 {
			k.notice(t)
			time.Sleep(time.Hour)
		}
		synctest.Wait()
		if n := k.count(t, lock.Granted); n != 1 {
			t.Errorf("%d grants are on record, and the lease is live", n)
		}
		if _, err := table.Release(t.Context(), lock.ReleaseRequest{Name: "long", LeaseID: g.LeaseID}); err != nil {
			t.Fatal(err)
		}
		time.Sleep(2 * time.Minute)
		synctest.Wait()
		if n := k.count(t, lock.Granted); n != 0 {
			t.Error("the grant is on record, and the lease has ended")
		}
	})
}

// A lease may be given between two looks at the longest ttl, which are rare where a look
// takes long.
func TestKeepsWhatALeaseGivenSinceNeeds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		j := journal.New(memory.New())
		table, err := table.Open(t.Context(), j, table.Config{Published: j.Publish})
		if err != nil {
			t.Fatal(err)
		}
		used := func(context.Context) (int64, error) { return 1 << 20, nil }
		var looks atomic.Int64
		longest := func() time.Duration {
			looks.Add(1)
			found := table.LongestTTL()
			time.Sleep(600 * time.Millisecond)
			return found
		}
		keeper := journal.Keep(journal.KeepConfig{
			Journal: j, Recorder: table, LongestTTL: longest, Used: used, Retention: journal.Retention{Size: 1000},
		})
		defer func() { keeper.Close(); table.Close(); j.Close() }()
		k := &kept{table, j, keeper}
		for range 600 {
			k.notice(t)
			time.Sleep(time.Second)
		}
		if _, err := table.Acquire(t.Context(), lock.Acquisition{Name: "long", TTL: time.Hour}); err != nil {
			t.Fatal(err)
		}
		for range 600 {
			k.notice(t)
			time.Sleep(time.Second)
		}
		if k.count(t, lock.Granted) != 1 || k.count(t, lock.Pruned) == 0 {
			t.Errorf("%d grants, %d prunings on record", k.count(t, lock.Granted), k.count(t, lock.Pruned))
		}
		if n := looks.Load(); n < 2 || n > 21 {
			t.Errorf("it looked %d times in 20 minutes, want once a minute", n)
		}
	})
}

// A clock that was ahead once and was set back leaves records of the future. They must
// not keep what comes after them.
func TestRecordsOfTheFutureKeepNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := memory.New()
		ahead := journal.New(store)
		if _, err := ahead.Load(t.Context()); err != nil {
			t.Fatal(err)
		}
		b := &lock.Batch{Events: []lock.Event{{Seq: 1, Time: time.Now().Add(365 * 24 * time.Hour), Kind: lock.Started}}}
		if err := ahead.Commit(t.Context(), b); err != nil {
			t.Fatal(err)
		}
		j := journal.New(store)
		table, err := table.Open(t.Context(), j, table.Config{Published: j.Publish})
		if err != nil {
			t.Fatal(err)
		}
		used := func(context.Context) (int64, error) { return 1 << 20, nil }
		k := journal.Keep(journal.KeepConfig{Journal: j, Recorder: table, Used: used, Retention: journal.Retention{Size: 1000, Keep: time.Hour}})
		defer func() { k.Close(); table.Close(); j.Close() }()
		if _, err := table.Append(t.Context(), lock.Event{Kind: lock.Started}); err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Minute)
		synctest.Wait()
		if j.Oldest() != 1 {
			t.Errorf("pruned up to %d, want 1", j.Oldest())
		}
	})
}

// A clock that is far ahead at a start makes all there is too old. There is an hour to
// notice that and to set it right; then it is taken for the truth.
func TestPruneWaitsAnHourIfTheClockIsFarAheadAtTheStart(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := memory.New()
		before := journal.New(store)
		if _, err := before.Load(t.Context()); err != nil {
			t.Fatal(err)
		}
		for seq := range lock.Seq(3) {
			b := &lock.Batch{Events: []lock.Event{{Seq: seq + 1, Time: time.Now().Add(-365 * 24 * time.Hour), Kind: lock.Started}}}
			if err := before.Commit(t.Context(), b); err != nil {
				t.Fatal(err)
			}
		}
		var said strings.Builder
		j := journal.New(store)
		table, err := table.Open(t.Context(), j, table.Config{Published: j.Publish})
		if err != nil {
			t.Fatal(err)
		}
		if _, err := table.Append(t.Context(), lock.Event{Kind: lock.Started}); err != nil {
			t.Fatal(err)
		}
		k := journal.Keep(journal.KeepConfig{
			Journal: j, Recorder: table, Retention: journal.Retention{Age: 30 * 24 * time.Hour},
			Logger: slog.New(slog.NewTextHandler(&said, nil)),
		})
		defer func() { k.Close(); table.Close(); j.Close() }()
		time.Sleep(59 * time.Minute)
		synctest.Wait()
		if j.Oldest() != 0 || strings.Count(said.String(), "ahead=8760h0m0s") != 1 {
			t.Errorf("pruned up to %d; it said %s", j.Oldest(), &said)
		}
		time.Sleep(2 * time.Minute)
		synctest.Wait()
		if j.Oldest() != 3 {
			t.Errorf("after an hour pruned up to %d, want 3", j.Oldest())
		}
	})
}

// A prune that cannot be recorded does not happen.
func TestFullDiskKeepsFromPruning(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := &refusing{Store: memory.New()}
		j := journal.New(store)
		table, err := table.Open(t.Context(), j, table.Config{Published: j.Publish})
		if err != nil {
			t.Fatal(err)
		}
		k := journal.Keep(journal.KeepConfig{Journal: j, Recorder: table, Retention: journal.Retention{Age: time.Hour}})
		defer func() { k.Close(); table.Close(); j.Close() }()
		for range 2 {
			if _, err := table.Append(t.Context(), lock.Event{Kind: lock.Started}); err != nil {
				t.Fatal(err)
			}
		}
		time.Sleep(time.Hour - 10*time.Second) // the keeper has not noticed the full store yet
		store.refuse.Store(true)
		time.Sleep(time.Hour)
		synctest.Wait()
		if j.Oldest() != 0 {
			t.Errorf("pruned up to %d without a record of it", j.Oldest())
		}
		store.refuse.Store(false)
		if _, err := table.Append(t.Context(), lock.Event{Kind: lock.Started}); err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Minute)
		synctest.Wait()
		if j.Oldest() == 0 {
			t.Error("not pruned although there is space again")
		}
	})
}

// countedRecorder counts how often it is asked to record.
type countedRecorder struct {
	*table.Table
	asked atomic.Int64
}

func (r *countedRecorder) Append(ctx context.Context, e lock.Event) (lock.Seq, error) {
	r.asked.Add(1)
	return r.Table.Append(ctx, e)
}

// The keeper of a table that another process owns has nothing to do any more, and nothing to say.
func TestKeeperEndsWithADeposedTable(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		j := journal.New(memory.New())
		tab, err := table.Open(t.Context(), j, table.Config{Published: j.Publish})
		if err != nil {
			t.Fatal(err)
		}
		r := &countedRecorder{Table: tab}
		if _, err := tab.Append(t.Context(), lock.Event{Kind: lock.Started}); err != nil {
			t.Fatal(err)
		}
		var log strings.Builder
		k := journal.Keep(journal.KeepConfig{
			Journal: j, Recorder: r, Retention: journal.Retention{Age: time.Minute}, Logger: slog.New(slog.NewTextHandler(&log, nil)),
		})
		tab.Depose()
		time.Sleep(time.Hour)
		if err := k.Close(); err != nil || r.asked.Load() > 2 || log.Len() > 0 {
			t.Errorf("%v, after an hour it had asked %d times and said: %s", err, r.asked.Load(), log.String())
		}
		tab.Close()
		j.Close()
	})
}
