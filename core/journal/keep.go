package journal

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/octostore/octostore/core/journal/record"
	"github.com/octostore/octostore/core/lock"
	"github.com/octostore/octostore/core/sleep"
	"github.com/octostore/octostore/core/wallclock"
)

// How often a checkpoint is made while there are new records. The number leaves room for
// records that are written before the checkpoint is.
const (
	CheckpointEvery   = time.Minute
	checkpointRecords = 4096 // never 10,000 records without one, even if the Keeper has to wait
)

// Recorder records events that change no lease; a table.Table is one.
type Recorder interface {
	Append(ctx context.Context, e lock.Event) (lock.Seq, error)
	// Full reports whether the last disk space is reserved for the ends of leases.
	Full() bool
}

// Retention says how much of a journal is kept in the store. Zero members are no limit. In a
// store with a quota (KeepConfig.Space) that is a week and a quarter of the quota at most,
// and never less than an hour.
type Retention struct {
	Age  time.Duration // older records are pruned
	Size int64         // bytes of the store; above them the oldest records are pruned
	Keep time.Duration // younger records are never pruned
}

// KeepConfig.LongestTTL is called at most once per second, and so rarely that it takes at
// most a hundredth of the time. Records younger than twice that interval are never pruned,
// so a lease that was granted since the last call is safe.
const (
	longestEvery = time.Second
	longestShare = 100
)

// KeepConfig configures a [Keeper]. Journal and Recorder must be set.
type KeepConfig struct {
	Journal  *Journal
	Recorder Recorder
	Retention
	// LongestTTL returns the longest ttl of all live leases; nil: leases do not matter.
	// Records younger than twice that are never pruned, so every live lease keeps its
	// grant or a renewal on record. It may be slow; it is called only when there is
	// something to prune, and rarely if it takes long.
	LongestTTL func() time.Duration
	// Used returns how many bytes the store uses; nil: there is no limit.
	Used func(ctx context.Context) (int64, error)
	// Space returns how many bytes of a store with a quota are in use, by whatever uses it, and
	// the quota; nil: the store has none. The journal is kept smaller then, see Retention.
	Space func(ctx context.Context) (inUse, quota int64, err error)
	// BeforePrune is called before everything up to an event is pruned. It may record again
	// what the remaining records cannot be read without. An error postpones the pruning.
	// Nil: there is nothing to do.
	BeforePrune func(ctx context.Context, upTo lock.Seq) error

	Every  time.Duration // between checks of the retention; 0 means a second
	Logger *slog.Logger  // nil: no log
}

// Keeper signs checkpoints and prunes. Make one with [Keep].
type Keeper struct {
	cfg  KeepConfig
	stop context.CancelFunc
	done sync.WaitGroup

	failing bool // the last check of the retention failed, and was logged
	longest time.Duration
	asked   time.Time     // when longest was determined
	valid   time.Duration // for how long longest is used after that
	clock   wallclock.Clock

	pressure pressure // used by the goroutine that prunes, as are the others
	told     lock.Seq // up to where tellLoss said that records are gone
	toldAt   time.Time
}

// Keep starts a keeper. The caller closes it before the journal and the recorder.
func Keep(cfg KeepConfig) *Keeper {
	if cfg.Every == 0 {
		cfg.Every = time.Second
	}
	if cfg.Logger == nil {
		cfg.Logger = slog.New(slog.DiscardHandler)
	}
	ctx, stop := context.WithCancel(context.Background())
	k := &Keeper{cfg: cfg, stop: stop, clock: wallclock.New(cfg.Journal.newestAtLoad)}
	signed := cfg.Journal.Head() // almost all of it is signed by the last run; the start of this run is recorded soon
	k.done.Go(func() { k.sign(ctx, signed) })
	k.done.Go(func() { k.prune(ctx) })
	return k
}

// Close stops the keeper, and waits for its goroutines.
func (k *Keeper) Close() error {
	k.stop()
	k.done.Wait()
	return nil
}

// sign makes checkpoints until ctx ends.
func (k *Keeper) sign(ctx context.Context, signed lock.Seq) {
	own := false // signed is a sequence number of this run
	for {
		k.waitUntilDue(ctx, signed, own)
		if ctx.Err() != nil {
			return
		}
		seq, err := k.checkpoint(ctx)
		if err == nil {
			signed, own = seq, true
			continue
		}
		if sleep.For(ctx, time.Second) != nil || ended(err) {
			return
		}
	}
}

// waitUntilDue waits for a new record, and then for a minute or for many more records,
// whichever comes first. Sequence numbers jump only when a server starts.
func (k *Keeper) waitUntilDue(ctx context.Context, signed lock.Seq, own bool) {
	if k.cfg.Journal.Wait(ctx, signed) != nil {
		sleep.For(ctx, time.Second) // the journal is closed, and the keeper will be
		return
	}
	if !own {
		signed = k.cfg.Journal.Head()
	}
	most, cancel := context.WithTimeout(ctx, CheckpointEvery)
	defer cancel()
	_ = k.cfg.Journal.Wait(most, signed+checkpointRecords)
}

func (k *Keeper) checkpoint(ctx context.Context) (lock.Seq, error) {
	if k.cfg.Recorder.Full() {
		return 0, lock.ErrFull
	}
	return k.cfg.Recorder.Append(ctx, lock.Event{Kind: lock.Checkpoint})
}

// prune applies the retention at intervals, until ctx ends.
func (k *Keeper) prune(ctx context.Context) {
	j := k.cfg.Journal
	k.checkClock()
	// An earlier prune may have left segments behind.
	if cut := j.Pruned(); cut.Seq != 0 {
		k.report(ctx, j.store.Prune(ctx, cut))
	}
	for sleep.For(ctx, k.cfg.Every) == nil {
		k.checkClock()
		k.report(ctx, k.Prune(ctx))
		j.lookForOldest(ctx)
		k.tellLoss()
	}
}

// checkClock logs a jump of the clock that would have every record pruned.
func (k *Keeper) checkClock() {
	now := time.Now()
	if ahead, doubted := k.clock.Check(now, k.cfg.Age); doubted {
		k.cfg.Logger.Warn(
			"the clock is ahead of the newest record by more than the journal is kept: nothing is pruned for its age for a while; if the clock is wrong, set it right before",
			"ahead", ahead.Round(time.Second),
			"until", k.clock.TrustedFrom().Format(time.RFC3339),
		)
	}
}

// ended reports whether an error says that the table is closed, here or because it has moved.
func ended(err error) bool { return errors.Is(err, lock.ErrClosed) || errors.Is(err, lock.ErrDeposed) }

// report logs the first of several failures in a row, such as a lack of file descriptors.
// A full disk is reported elsewhere.
func (k *Keeper) report(ctx context.Context, err error) {
	failing := err != nil && ctx.Err() == nil && !errors.Is(err, lock.ErrFull) && !ended(err)
	if failing && !k.failing {
		k.cfg.Logger.Warn("the journal could not be pruned; trying again every second", "err", err)
	}
	k.failing = failing
}

// Prune removes the records that the retention does not keep, if there are any.
func (k *Keeper) Prune(ctx context.Context) error {
	for {
		cut, cause, err := k.nextCut(ctx)
		if err != nil || cut.Seq == 0 {
			return err
		}
		if k.cfg.Recorder.Full() && k.cfg.Space == nil {
			return lock.ErrFull // the last space is reserved for the ends of leases
		}
		if a := k.cfg.Journal.Archive(); a != nil {
			if err := a.Keep(ctx, k.cfg.Journal.Pruned().Seq, cut.Seq); err != nil {
				return fmt.Errorf("into the archive: %w", err)
			}
		}
		if k.cfg.BeforePrune != nil {
			if err := k.cfg.BeforePrune(ctx, cut.Seq); err != nil {
				return fmt.Errorf("before pruning: %w", err)
			}
		}
		// The record comes before the deed.
		if _, err := k.cfg.Recorder.Append(ctx, lock.Event{Kind: lock.Pruned, Cause: cause, Cut: cut}); err != nil {
			return fmt.Errorf("record the pruning: %w", err)
		}
		if err := k.cfg.Journal.Prune(ctx, cut); err != nil {
			return err
		}
	}
}

// nextCut returns up to where to prune next, a moderate number of segments, and why. The
// zero Head means that there is nothing to prune.
func (k *Keeper) nextCut(ctx context.Context) (cut lock.Head, cause string, err error) {
	j, now := k.cfg.Journal, time.Now()
	r, excess, err := k.limits(ctx, now)
	if err != nil {
		return cut, "", err
	}
	if k.clock.Doubted(now) {
		r.Age = 0
	}
	page, err := j.Scan(ctx, j.Pruned().Seq, 1) // usually there is nothing to do
	if err != nil || len(page) == 0 || !r.prunable(page[0], now, excess) {
		return cut, "", err
	}
	if r.Keep = max(r.Keep, k.protected(now)); !r.prunable(page[0], now, excess) {
		return cut, "", nil
	}
	if excess <= 0 && !r.tooOld(page[0], now.Add(-r.slack())) {
		return cut, "", nil // wait until there is more to prune
	}
	last, cut, err := lastPrunable(ctx, j, &r, now, excess)
	if err != nil || cut.Seq == 0 {
		return cut, "", err
	}
	cause = fmt.Sprintf("kept for %s", r.Age)
	if !r.tooOld(last, now) {
		cause = fmt.Sprintf("kept up to %d bytes", r.Size)
	}
	return cut, cause, nil
}

// protected returns the age up to which records are kept for live leases.
func (k *Keeper) protected(now time.Time) time.Duration {
	if k.cfg.LongestTTL == nil {
		return 0
	}
	if k.asked.IsZero() || now.Sub(k.asked) >= k.valid {
		k.asked = time.Now()
		k.longest = k.cfg.LongestTTL()
		k.valid = max(longestEvery, longestShare*time.Since(k.asked))
	}
	return 2 * max(k.longest, k.valid)
}

// lastPrunable returns the last of the oldest segments that can be pruned, and its head;
// the zero Head if there is none. It looks at a limited number of segments.
func lastPrunable(
	ctx context.Context,
	j *Journal,
	r *Retention,
	now time.Time,
	excess int64,
) (last lock.Segment, cut lock.Head, err error) {
	const most = 8 * pageEvents
	newest := j.Head()
	reader := j.From(j.Pruned().Seq)
	for events := 0; events < most; {
		page, err := reader.Next(ctx)
		if err != nil || len(page) == 0 {
			return last, cut, err
		}
		for _, s := range page {
			if s.Last >= newest || !r.prunable(s, now, excess) {
				return last, cut, nil
			}
			if cut, err = record.HeadOf(s); err != nil {
				return last, cut, err
			}
			last = lock.Segment{First: s.First, Last: s.Last, Time: s.Time}
			excess -= int64(len(s.Bytes))
			events += s.Count
		}
	}
	return last, cut, nil
}

// slack is how long records stay when they are too old already. Each prune makes a record,
// so pruning each record by itself would never end.
func (r *Retention) slack() time.Duration { return min(r.Age/32, time.Minute) }

// prunable reports whether the retention lets a segment go. A record from the future, left
// after a clock was set back, does not count as young: it would protect everything after it.
func (r *Retention) prunable(s lock.Segment, now time.Time, excess int64) bool {
	if age := now.Sub(s.Time); age > -time.Minute && age < r.Keep {
		return false
	}
	return r.tooOld(s, now) || excess > 0
}

func (r *Retention) tooOld(s lock.Segment, now time.Time) bool {
	return r.Age > 0 && now.Sub(s.Time) >= r.Age
}

// Prune removes all segments up to the one whose last event is cut. The caller has
// recorded it.
func (j *Journal) Prune(ctx context.Context, cut lock.Head) error {
	if cut.Seq >= j.Head() {
		return fmt.Errorf("prune up to %d of a journal that ends at %d", cut.Seq, j.Head())
	}
	j.pruned.Store(&cut)
	return j.store.Prune(ctx, cut)
}
