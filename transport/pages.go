package transport

import (
	"cmp"
	"context"
	"errors"
	"net/http"
	"runtime"
	"strings"
	"sync"
	"time"

	"github.com/julienschmidt/httprouter"
	"github.com/octostore/octostore/core"
	"github.com/octostore/octostore/core/auth"
	"github.com/octostore/octostore/core/journal"
	"github.com/octostore/octostore/core/journal/record"
	"github.com/octostore/octostore/core/lock"
	"github.com/octostore/octostore/core/table"
	"github.com/octostore/octostore/transport/api"
	"github.com/octostore/octostore/transport/internal/param"
	"github.com/octostore/octostore/transport/internal/ui"
	"github.com/octostore/octostore/transport/internal/wire"
	"github.com/octostore/octostore/transport/problem"
)

// index says what this server is, and how to use it.
func (a *API) index(_ context.Context, c *caller, _ *param.Values) (wire.Raw, error) {
	if c.listener == adminListener {
		return a.adminIndex(), nil
	}
	base := "http://" + c.r.Host
	if c.r.TLS != nil {
		base = "https://" + c.r.Host
	}
	return textPage("OctoStore " + a.version + `: named locks over HTTP, with leases that expire and fencing tokens.

Take a lock for a minute, waiting up to half a minute for it:

    curl -X POST '` + base + `/v1/locks/deploy/prod/acquire?ttl=60s&wait=30s'

A 200 with a lease_id and a fencing_token means that the lock is yours until the lease
ends. Nothing else does: a proxy may answer with a redirect or a login page, for which
curl -f exits 0. Keep the lease_id; pass the fencing_token to whatever the lock protects.

    curl -X POST -H 'Octostore-Lease: LEASE_ID' '` + base + `/v1/locks/deploy/prod/renew'
    curl -X POST -H 'Octostore-Lease: LEASE_ID' '` + base + `/v1/locks/deploy/prod/release'

Show its holder and its waiters, and list locks:

    curl '` + base + `/v1/locks/deploy/prod'
    curl '` + base + `/v1/locks?prefix=deploy/'

Everything else there is:

    /v1/audit       the audit log, to export and to verify
    /v1/events      events of locks, as they happen
    /v1/activity    what happened in the last hour; /v1/live has it as a stream
    /v1/whoami      the account and the scopes of your token
    /docs           the whole API, to read in a browser
    /openapi.yaml   the same for programs
    /auth/github    log in with GitHub, if the operator has set it up
    /v1/policies    the policies that are evaluated before a lock is granted
    /v1/terraform/  the locks as Terraform's http backend locks its state
    /v1/tokens      tokens and their scopes; once there is a token, every request needs one
    /v1/server      the state of the server, for administrators; POST /v1/drain has it refuse acquires
    /v1/backup      a copy of the database, for administrators
    /healthz        200 unless the server has failed and has to be restarted
` + monitoring(a.metricsOn != AdminOnly, a.readyOn != AdminOnly)), nil
}

func textPage(text string) wire.Raw { return wire.Raw{Body: []byte(text), ContentType: wire.TypeText} }

// monitoring returns the lines about what monitors the server.
func monitoring(metrics, ready bool) (lines string) {
	if metrics {
		lines += "    /metrics        Prometheus metrics\n"
	}
	if ready {
		lines += "    /readyz         200 while leases can be renewed and released; with ?grants=1 only while locks are granted\n"
	}
	return lines
}

// adminIndex is index on the admin listener.
func (a *API) adminIndex() wire.Raw {
	return textPage("OctoStore " + a.version + `: administration. Locks are on the other listener.

    /v1/tokens      tokens and their scopes; once there is a token, every request needs one
    /v1/policies    the policies that are evaluated before a lock is granted
    /v1/server      the state of the server, for administrators; POST /v1/drain has it refuse acquires
    /v1/backup      a copy of the database, for administrators
    ` + profilesPath + `   profiles of the process
    /healthz        200 unless the server has failed and has to be restarted
` + monitoring(a.metricsOn != MainOnly, a.readyOn != MainOnly))
}

// health answers the liveness probe: 503 once the server has failed for good. A server that
// stops, or has a full disk, has not failed: holders can still renew and release.
func (a *API) health(context.Context, *caller, *param.Values) (wire.Health, error) {
	if a.failing() {
		return wire.Health{Status: api.Failing}, nil
	}
	return wire.Health{}, nil
}

// ready answers the readiness probe: 200 while holders can renew and release. On a full disk
// it is 200 too, and says that the server is degraded. With grants=1 it is 503 unless locks
// are granted.
func (a *API) ready(_ context.Context, _ *caller, p *param.Values) (wire.Health, error) {
	grants, err := p.Flag(param.Grants)
	if err != nil {
		return wire.Health{}, err
	}
	switch {
	case a.moved():
		return wire.Health{Status: api.Moved}, nil
	case a.service.Draining():
		return wire.Health{Status: api.Draining}, nil
	case a.failing():
		return wire.Health{Status: api.Failing}, nil
	case a.service.Full() && grants:
		return wire.Health{Status: api.StorageFull}, nil
	}
	return wire.Health{Degraded: a.service.Full()}, nil
}

// failing reports whether the server has failed for good. A node whose lock table another node may
// own has not.
func (a *API) failing() bool {
	err := a.service.Serving()
	return err != nil && (a.cluster == nil || !errors.Is(err, lock.ErrDeposed))
}

// moved reports whether another node is to serve the lock table.
func (a *API) moved() bool { return a.cluster != nil && (a.service.Moved() || !a.service.Owns()) }

// openAPI serves the description of the API.
func (a *API) openAPI(context.Context, *caller, *param.Values) (wire.Raw, error) {
	return wire.Raw{Body: api.OpenAPI, ContentType: wire.TypeYAML}, nil
}

// metrics serves the metrics.
func (x *exchange) metrics() error {
	x.armWrite()
	x.api.metrics.Handler.ServeHTTP(x, x.r)
	return nil
}

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
	s.Cluster = a.clusterShown(ctx)
	s.Waiters, s.Held = stats.Waiters, stats.Held
	s.Commits = a.commits.show(stats.Commits, now)
	s.Connections = []api.Connections{}
	for on := range numListeners {
		if set := a.door.connections[on]; on == mainListener || len(s.Addresses) > 1 {
			s.Connections = append(s.Connections, api.Connections{Listener: listenerNames[on], Open: set.Len(), Max: set.Max})
		}
	}
	used := map[string]int{
		"max_waiters": stats.Waiters, "max_watches": a.watches.InUse(), "max_exports": a.exports.InUse(),
		"max_connections": a.door.connections[mainListener].Len(),
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
	case a.moved():
		return api.Health{Status: api.Moved}
	case a.service.Draining():
		return api.Health{Status: api.Draining}
	case a.failing():
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
	if archive := a.journal.Archive(); archive != nil {
		j.Archive = archiveState(archive.State())
	}
	return j, nil
}

func archiveState(s journal.ArchiveState) *api.Archive {
	shownState := &api.Archive{
		Files: s.Files, Bytes: s.Bytes, Newest: uint64(s.Newest.Seq), NewestAt: orNone(shown(s.Newest.Time)),
	}
	if s.Err != nil {
		shownState.FailingSince, shownState.Error = orNone(shown(s.Since)), s.Err.Error()
	}
	return shownState
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
	if extent.Archive != nil && !c.principal.MayAll(auth.Audit) {
		extent.Archive.Error = "" // it names files
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

// Paths of the page. Its API is that of every client.
const (
	uiPrefix = "/ui/"
	uiWhole  = uiPrefix + "{file}"
)

// front serves the page to browsers, and the text of [API.index] to other clients.
func (x *exchange) front() error {
	if x.listener == adminListener {
		return respond((*API).index)(x)
	}
	x.Header()["Vary"] = []string{"Accept"}
	if !ui.PrefersHTML(x.r.Header["Accept"]) {
		return respond((*API).index)(x)
	}
	x.armWrite()
	ui.ServePage(x, x.r, x.page())
	return nil
}

// page is what a page knows about its server.
func (x *exchange) page() ui.Page {
	a := x.api
	page := ui.Page{Version: a.version, GitHub: a.login != nil}
	if a.public != nil && strings.EqualFold(x.r.Host, a.public.Host) {
		page.Base = a.public.Path
	}
	return page
}

// reference serves the reference of the API as a page.
func (x *exchange) reference() error {
	x.armWrite()
	ui.ServeReference(x, x.r, x.page())
	return nil
}

// uiRoute returns what serves the files of the page.
func uiRoute(rt *route) httprouter.Handle {
	return func(w http.ResponseWriter, _ *http.Request, _ httprouter.Params) {
		w.(*exchange).run(rt)
	}
}

// asset serves a file of the page.
func (x *exchange) asset() error {
	x.armWrite()
	if !ui.ServeFile(x, x.r, strings.TrimPrefix(x.r.URL.Path, uiPrefix)) {
		return problem.ErrNotFound
	}
	return nil
}

// whoami shows the account of the caller, and what it may do.
func (a *API) whoami(_ context.Context, c *caller, _ *param.Values) (wire.JSON, error) {
	who := api.Whoami{
		Account: c.principal.Account, TokenID: c.principal.TokenID, Scopes: c.principal.ScopeList(),
		Tokens: a.requiresTokens(), GitHub: a.login != nil, Version: a.version,
	}
	if a.tokens != nil && who.TokenID != "" {
		t, _ := a.tokens.Get(who.TokenID)
		who.TokenName, who.ExpiresAt = t.Name, orNone(t.Expires)
	}
	return wire.JSON{Value: who}, nil
}

// isAsset reports whether a request is for a file of the page. A browser loads several at once.
func isAsset(r *http.Request) bool {
	return strings.HasPrefix(r.URL.Path, uiPrefix) && (r.Method == http.MethodGet || r.Method == http.MethodHead)
}
