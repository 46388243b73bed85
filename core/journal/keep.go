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
)

// How often a checkpoint is made while there is something new. The number leaves room
// for what is recorded until the checkpoint is.
const (
	CheckpointEvery   = time.Minute
	checkpointRecords = 4096 // so that there are never 10,000 without, even where this goroutine has to wait for its turn
)

// Recorder records an event that changes no lease; a table.Table is one.
type Recorder interface {
	Append(ctx context.Context, e lock.Event) (lock.Seq, error)
	// Full reports whether the last space should be left to others.
	Full() bool
}

// Retention says how much of a journal is kept. Zero members are no bound.
type Retention struct {
	Age  time.Duration // what is older is pruned
	Size int64         // of the store, in bytes, above which the oldest is pruned
	Keep time.Duration // what is younger is never pruned
}

// The longest ttl is asked for at most once a second, and so seldom that this takes a
// hundredth of the time. What is younger than twice the time between is never pruned, so
// a lease that was given since is safe.
const (
	longestEvery = time.Second
	longestShare = 100
)

// KeepConfig says how a journal is to be kept. Journal and Recorder must be set.
type KeepConfig struct {
	Journal  *Journal
	Recorder Recorder
	Retention
	// LongestTTL returns the longest ttl of the leases there are; nil: it does not
	// matter. What is younger than twice that is never pruned: there every live lease has
	// its grant or a renewal on record. It may take a while; it is asked only when there
	// is something to prune, and rarely if it takes long.
	LongestTTL func() time.Duration
	// Used returns the bytes the store uses; nil: they are not bounded.
	Used func(ctx context.Context) (int64, error)
	// BeforePrune is called before everything up to an event is forgotten, and may record
	// again what the rest cannot be read without; nil: there is no such thing. An error
	// puts the pruning off.
	BeforePrune func(ctx context.Context, upTo lock.Seq) error

	Every  time.Duration // between looks at the retention; 0 means a second
	Logger *slog.Logger  // nil: nothing is logged
}

// Keeper signs checkpoints and prunes. Make one with [Keep].
type Keeper struct {
	cfg  KeepConfig
	stop context.CancelFunc
	done sync.WaitGroup

	failing bool // the newest look at the retention failed, and was logged
	longest time.Duration
	asked   time.Time     // for longest
	valid   time.Duration // from then on
	clock   wallClock
}

// Keep begins to keep a journal. The caller closes the keeper before what it keeps.
func Keep(cfg KeepConfig) *Keeper {
	if cfg.Every == 0 {
		cfg.Every = time.Second
	}
	if cfg.Logger == nil {
		cfg.Logger = slog.New(slog.DiscardHandler)
	}
	ctx, stop := context.WithCancel(context.Background())
	k := &Keeper{cfg: cfg, stop: stop, clock: newWallClock(cfg.Journal.loaded)}
	signed := cfg.Journal.Head() // by the server before, or nearly: this one's start is on record soon
	k.done.Go(func() { k.sign(ctx, signed) })
	k.done.Go(func() { k.prune(ctx) })
	return k
}

// Close ends the keeping and waits for what is under way.
func (k *Keeper) Close() error {
	k.stop()
	k.done.Wait()
	return nil
}

// sign makes checkpoints until ctx ends.
func (k *Keeper) sign(ctx context.Context, signed lock.Seq) {
	own := false // signed is a number of this run
	for {
		k.untilDue(ctx, signed, own)
		if ctx.Err() != nil {
			return
		}
		seq, err := k.checkpoint(ctx)
		if err == nil {
			signed, own = seq, true
			continue
		}
		if sleep.For(ctx, time.Second) != nil || errors.Is(err, lock.ErrClosed) {
			return
		}
	}
}

// untilDue waits for something new, and then for a minute or many records more,
// whatever comes first. Numbers jump at the start of a server, and only there.
func (k *Keeper) untilDue(ctx context.Context, signed lock.Seq, own bool) {
	if k.cfg.Journal.Wait(ctx, signed) != nil {
		sleep.For(ctx, time.Second) // the journal is closed; soon so is the keeper
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

// prune looks at the retention now and then until ctx ends.
func (k *Keeper) prune(ctx context.Context) {
	j := k.cfg.Journal
	k.lookAtClock()
	// What an earlier prune may have left behind.
	if cut := j.cut.Load(); cut.Seq != 0 {
		k.report(ctx, j.store.Prune(ctx, *cut))
	}
	for sleep.For(ctx, k.cfg.Every) == nil {
		k.lookAtClock()
		k.report(ctx, k.Prune(ctx))
	}
}

// report logs a failure once until it is over: it may be for want of a file descriptor.
// A full disk is reported by others.
func (k *Keeper) report(ctx context.Context, err error) {
	failing := err != nil && ctx.Err() == nil && !errors.Is(err, lock.ErrFull) && !errors.Is(err, lock.ErrClosed)
	if failing && !k.failing {
		k.cfg.Logger.Warn("the journal could not be pruned; trying again every second", "err", err)
	}
	k.failing = failing
}

// Prune forgets what the retention does not keep, if there is anything.
func (k *Keeper) Prune(ctx context.Context) error {
	for {
		cut, cause, err := k.obsolete(ctx)
		if err != nil || cut.Seq == 0 {
			return err
		}
		if k.cfg.Recorder.Full() {
			return lock.ErrFull // the last space is for the ends of leases
		}
		if k.cfg.BeforePrune != nil {
			if err := k.cfg.BeforePrune(ctx, cut.Seq); err != nil {
				return fmt.Errorf("before pruning: %w", err)
			}
		}
		// First it is recorded, then it happens.
		if _, err := k.cfg.Recorder.Append(ctx, lock.Event{Kind: lock.Pruned, Cause: cause, Cut: cut}); err != nil {
			return fmt.Errorf("record the pruning: %w", err)
		}
		if err := k.cfg.Journal.Prune(ctx, cut); err != nil {
			return err
		}
	}
}

// obsolete returns what to prune next, a moderate number of segments, and why; the
// zero Head if there is nothing.
func (k *Keeper) obsolete(ctx context.Context) (cut lock.Head, cause string, err error) {
	j, r, now := k.cfg.Journal, k.cfg.Retention, time.Now()
	if k.clock.doubted(now) {
		r.Age = 0
	}
	excess, err := k.excess(ctx)
	if err != nil {
		return cut, "", err
	}
	page, err := j.Scan(ctx, j.Oldest(), 1) // mostly there is nothing to do
	if err != nil || len(page) == 0 || !r.forgets(page[0], now, excess) {
		return cut, "", err
	}
	if r.Keep = max(r.Keep, k.protected(now)); !r.forgets(page[0], now, excess) {
		return cut, "", nil
	}
	if excess <= 0 && !r.tooOld(page[0], now.Add(-r.slack())) {
		return cut, "", nil // a little more may gather
	}
	last, cut, err := forgotten(ctx, j, &r, now, excess)
	if err != nil || cut.Seq == 0 {
		return cut, "", err
	}
	cause = fmt.Sprintf("kept for %s", r.Age)
	if !r.tooOld(last, now) {
		cause = fmt.Sprintf("kept up to %d bytes", r.Size)
	}
	return cut, cause, nil
}

// protected is the age up to which records are kept for the sake of live leases.
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

// forgotten looks from the oldest segment on for the last one that is to be forgotten,
// and returns its head with it; the zero Head if there is none. It does not look far.
func forgotten(ctx context.Context, j *Journal, r *Retention, now time.Time, excess int64) (last lock.Segment, cut lock.Head, err error) {
	const most = 8 * pageEvents
	newest := j.Head()
	reader := j.From(j.Oldest())
	for events := 0; events < most; {
		page, err := reader.Next(ctx)
		if err != nil || len(page) == 0 {
			return last, cut, err
		}
		for _, s := range page {
			if s.Last >= newest || !r.forgets(s, now, excess) {
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

// excess returns how many bytes of the store have to go: none, or as many as make it a
// little smaller than it may be, so that it takes a while until it is too large again.
func (k *Keeper) excess(ctx context.Context) (int64, error) {
	if k.cfg.Used == nil || k.cfg.Size == 0 {
		return 0, nil
	}
	used, err := k.cfg.Used(ctx)
	if err != nil || used <= k.cfg.Size {
		return 0, err
	}
	return used - k.cfg.Size + k.cfg.Size/32, nil
}

// slack is for how long what is too old is left to gather: each prune is a record
// that gets too old itself.
func (r *Retention) slack() time.Duration { return min(r.Age/32, time.Minute) }

// forgets does not take what seems to come from the future, after the clock was set
// back, for young: it would keep everything behind it, too.
func (r *Retention) forgets(s lock.Segment, now time.Time, excess int64) bool {
	if age := now.Sub(s.Time); age > -time.Minute && age < r.Keep {
		return false
	}
	return r.tooOld(s, now) || excess > 0
}

func (r *Retention) tooOld(s lock.Segment, now time.Time) bool {
	return r.Age > 0 && now.Sub(s.Time) >= r.Age
}

// Prune forgets all segments up to the one whose last event is cut. That it is going
// to happen has been recorded.
func (j *Journal) Prune(ctx context.Context, cut lock.Head) error {
	if cut.Seq >= j.Head() {
		return fmt.Errorf("prune up to %d of a journal that ends at %d", cut.Seq, j.Head())
	}
	j.cut.Store(&cut)
	return j.store.Prune(ctx, cut)
}
