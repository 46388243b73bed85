// Package activity keeps what a lock table did in the last hour, in steps of ten seconds, for
// pages and terminals that show it. It begins empty at every start of the server.
//
// A [Recorder] reads the audit log as any other reader does, a moment behind its head, and the
// statistics of the table at the end of each step. Requests never wait for it. Its memory is
// bounded whatever the names of locks are: see [Recorder.Busiest].
package activity

import (
	"context"
	"sync"
	"sync/atomic"
	"time"

	"github.com/octostore/octostore/core/journal"
	"github.com/octostore/octostore/core/journal/record"
	"github.com/octostore/octostore/core/lock"
	"github.com/octostore/octostore/core/table"
	"github.com/octostore/octostore/transport/api"
)

const (
	// Step is the length of a step.
	Step = 10 * time.Second
	// Kept is how many steps are kept.
	Kept = 360

	// gather is how long events gather before they are read. At 40,000 events a second they
	// are still in the memory of the journal then.
	gather = 100 * time.Millisecond
)

// Config has the sources of a [Recorder].
type Config struct {
	Journal *journal.Journal
	Stats   func() table.Stats // of the journal's table
}

// Recorder records the activity of a table. Make one with [Open], and close it; its methods are
// safe for use by many goroutines.
type Recorder struct {
	cfg       Config
	conflicts atomic.Uint64 // since the start

	mu      sync.Mutex
	buckets []api.ActivityBucket // oldest first
	busy    *busiest

	// Of the goroutine that records:
	reader *journal.Reader
	now    counts
	last   totals

	end  context.CancelFunc
	done chan struct{}
}

// counts are of the step that goes on.
type counts struct {
	grants, waited, releases, renewals, denials, expirations, breaks, undone int64
	waits                                                                    spans
}

// totals are counts since the start, as they were at the end of the last step.
type totals struct {
	conflicts uint64
	stats     table.Stats
}

// Open begins to record.
func Open(cfg Config) *Recorder {
	ctx, end := context.WithCancel(context.Background())
	r := &Recorder{
		cfg: cfg, busy: newBusiest(), reader: cfg.Journal.From(cfg.Journal.Head()),
		end: end, done: make(chan struct{}),
	}
	r.last = totals{stats: cfg.Stats()}
	go r.record(ctx)
	return r
}

// Close ends the recording, and waits until it has ended. It always returns nil.
func (r *Recorder) Close() error {
	r.end()
	<-r.done
	return nil
}

// Conflict counts a request that was refused because the lock is held. The audit log does not
// have these by default.
func (r *Recorder) Conflict() { r.conflicts.Add(1) }

// Since returns the steps that ended after a time, oldest first.
func (r *Recorder) Since(after time.Time) []api.ActivityBucket {
	r.mu.Lock()
	defer r.mu.Unlock()
	from := len(r.buckets)
	for from > 0 && r.buckets[from-1].At.After(after) {
		from--
	}
	return append([]api.ActivityBucket{}, r.buckets[from:]...)
}

// Activity returns the steps that ended after a time, with the busiest locks and those whose
// waiters have waited longest.
func (r *Recorder) Activity(after time.Time, busy []api.BusyLock, waits []lock.View) api.Activity {
	a := api.Activity{StepMS: Step.Milliseconds(), Buckets: r.Since(after), Busiest: busy, Longest: []api.LongestWait{}}
	for _, v := range waits {
		l := api.LongestWait{Name: string(v.Name), WaitingSince: v.WaitingSince.UTC().Truncate(time.Millisecond), Waiters: v.Waiters}
		if v.Lease != nil {
			l.Holder, l.Account = v.Lease.Holder, v.Lease.Account
		}
		a.Longest = append(a.Longest, l)
	}
	return a
}

// Newest returns when the newest step ended; zero: none has.
func (r *Recorder) Newest() time.Time {
	r.mu.Lock()
	defer r.mu.Unlock()
	if len(r.buckets) == 0 {
		return time.Time{}
	}
	return r.buckets[len(r.buckets)-1].At
}

// record counts events until ctx ends.
func (r *Recorder) record(ctx context.Context) {
	defer close(r.done)
	end := stepEnd(time.Now())
	for ctx.Err() == nil {
		r.read(ctx)
		if now := time.Now(); !now.Before(end) {
			r.finish(now)
			end = stepEnd(now)
		}
		r.rest(ctx, end)
	}
}

// stepEnd returns the end of the step that goes on. Steps end at whole ten seconds of the wall
// clock; the time between is measured by the monotonic one, whatever the wall clock does.
func stepEnd(now time.Time) time.Time {
	into := now.Sub(now.Truncate(Step))
	return now.Add(Step - into)
}

// rest waits for an event, lets others gather, and returns at the end of the step at the latest.
func (r *Recorder) rest(ctx context.Context, end time.Time) {
	until, cancel := context.WithDeadline(ctx, end)
	defer cancel()
	if r.cfg.Journal.Wait(until, r.reader.After()) == nil {
		pause(until, gather)
		return
	}
	<-until.Done() // the journal may be closed, and the table still be there
}

func pause(ctx context.Context, d time.Duration) {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-ctx.Done():
	}
}

// read counts the events that are not counted yet. If some were pruned, or cannot be read, it
// goes on with the newest: the figures are for people, and are no accounts.
func (r *Recorder) read(ctx context.Context) {
	for {
		page, err := r.reader.Next(ctx)
		if err != nil {
			r.reader = r.cfg.Journal.From(r.cfg.Journal.Head())
			return
		}
		if len(page) == 0 {
			return
		}
		r.count(page)
	}
}

func (r *Recorder) count(page []lock.Segment) {
	r.mu.Lock() // of the busiest; a page has about a thousand events at most
	defer r.mu.Unlock()
	for _, s := range page {
		for l := range record.Lines(s, 0) {
			r.countLine(&l)
		}
	}
}

func (r *Recorder) countLine(l *record.Line) {
	n := &r.now
	switch l.Kind {
	case lock.Granted:
		n.grants++
		ms, waited := member(l.Bytes, `,"waited_ms":`)
		if waited {
			n.waited++
			n.waits.observe(ms)
		}
		r.busy.granted(l.Name, ms, waited)
	case lock.Denied, lock.PolicyError:
		n.denials++
		r.busy.denied(l.Name)
	case lock.Released:
		n.releases++
	case lock.Renewed:
		n.renewals++
	case lock.Expired:
		n.expirations++
	case lock.Broken:
		n.breaks++
	case lock.Undone:
		n.undone++
	}
}

// finish ends a step.
func (r *Recorder) finish(now time.Time) {
	stats, conflicts := r.cfg.Stats(), r.conflicts.Load()
	n := &r.now
	b := api.ActivityBucket{
		At:     now.UTC().Truncate(time.Second),
		Grants: n.grants, Waited: n.waited, Releases: n.releases, Renewals: n.renewals, Denials: n.denials,
		Expirations: n.expirations, Breaks: n.breaks, Undone: n.undone,
		Conflicts: int64(conflicts - r.last.conflicts), Held: int64(stats.Held), Waiters: int64(stats.Waiters),
		WaitP50MS: n.waits.quantile(0.5), WaitP99MS: n.waits.quantile(0.99),
	}
	b.CommitP50MS, b.CommitP99MS = between(r.last.stats.Commits, stats.Commits)
	b.HandoverP50MS, b.HandoverP99MS = between(r.last.stats.Handovers, stats.Handovers)
	r.now, r.last = counts{}, totals{conflicts: conflicts, stats: stats}

	r.mu.Lock()
	defer r.mu.Unlock()
	r.busy.turn(now)
	r.append(b)
}

// append keeps a step. If the wall clock was set back, the steps before it move with it: they
// are as long ago as they were, and times always grow.
func (r *Recorder) append(b api.ActivityBucket) {
	if n := len(r.buckets); n > 0 && !b.At.After(r.buckets[n-1].At) {
		back := r.buckets[n-1].At.Sub(b.At) + Step
		for i := range r.buckets {
			r.buckets[i].At = r.buckets[i].At.Add(-back)
		}
	}
	r.buckets = append(r.buckets, b)
	old := max(0, len(r.buckets)-Kept)
	for old < len(r.buckets) && b.At.Sub(r.buckets[old].At) >= Kept*Step {
		old++
	}
	r.buckets = append(r.buckets[:0], r.buckets[old:]...)
}
