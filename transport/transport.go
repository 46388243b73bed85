// Package transport serves OctoStore over HTTP: it turns requests into calls of a
// [core.Service], and results and errors into answers.
//
// # The life of a request
//
// [API.ServeHTTP] creates an exchange. It gives the request an id, checks its origin and the
// limits (admission.go), finds its route (routes.go), its account (identity.go) and its
// parameters, and calls the handler of the route (handler.go). A handler returns an answer or
// an error; package problem has a status and a code for each error.
//
// # Invariants
//
//   - The body is read to its end before a request waits: net/http notices that a client has
//     left only after that.
//   - The lane does not read a connection while its request is answered. So the connection of a request
//     that waits in a queue is watched, and that of every grant is looked at before its answer.
//   - The server has no WriteTimeout, which would count the wait of a long poll. Each answer
//     has its own deadline instead.
//   - An acquire is answered in one write that is flushed before the handler returns, so that
//     a failed write is noticed and the grant undone.
//   - http.Server.Shutdown neither wakes nor answers waiters. Drain the table first.
package transport

import (
	"cmp"
	"log/slog"
	"net/http"
	"net/url"
	"runtime"
	"strings"
	"sync/atomic"
	"time"

	"github.com/julienschmidt/httprouter"
	"github.com/octostore/octostore/core"
	"github.com/octostore/octostore/core/auth"
	"github.com/octostore/octostore/core/journal"
	"github.com/octostore/octostore/core/sparselog"
	"github.com/octostore/octostore/transport/api"
	"github.com/octostore/octostore/transport/forward"
	"github.com/octostore/octostore/transport/internal/activity"
	"github.com/octostore/octostore/transport/internal/limit"
	"github.com/octostore/octostore/transport/internal/live"
	"github.com/octostore/octostore/transport/internal/metrics"
	"github.com/octostore/octostore/transport/internal/wire"
	"github.com/octostore/octostore/transport/login"
)

// Config is what an [API] needs. Service and Journal must be set.
type Config struct {
	// Door has the listeners of the API. Nil: the API has one of its own, with the limits, proxies and
	// certificate of this configuration.
	Door    *Door
	Service *core.Service
	Journal *journal.Journal // of the service's table
	Logger  *slog.Logger     // nil: nothing is logged
	Version string           // of the program, for people and metrics
	// Sizes returns how many bytes the database and its write-ahead log have. It is
	// called at every scrape of the metrics; nil leaves them out.
	Sizes func() (db, wal int64)
	// Tokens authenticate requests; nil: every request may do everything.
	Tokens *auth.Tokens
	// Login creates tokens for people who log in with GitHub. It needs Tokens; nil: no logins.
	Login *login.GitHub
	// MaxWatches and MaxExports bound how many clients may watch, and export or follow the
	// audit log, at a time; 0 means DefaultMaxWatches and DefaultMaxExports.
	MaxWatches, MaxExports int
	// Server returns what only the composition root knows of the server: its start, addresses,
	// database, certificate, limits and settings, with secrets left out. The API adds the
	// rest. Nil: there is nothing more to know.
	Server func() api.Server
	// Audit is what is recorded in the audit log, and for how long; it is only shown.
	Audit AuditSettings
	// Policies are listed, explained and reloaded on request; nil: there are none.
	Policies Policies
	// Public is the URL at which browsers reach the server; nil: unknown. Pages of its origin
	// are trusted, and its path is where the page finds the API.
	Public *url.URL
	// CertificateExpires returns when the TLS certificate in use ends; nil: there is none.
	CertificateExpires func() time.Time
	// Backups are given to administrators; nil: there are none.
	Backups Backups
	// Cluster is shown to administrators; nil: no other server shares the lock table.
	Cluster Cluster
	// MetricsOn and ReadyOn are the listeners that answer /metrics and /readyz. With one
	// listener they have to be Both or MainOnly.
	MetricsOn, ReadyOn Listeners
	Limits             Limits
	Proxies            Proxies
	Tracer             Tracer // nil: requests are not traced
	// Forwarded receives the requests that other nodes forward to this one; nil: there are none.
	Forwarded *forward.Receiver
	// Ends says that the API ends before its door: its requests are counted, see [API.InFlight].
	Ends bool
}

// AuditSettings are the settings of the audit log.
type AuditSettings struct {
	Level     string        // changes, decisions or all
	Retention time.Duration // older records are pruned; 0: no limit
	MaxBytes  int64         // of the database, above which the oldest records are pruned; 0: no limit
}

// Limits bound what clients may ask of a server; 0 is no limit. A request above a limit is
// answered 429.
//
// The limits per account do not hold for the account of a server without tokens, which all
// clients share. Renewals and releases count like any request, but are refused only at twice
// a limit, so that a holder can keep its lock and give it back.
type Limits struct {
	Rate     int // requests per second, per account
	InFlight int // requests in flight, per account
	// AddressRate is the number of requests per second, per address, without a valid token,
	// and of those from a refused origin.
	AddressRate int
	NewTokens   int // tokens per hour: all that administrators create, and logins per account
	// Connections and AdminConnections are the numbers of connections to the main and the
	// admin listener. On connections above them only renewals, releases and probes are answered.
	Connections      int
	AdminConnections int
}

// Defaults of a [Config].
const (
	DefaultMaxWatches = 1000
	DefaultMaxExports = 100
)

// API answers HTTP requests. It is safe for use by many goroutines. Make one with [New],
// and close it after the last request.
type API struct {
	service  *core.Service
	journal  *journal.Journal
	policies Policies
	backups  Backups // nil: there are none
	cluster  Cluster // nil: no other server shares the lock table
	tokens   *auth.Tokens
	login    *login.GitHub // nil: no logins
	public   *url.URL      // nil: unknown
	log      *slog.Logger
	sparse   *sparselog.Log // for lines that clients can cause
	version  string
	routes   []route
	unrouted *route // of requests that no route answers
	byVerb   map[string][]*route
	routers  [numListeners]*httprouter.Router
	origins  http.CrossOriginProtection
	metrics  *metrics.Metrics
	ids      requestIDs
	limits   *limit.Limits

	metricsOn, readyOn Listeners
	tracer             Tracer // nil: requests are not traced

	server  func() api.Server
	audit   AuditSettings
	commits commitWindow

	door             *Door
	ownsDoor         bool // it is closed with the API
	watches, exports limit.Streams
	backing          limit.Streams // backups under way
	streams          *wire.StreamPool
	recorder         *activity.Recorder
	hub              live.Hub          // of live streams, which count as watches
	brief            atomic.Int32      // requests in waitBriefly
	inFlight         *atomic.Int64     // nil: not counted
	forwarded        *forward.Receiver // nil: no node forwards requests
}

// New returns the API of a service. The caller closes what is in the configuration, after
// the last request has been answered.
func New(cfg Config) *API {
	if cfg.Logger == nil {
		cfg.Logger = slog.New(slog.DiscardHandler)
	}
	if cfg.Policies == nil {
		cfg.Policies = noPolicies{}
	}
	if cfg.Server == nil {
		cfg.Server = func() api.Server { return api.Server{} }
	}
	a := &API{
		server:   cfg.Server,
		audit:    cfg.Audit,
		commits:  commitWindow{start: time.Now()},
		policies: cfg.Policies,
		backups:  cfg.Backups,
		cluster:  cfg.Cluster,
		tokens:   cfg.Tokens,
		login:    cfg.Login,
		public:   cfg.Public,
		service:  cfg.Service,
		journal:  cfg.Journal,
		log:      cfg.Logger,
		version:  cfg.Version,
		routes:   routeTable(),
		ids:      newRequestIDs(),
		limits: limit.New(limit.Config{
			Rate: cfg.Limits.Rate, InFlight: cfg.Limits.InFlight, AddressRate: cfg.Limits.AddressRate, NewTokens: cfg.Limits.NewTokens,
		}),
		tracer:    cfg.Tracer,
		metricsOn: cfg.MetricsOn, readyOn: cfg.ReadyOn,
	}
	if a.door = cfg.Door; a.door == nil {
		a.door, a.ownsDoor = ownDoor(cfg), true
		a.door.Open(a, a.AdminHandler())
	}
	a.sparse = a.door.sparse
	a.forwarded = cfg.Forwarded
	if cfg.Ends {
		a.inFlight = new(atomic.Int64)
	}
	a.watches.Max = cmp.Or(cfg.MaxWatches, DefaultMaxWatches)
	a.exports.Max = cmp.Or(cfg.MaxExports, DefaultMaxExports)
	a.backing.Max = 1
	a.streams = wire.NewStreamPool(max(1, runtime.NumCPU()/2))
	a.recorder = activity.Open(activity.Config{Journal: cfg.Journal, Stats: cfg.Service.Stats})
	a.byVerb = byVerb(a.routes)
	a.metrics = metrics.New(metrics.Config{
		Process: a.door.metrics, Service: cfg.Service, Sizes: cfg.Sizes, Policies: cfg.Policies.List,
		Journal: cfg.Journal, Server: cfg.Server,
		Watches: a.watches.InUse, Exports: a.exports.InUse, LastBackup: lastOf(cfg.Backups),
	})
	a.limits.OnRefuse = a.metrics.Limited
	for i := range a.routes {
		a.routes[i].metrics = a.metrics.Route(a.routes[i].id)
	}
	a.unrouted = &route{id: noRouteID, timeless: true, metrics: a.metrics.Route(noRouteID)}
	for on := range numListeners {
		a.routers[on] = a.newRouter(on)
	}
	a.addProfiles(a.routers[adminListener])
	if a.public != nil {
		if err := a.origins.AddTrustedOrigin(a.public.Scheme + "://" + a.public.Host); err != nil {
			panic(err) // a URL has a scheme and a host
		}
	}
	if a.login != nil {
		a.login.Limit(a.limits.NewLogin)
	}
	return a
}

// ownDoor returns a door for one API.
func ownDoor(cfg Config) *Door {
	return NewDoor(DoorConfig{
		Logger: cfg.Logger, Version: cfg.Version, Connections: cfg.Limits.Connections, AdminConnections: cfg.Limits.AdminConnections,
		Proxies: cfg.Proxies, CertificateExpires: cfg.CertificateExpires, Cluster: cfg.Cluster,
	})
}

// InFlight returns how many requests are under way, if [Config.Ends] is set, else 0.
func (a *API) InFlight() int {
	if a.inFlight == nil {
		return 0
	}
	return int(a.inFlight.Load())
}

// Ending returns a handler for the main listener at the end of the API: what other nodes say about grants
// of requests under way is still answered, and next answers everything else.
func (a *API) Ending(next http.Handler) http.Handler {
	if a.forwarded == nil {
		return next
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if !a.hears(w, r) {
			next.ServeHTTP(w, r)
		}
	})
}

// Close ends what the API does beside requests, of which there must be none left. It closes the door
// unless that is of the configuration. It always returns nil.
func (a *API) Close() error {
	_ = a.recorder.Close()
	if a.ownsDoor {
		_ = a.door.Close() // so does this
	}
	return nil
}

// Timeouts and sizes of a server. With the limit on bodies they keep a slow client from
// holding more than its connection.
const (
	headerTimeout = 5 * time.Second
	bodyTimeout   = 10 * time.Second
	writeTimeout  = 10 * time.Second // per answer, from its first byte
	idleTimeout   = 2 * time.Minute
	maxHeader     = 16 << 10
	maxStreams    = 100 // of one connection, over HTTP/2
)

// ServeHTTP answers a request to the main listener.
func (a *API) ServeHTTP(w http.ResponseWriter, r *http.Request) { a.serve(w, r, mainListener) }

func (a *API) serve(w http.ResponseWriter, r *http.Request, on listener) {
	if a.forwarded != nil && a.hears(w, r) {
		return
	}
	x := a.begin(w, r)
	x.listener = on
	parked := false
	defer func() {
		if !parked {
			x.finish(recover())
		}
	}()
	if err := x.admit(); err != nil {
		x.fail(err)
		return
	}
	if path, is := strings.CutPrefix(x.r.URL.Path, lockPrefix); is && on == mainListener {
		a.lockRoute(x, path)
		if x.waiting.asks {
			parked = x.awaitGrant()
		}
		return
	}
	a.routers[on].ServeHTTP(x, x.r)
}
