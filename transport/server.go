package transport

import (
	"cmp"
	"context"
	"runtime"
	"sync"
	"time"

	"github.com/octostore/octostore/core"
	"github.com/octostore/octostore/core/auth"
	"github.com/octostore/octostore/core/journal"
	"github.com/octostore/octostore/core/journal/record"
	"github.com/octostore/octostore/core/table"
	"github.com/octostore/octostore/transport/api"
	"github.com/octostore/octostore/transport/internal/param"
	"github.com/octostore/octostore/transport/internal/wire"
)

// showServer shows the state of the server, with its settings.
func (a *API) showServer(ctx context.Context, c *caller, _ *param.Values) (none wire.JSON, err error) {
	if err := core.MayAll(c.principal, "see the state of the server", auth.Admin); err != nil {
		return none, err
	}
	state, err := a.serverState(ctx)
	return wire.JSON{Value: state}, err
}

// serverState returns the state of the server. It reads a few files and at most a few rows of
// the database.
func (a *API) serverState(ctx context.Context) (api.Server, error) {
	s := a.server()
	journal, err := a.journalState(ctx)
	if err != nil {
		return s, err
	}
	stats, now := a.service.Stats(), time.Now()
	s.Version, s.Go, s.Journal = a.version, runtime.Version(), journal
	if !s.StartedAt.IsZero() {
		s.UptimeMS = now.Sub(s.StartedAt).Milliseconds()
		s.StartedAt = shown(s.StartedAt)
	}
	s.Status, s.DrainedAt = a.status(), orNone(shown(a.service.DrainedAt()))
	if a.backups != nil {
		s.LastBackupAt = orNone(shown(a.backups.Last()))
	}
	s.Waiters, s.Held = stats.Waiters, stats.Held
	s.Commits = a.commits.show(stats.Commits, now)
	s.Connections = []api.Connections{}
	for on := range numListeners {
		if set := a.connections[on]; on == mainListener || len(s.Addresses) > 1 {
			s.Connections = append(s.Connections, api.Connections{Listener: listenerNames[on], Open: set.Len(), Max: set.Max})
		}
	}
	used := map[string]int{
		"max_waiters": stats.Waiters, "max_watches": a.watches.InUse(), "max_exports": a.exports.InUse(),
		"max_connections": a.connections[mainListener].Len(),
	}
	for i := range s.Limits {
		if n, known := used[s.Limits[i].Name]; known {
			in := int64(n)
			s.Limits[i].Used = &in
		}
	}
	s.Addresses, s.Limits, s.Settings = notNil(s.Addresses), notNil(s.Limits), notNil(s.Settings)
	return s, nil
}

// status is what the readiness probe says.
func (a *API) status() api.Health {
	switch {
	case a.service.Draining():
		return api.Health{Status: api.Draining}
	case a.service.Serving() != nil:
		return api.Health{Status: api.Failing}
	case a.service.Full():
		return api.Health{Status: api.OK, Degraded: []api.HealthStatus{api.StorageFull}}
	}
	return api.Health{Status: api.OK}
}

// journalState returns the extent of the audit log.
func (a *API) journalState(ctx context.Context) (api.JournalState, error) {
	s, err := a.journal.State(ctx)
	if err != nil {
		return api.JournalState{}, err
	}
	j := api.JournalState{
		Oldest: uint64(s.Oldest.Seq), OldestAt: orNone(shown(s.Oldest.Time)),
		Head: uint64(s.Head.Seq), HeadAt: orNone(shown(s.Head.Time)),
		Level: cmp.Or(a.audit.Level, "decisions"),
	}
	if c := s.Checkpoint; c != (journal.Mark{}) {
		j.Checkpoint = &api.Checkpoint{Seq: uint64(c.Seq), At: shown(c.Time), Key: record.FormatKey(a.journal.PublicKey())}
	}
	return j, nil
}

// auditState shows the extent of the audit log, its key, and how far its observers are.
func (a *API) auditState(ctx context.Context, c *caller, _ *param.Values) (none wire.JSON, err error) {
	if err := core.MaySome(c.principal, "see the state of the audit log", auth.Audit); err != nil {
		return none, err
	}
	extent, err := a.journalState(ctx)
	if err != nil {
		return none, err
	}
	s := api.AuditState{
		JournalState: extent, PublicKey: record.FormatKey(a.journal.PublicKey()),
		RetentionMS: a.audit.Retention.Milliseconds(), MaxBytes: a.audit.MaxBytes, Observers: []api.AuditObserver{},
	}
	for _, p := range a.policies.List().Policies {
		if p.Observer != nil {
			s.Observers = append(s.Observers, api.AuditObserver{Policy: p.Name, Observer: *p.Observer})
		}
	}
	return wire.JSON{Value: s}, nil
}

// drain has the server refuse acquires until it is restarted.
func (a *API) drain(ctx context.Context, c *caller, p *param.Values) (none wire.JSON, err error) {
	d, err := a.service.Drain(ctx, c.principal, c.origin(), p.Text(param.Reason))
	if err != nil {
		return none, err
	}
	if !d.Already {
		a.log.Warn("the server is drained: it refuses acquires until it is restarted", "account", c.principal.Account, "waiters", d.Waiters)
	}
	return wire.JSON{Value: api.Drain{Status: api.Draining, Since: orNone(shown(d.Since)), Waiters: d.Waiters, Already: d.Already}}, nil
}

// shown returns a time as answers have it.
func shown(t time.Time) time.Time { return t.UTC().Truncate(time.Millisecond) }

func notNil[T any](s []T) []T {
	if s == nil {
		return []T{}
	}
	return s
}

// commitWindow turns the commits since the start into those of about the last minute: it
// remembers what it has shown. The zero value is ready to use.
type commitWindow struct {
	mu    sync.Mutex
	start time.Time
	seen  []seenCommits // the oldest first
}

// seenCommits are the commits up to a time.
type seenCommits struct {
	at      time.Time
	commits table.Histogram
}

const (
	commitSpan = time.Minute
	commitStep = 10 * time.Second // between what is remembered
)

// show returns the quantiles of the newest commits.
func (w *commitWindow) show(all table.Histogram, now time.Time) api.Commits {
	w.mu.Lock()
	defer w.mu.Unlock()
	for len(w.seen) > 1 && now.Sub(w.seen[1].at) >= commitSpan {
		w.seen = w.seen[1:]
	}
	c := api.Commits{Total: all.Count()}
	recent, since := all, w.start
	if len(w.seen) > 0 {
		recent, since = all.Since(w.seen[0].commits), w.seen[0].at
	}
	if n := len(w.seen); n == 0 || now.Sub(w.seen[n-1].at) >= commitStep {
		w.seen = append(w.seen, seenCommits{at: now, commits: all})
	}
	c.WindowMS = now.Sub(since).Milliseconds()
	c.P50MS, c.P99MS = 1000*recent.Quantile(.5), 1000*recent.Quantile(.99)
	return c
}
