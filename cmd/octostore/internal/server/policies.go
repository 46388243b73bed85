package server

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/octostore/octostore/cmd/octostore/internal/compiler"
	"github.com/octostore/octostore/cmd/octostore/internal/config"
	"github.com/octostore/octostore/cmd/octostore/internal/filewatch"
	"github.com/octostore/octostore/cmd/octostore/internal/tracing"
	"github.com/octostore/octostore/core/lock"
	"github.com/octostore/octostore/core/table"
	"github.com/octostore/octostore/hooks"
	"github.com/octostore/octostore/transport/api"
)

// policies are the policies of a running server.
type policies struct {
	*hooks.Host
	table atomic.Pointer[table.Table] // records the loaded policies; nil: this process serves none
	log   *slog.Logger
	files *filewatch.Group    // nil: those of none
	tell  func(digest string) // tells other nodes; nil: there are none

	loaded atomic.Int64  // when, in ns since 1970
	failed atomic.Uint64 // loads since the start

	failure atomic.Pointer[api.ReloadFailure] // of the newest load; nil: it succeeded

	mu sync.Mutex // one reload at a time, with its record

	recording  sync.Mutex        // guards what follows; held while it is recorded
	recorded   *lock.PolicySet   // the newest on record; nil: none is
	at         lock.Seq          // its record
	unrecorded []*lock.PolicySet // loaded since, the oldest first: recording them failed

	stopping context.Context // ends when the server stops, and with it a reload under way
	stop     context.CancelFunc
}

// openPolicies loads the policies of a manifest. It fails if one of them cannot be
// loaded: a server must not give locks that a policy would have denied.
func openPolicies(ctx context.Context, cfg config.Config, traces *tracing.Tracer, log *slog.Logger) (*policies, error) {
	loads := hooks.Config{
		Manifest: string(cfg.Policies), CacheDir: cfg.PolicyCacheDir(), Compile: compiler.Compile, Logger: log,
	}
	if traces != nil {
		loads.Tracer = traces
	}
	host, err := hooks.Open(ctx, loads)
	if err != nil {
		return nil, fmt.Errorf("load policies: %w", err)
	}
	p := &policies{Host: host, log: log}
	p.stopping, p.stop = context.WithCancel(context.Background())
	p.loaded.Store(time.Now().UnixNano())
	log.Info("policies loaded", "policies", p.Describe(), "engine", p.Engine())
	return p, nil
}

// close ends a reload under way and closes the policies.
func (p *policies) close() error {
	p.stop()
	return p.Host.Close()
}

// begin records the loaded policies for a term, as all loads from then on, and starts the observers.
func (p *policies) begin(ctx context.Context, t *term) error {
	if err := p.Observe(ctx, hooks.ObserveConfig{Journal: t.journal, Cursors: t.store, Recorder: t.table}); err != nil {
		return fmt.Errorf("begin to observe: %w", err)
	}
	p.recording.Lock()
	p.table.Store(t.table)
	p.recorded, p.at, p.unrecorded = nil, 0, nil // of another term
	p.recording.Unlock()
	return p.record(p.Describe(), lock.Event{})
}

// digest identifies the loaded policies; empty: there are none.
func (p *policies) digest() string {
	if p == nil {
		return ""
	}
	if set := p.PolicySet(); set != nil {
		return set.ID
	}
	return ""
}

// end stops the observers of a term, and saves how far they have come. The policies stay loaded.
func (p *policies) end() {
	p.table.Store(nil)
	p.EndObserving()
}

// reloadHere reloads the policies at a signal, or because their files have changed.
func (p *policies) reloadHere() {
	_, err := p.reload(p.stopping, lock.Origin{}, "")
	switch _, unchanged := errors.AsType[*loadError](err); {
	case unchanged:
		p.log.Error("the policies are as they were", "err", err)
	case err != nil:
		p.log.Error("the new policies rule, but that is not recorded", "err", err)
	}
}

// reload loads all policies again, or leaves everything as it was. Either is recorded, with
// the request for it and its reason; a signal or a changed file has neither.
func (p *policies) reload(ctx context.Context, by lock.Origin, reason string) (changes string, err error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	defer context.AfterFunc(p.stopping, cancel)()
	asked := lock.Event{Actor: by.Actor, RequestID: by.RequestID, TraceID: by.TraceID, Reason: reason}
	err = p.files.Load(func() (err error) {
		changes, err = p.Reload(ctx)
		return err
	})
	if err != nil {
		p.fail(asked, err)
		return "", &loadError{err}
	}
	p.failure.Store(nil)
	p.loaded.Store(time.Now().UnixNano())
	p.log.Info("policies loaded", "changes", changes)
	if p.tell != nil {
		p.tell(p.digest())
	}
	return changes, p.record(changes, asked)
}

// mostOfError bounds how much of the text of a failure is recorded: a manifest may have very
// many mistakes.
const mostOfError = 4 << 10

// fail records that a reload failed.
func (p *policies) fail(asked lock.Event, err error) {
	p.failed.Add(1)
	text := err.Error()
	if len(text) > mostOfError {
		text = strings.ToValidUTF8(text[:mostOfError], "") + "…"
	}
	p.failure.Store(&api.ReloadFailure{
		At: time.Now().UTC().Truncate(time.Millisecond), Account: asked.Actor.Account, Reason: asked.Reason, Error: text,
	})
	ctx, cancel := context.WithTimeout(context.Background(), answerTime)
	defer cancel()
	asked.Kind, asked.Cause = lock.ReloadFailed, text
	table := p.table.Load()
	if table == nil {
		return
	}
	if _, err := table.Append(ctx, asked); err != nil {
		p.log.Warn("the failed reload of the policies is not recorded", "err", err)
	}
}

// record records the present policies. asked has the request for them, and its reason.
func (p *policies) record(changes string, asked lock.Event) error {
	ctx, cancel := context.WithTimeout(context.Background(), answerTime)
	defer cancel()
	p.recording.Lock()
	defer p.recording.Unlock()
	asked.Cause = changes
	return p.recordSet(ctx, asked)
}

// recordSet records the policies of the present set, after all earlier sets whose record
// failed: in the audit log every decision is followed by a record of its policy set, unless
// that set is still in use.
func (p *policies) recordSet(ctx context.Context, asked lock.Event) error {
	rules, table := p.PolicySet(), p.table.Load()
	if table == nil {
		return nil // the next term records what is loaded then
	}
	if !slices.Contains(p.unrecorded, rules) {
		p.unrecorded = append(p.unrecorded, rules)
	}
	for ; len(p.unrecorded) > 0; p.unrecorded = p.unrecorded[1:] {
		set, why := p.unrecorded[0], asked
		if set != rules {
			why = lock.Event{Cause: "recorded late: it could not be recorded when it was loaded"}
		}
		if err := p.appendSet(ctx, table, set, why); err != nil {
			return err
		}
	}
	return nil
}

func (p *policies) appendSet(ctx context.Context, table *table.Table, set *lock.PolicySet, e lock.Event) error {
	e.Kind, e.Loaded = lock.PoliciesLoaded, set
	if p.recorded != nil && e.Loaded != nil && p.recorded.ID != e.Loaded.ID {
		e.Replaced = p.recorded
	}
	seq, err := table.Append(ctx, e)
	if err == nil {
		p.recorded, p.at = set, seq
	}
	return err
}

// keepOnRecord records the present policy set again if its last record is about to be
// pruned, with all events up to upTo.
func (p *policies) keepOnRecord(ctx context.Context, upTo lock.Seq) error {
	p.recording.Lock()
	defer p.recording.Unlock()
	if p.recorded != nil && p.at > upTo && p.recorded == p.PolicySet() {
		return nil
	}
	return p.recordSet(ctx, lock.Event{Cause: "recorded again, since the last record of it is pruned"})
}

// loadError means that the load failed and the old policies stay.
type loadError struct{ error }
