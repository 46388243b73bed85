package hooks

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/octostore/octostore/core/journal"
	"github.com/octostore/octostore/core/journal/record"
	"github.com/octostore/octostore/core/lock"
	"github.com/octostore/octostore/core/sleep"
	"github.com/octostore/octostore/hooks/internal/guest"
	"github.com/octostore/octostore/hooks/internal/manifest"
)

// CursorStore saves the positions of observers over restarts. Implementations are safe for use by
// many goroutines.
type CursorStore interface {
	ObserverCursors(ctx context.Context) ([]journal.ObserverCursor, error)
	// SetObserverCursors saves cursors and forgets others, all or none.
	SetObserverCursors(ctx context.Context, set []journal.ObserverCursor, forget []string) error
}

// ObserveConfig configures observers. All fields are required.
type ObserveConfig struct {
	Journal  *journal.Journal
	Cursors  CursorStore
	Recorder journal.Recorder // of the same journal
}

// Observation is the progress of an observer.
type Observation struct {
	After  lock.Seq      // the last event that is done
	Lag    time.Duration // age of the event in progress; 0: it has seen everything
	Parked uint64        // events it failed on, since its first start
	Gaps   uint64        // times that pruning removed events before it saw them, since the server started
}

const (
	saveEvery = time.Second
	lastSave  = time.Second // a store that does not answer must not hold up the end
	// gatherFor is the shortest interval between two wake-ups of an observer, which would wake up for
	// every commit otherwise.
	gatherFor = 20 * time.Millisecond
	// maxCause bounds the reason of a failure in the audit log, in bytes.
	maxCause = 512
)

// observers give committed events to the policies that observe, each in a goroutine of its own.
type observers struct {
	host   *Host
	cfg    ObserveConfig
	pauses []time.Duration // between the attempts at an event; one more attempt follows the last

	ctx  context.Context
	stop context.CancelFunc
	done sync.WaitGroup

	saving  sync.Mutex // one at a time
	failing bool       // guarded by saving: the last save failed, and was logged

	mu  sync.Mutex           // held for moments only
	all map[string]*observer // with a known position, also without a policy
}

// observer is the position of a policy that observes, by its name.
type observer struct {
	name   string
	after  atomic.Uint64
	parked atomic.Uint64
	gaps   atomic.Uint64
	at     atomic.Int64 // time of the event in progress, in ns since 1970; 0: there is none

	running bool                   // guarded by observers.mu
	saved   journal.ObserverCursor // guarded by observers.saving
}

func (o *observer) cursor() journal.ObserverCursor {
	// In this order: an event that is parked meanwhile may count twice, but is never missed.
	after := lock.Seq(o.after.Load())
	return journal.ObserverCursor{Observer: o.name, After: after, Parked: o.parked.Load()}
}

// Observe gives events to the policies that observe, until [Host.EndObserving], or until the host or the
// journal is closed. Call it after the journal was loaded, and not while it is observed already.
func (h *Host) Observe(ctx context.Context, cfg ObserveConfig) error {
	h.loading.Lock()
	defer h.loading.Unlock()
	known, err := cfg.Cursors.ObserverCursors(ctx)
	if err != nil {
		return err
	}
	w := &observers{host: h, cfg: cfg, pauses: h.cfg.pauses, all: map[string]*observer{}}
	if w.pauses == nil {
		w.pauses = []time.Duration{100 * time.Millisecond, 400 * time.Millisecond}
	}
	for _, p := range known {
		o := &observer{name: p.Observer, saved: p}
		o.after.Store(uint64(p.After))
		o.parked.Store(p.Parked)
		w.all[p.Observer] = o
	}
	w.ctx, w.stop = context.WithCancel(context.Background())
	w.follow(ctx)
	w.done.Go(w.keepSaving)
	h.observers.Store(w)
	return nil
}

// EndObserving stops the observers, waits for them, and saves how far they have come. It is a no-op if
// there are none. Another [Host.Observe] may follow, with another journal.
func (h *Host) EndObserving() {
	if w := h.observers.Swap(nil); w != nil {
		w.close()
	}
}

func (w *observers) close() {
	w.mu.Lock() // no observer starts after this
	w.stop()
	w.mu.Unlock()
	w.done.Wait()
	ctx, cancel := context.WithTimeout(context.Background(), lastSave)
	defer cancel()
	w.save(ctx, nil)
}

// follow starts an observer for each policy in force that has none, and forgets those without a policy
// whose next event was pruned. Running observers without a policy end by themselves.
func (w *observers) follow(ctx context.Context) {
	set := w.host.current()
	oldest := w.cfg.Journal.Oldest()
	var forget []string
	w.mu.Lock()
	for name, o := range w.all {
		if !o.running && set.observer(name) == nil && lock.Seq(o.after.Load()) < oldest {
			forget = append(forget, name)
			delete(w.all, name)
		}
	}
	for _, p := range set.policies {
		if !slices.Contains(p.Hooks, manifest.HookObserve) {
			continue
		}
		o := w.all[p.Name]
		if o == nil {
			o = &observer{name: p.Name}
			o.after.Store(uint64(w.cfg.Journal.Head()))
			if p.ObserveFrom == manifest.FromStart {
				o.after.Store(uint64(oldest))
			}
			w.all[p.Name] = o
		}
		if !o.running && w.ctx.Err() == nil {
			o.running = true
			w.done.Go(func() { w.run(o) })
		}
	}
	w.mu.Unlock()
	w.save(ctx, forget) // so that a new observer begins here, also after a crash
}

// ends reports whether the policy of an observer is gone, and marks it as not running.
func (w *observers) ends(o *observer) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	o.running = w.ctx.Err() == nil && w.host.current().observer(o.name) != nil
	return !o.running
}

// keepSaving saves the positions of observers at intervals.
func (w *observers) keepSaving() {
	ticker := time.NewTicker(saveEvery)
	defer ticker.Stop()
	for {
		select {
		case <-ticker.C:
			w.save(w.ctx, nil)
		case <-w.ctx.Done():
			return
		}
	}
}

// save saves the positions that have changed. The next save retries after a failure; after a crash
// observers may see events again.
func (w *observers) save(ctx context.Context, forget []string) {
	w.saving.Lock()
	defer w.saving.Unlock()
	var changed []*observer
	var cursors []journal.ObserverCursor
	w.mu.Lock()
	for _, o := range w.all {
		if p := o.cursor(); p != o.saved {
			changed, cursors = append(changed, o), append(cursors, p)
		}
	}
	w.mu.Unlock()
	if len(changed)+len(forget) == 0 {
		return
	}
	err := w.cfg.Cursors.SetObserverCursors(ctx, cursors, forget)
	if err != nil && !w.failing && ctx.Err() == nil {
		w.host.cfg.Logger.Warn("how far observers have come could not be saved; trying again every second", "err", err)
	}
	w.failing = err != nil
	for i, o := range changed {
		if err == nil {
			o.saved = cursors[i]
		}
	}
}

// describe adds the progress of observers to the status of policies.
func (w *observers) describe(all []Status) {
	head := w.cfg.Journal.Head()
	w.mu.Lock()
	defer w.mu.Unlock()
	for i := range all {
		o := w.all[all[i].Name]
		if o == nil || !slices.Contains(all[i].Hooks, manifest.HookObserve) {
			continue
		}
		all[i].Observer = &Observation{After: lock.Seq(o.after.Load()), Parked: o.parked.Load(), Gaps: o.gaps.Load()}
		if at := o.at.Load(); at != 0 && all[i].Observer.After < head {
			all[i].Observer.Lag = max(0, time.Since(time.Unix(0, at)))
		}
	}
}

// run gives events to an observer until its policy is gone, the host is closed or the
// journal ends.
func (w *observers) run(o *observer) {
	reader := w.cfg.Journal.From(lock.Seq(o.after.Load()))
	var woken time.Time
	failing := false // the last page could not be read, and that was logged
	for !w.ends(o) {
		page, err := reader.Next(w.ctx)
		var pruned *journal.PrunedError
		switch {
		case errors.As(err, &pruned):
			w.gap(o, pruned.Oldest)
			reader = w.cfg.Journal.From(pruned.Oldest)
		case err != nil:
			if !failing && w.ctx.Err() == nil {
				w.host.cfg.Logger.Error("an observer cannot read the journal; trying again every second", "policy", o.name, "err", err)
			}
			_ = sleep.For(w.ctx, time.Second)
		case len(page) > 0:
			if !w.page(o, page) {
				reader = w.cfg.Journal.From(lock.Seq(o.after.Load()))
			}
		default:
			o.at.Store(0)
			_ = sleep.For(w.ctx, gatherFor-time.Since(woken))
			if errors.Is(w.cfg.Journal.Wait(w.ctx, lock.Seq(o.after.Load())), journal.ErrClosed) {
				return
			}
			woken = time.Now()
		}
		failing = err != nil
	}
}

// page gives a page of events to an observer. False: not all of them are done.
func (w *observers) page(o *observer, page []lock.Segment) bool {
	for _, s := range page {
		o.at.Store(s.Time.UnixNano())
		for l := range record.Lines(s, lock.Seq(o.after.Load())) {
			if !w.give(o, &l) {
				return false
			}
			o.after.Store(uint64(l.Seq))
		}
		o.after.Store(uint64(s.Last))
	}
	return true
}

// give gives an event to the policy until it succeeds or has failed too often. False: the policy is
// gone, or the host is closed.
func (w *observers) give(o *observer, l *record.Line) bool {
	for n := 0; ; n++ {
		there, f := w.host.observe(w.ctx, o.name, l)
		switch {
		case !there || w.ctx.Err() != nil && f != nil:
			return false
		case f == nil:
			return true
		case n == len(w.pauses):
			return w.park(o, l, f)
		}
		if sleep.For(w.ctx, w.pauses[n]) != nil {
			return false
		}
	}
}

// observe gives an event to the policy of that name in the set in force, if there is one.
func (h *Host) observe(ctx context.Context, name string, l *record.Line) (there bool, _ *guest.Fault) {
	s := h.enter()
	if s == nil {
		return false, nil
	}
	defer h.leave(s)
	p := s.observer(name)
	if p == nil {
		return false, nil
	}
	if !p.observes(l) {
		return true, nil
	}
	return true, p.observe(ctx, l.Bytes)
}

// newObservation is a judgement in which an event takes the place of the question.
func newObservation(line []byte) *judgement {
	return &judgement{Request: guest.NewObservation(line, time.Now()), patient: true}
}

// observe gives a line of the journal to the policy. After nil the event is done; after a fault it
// comes again.
func (p *policy) observe(ctx context.Context, line []byte) *guest.Fault {
	if err := p.awaitBudget(ctx); err != nil {
		return &guest.Fault{Kind: busy, Err: err}
	}
	if _, err := p.takeSlot(ctx, true); err != nil {
		return &guest.Fault{Kind: busy, Err: err}
	}
	defer p.engine.slots.done(true)
	begun := p.timing()
	o := p.run(newObservation(line))
	p.count(o, begun)
	for _, n := range o.Notes { // there is no decision to record them with
		if p.Lines.Allows(time.Now()) {
			p.log.Info("note", "key", n.Key, "value", n.Value)
		}
	}
	return o.Fault
}

// park records that an observer skips an event after failing on it.
func (w *observers) park(o *observer, l *record.Line, f *guest.Fault) bool {
	why := guest.Printable([]byte(f.Error()), maxCause)
	w.host.cfg.Logger.Error(
		"an event is parked: the observer failed on it again and again",
		"policy", o.name,
		"event", uint64(l.Seq),
		"err", why,
	)
	if !w.record(lock.Event{
		Kind:  lock.ObserverParked,
		Cause: fmt.Sprintf("observer %s, event %d: %s", o.name, l.Seq, why),
	}) {
		return false
	}
	o.parked.Add(1)
	return true
}

// gap records that pruning removed the next events of an observer.
func (w *observers) gap(o *observer, oldest lock.Seq) {
	after := lock.Seq(o.after.Load())
	w.host.cfg.Logger.Error(
		"an observer misses events: they have been pruned",
		"policy", o.name,
		"after", uint64(after),
		"up_to", uint64(oldest),
	)
	if !w.record(lock.Event{
		Kind:  lock.ObserverGap,
		Cause: fmt.Sprintf("observer %s: what came after event %d, up to %d, has been pruned", o.name, after, oldest),
	}) {
		return
	}
	o.gaps.Add(1)
	o.after.Store(uint64(oldest))
}

// record appends an event, and retries until it succeeds. False: the host is closed or the table has
// ended.
func (w *observers) record(e lock.Event) bool {
	for {
		err := lock.ErrFull // the last space is for the ends of leases
		if !w.cfg.Recorder.Full() {
			_, err = w.cfg.Recorder.Append(w.ctx, e)
		}
		switch {
		case err == nil:
			return true
		case errors.Is(err, lock.ErrClosed) || errors.Is(err, lock.ErrDeposed) || sleep.For(w.ctx, time.Second) != nil:
			return false
		}
	}
}
