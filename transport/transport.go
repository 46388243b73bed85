// Package transport is OctoStore over HTTP: it turns requests into calls of a
// [core.Service] and what comes back into answers.
//
// # The life of a request
//
// [API.ServeHTTP] makes an exchange, which names the request, checks at the door
// where it comes from, finds its route, reads its parameters to the last byte of the
// body, and calls the route's handler. A handler returns an error instead of writing
// one; package problem knows what each is answered with.
//
// # What the package watches over
//
//   - The body is read to its end before anybody waits: net/http learns that a client
//     has left only after that.
//   - The server has no WriteTimeout, which would count the wait of a long poll;
//     every answer has its own deadline instead.
//   - An acquire is answered in one write that is flushed before the handler returns, so
//     that a failed write is seen, and the grant undone.
//   - http.Server.Shutdown neither wakes nor answers those who wait. Drain the table
//     first.
package transport

import (
	"cmp"
	"log/slog"
	"net/http"
	"net/netip"
	"runtime"
	"time"

	"github.com/julienschmidt/httprouter"
	"github.com/octostore/octostore/core"
	"github.com/octostore/octostore/core/auth"
	"github.com/octostore/octostore/core/journal"
	"github.com/octostore/octostore/core/sparselog"
	"github.com/octostore/octostore/transport/internal/conn"
	"github.com/octostore/octostore/transport/internal/limit"
	"github.com/octostore/octostore/transport/internal/metrics"
	"github.com/octostore/octostore/transport/internal/wire"
	"github.com/octostore/octostore/transport/login"
)

// Config is what an [API] needs. Service and Journal must be set.
type Config struct {
	Service *core.Service
	Journal *journal.Journal // of the service's table
	Logger  *slog.Logger     // nil: nothing is logged
	Version string           // of the program, for people and metrics
	// Sizes returns how many bytes the database and its write-ahead log have. It is
	// called at every scrape of the metrics; nil leaves them out.
	Sizes func() (db, wal int64)
	// Tokens say who may do what; nil: everybody may do everything.
	Tokens *auth.Tokens
	// Login lets people get tokens by GitHub, and needs Tokens; nil: nobody can.
	Login *login.GitHub
	// How many clients may watch, and export or follow the audit, at a time; 0 means
	// DefaultMaxWatches and DefaultMaxExports.
	MaxWatches, MaxExports int
	// Policies are shown and loaded again on request; nil: there are none.
	Policies Policies
	// Where /metrics and /readyz are answered. With one listener this has to be Both or
	// MainOnly.
	MetricsOn, ReadyOn Listeners
	Limits             Limits
}

// Limits bound what clients may ask of a server at a time; 0 is no limit. What is asked
// too soon or too often is answered 429.
//
// None of them is about the account of a server without tokens, since everybody has it.
// Renewals and releases count like any request, but are refused only at twice a limit:
// whoever has a lock is to be able to keep it and to give it back.
type Limits struct {
	Rate     int // requests of one account in a second
	InFlight int // requests of one account that are not answered yet
	// AddressRate is how many requests without a good token may come from one address in a
	// second, and how many of those that the door refuses.
	AddressRate int
	NewTokens   int // tokens made in an hour by administrators together, and by logging in for each account
	Connections int // to the main listener; on those above it only renewals, releases and probes are answered
	// AdminConnections is how many connections there may be to the listener for
	// administration.
	AdminConnections int
}

// What a [Config] that does not say means.
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
	tokens   *auth.Tokens
	login    *login.GitHub // nil: nobody can log in
	log      *slog.Logger
	sparse   *sparselog.Log // about what clients cause
	version  string
	routes   []route
	none     *route // stands for requests that no route answers
	byVerb   map[string][]*route
	routers  [numSides]*httprouter.Router
	origins  http.CrossOriginProtection
	metrics  *metrics.Metrics
	ids      requestIDs
	limits   *limit.Limits

	metricsOn, readyOn Listeners

	connections      [numSides]*conn.Set
	watches, exports limit.Streams
	streams          *wire.StreamPool
	hangups          conn.Hangups
}

// New returns the API over a service. The caller keeps what is in the configuration,
// and closes it after the last request has been answered.
func New(cfg Config) *API {
	if cfg.Logger == nil {
		cfg.Logger = slog.New(slog.DiscardHandler)
	}
	if cfg.Policies == nil {
		cfg.Policies = noPolicies{}
	}
	a := &API{
		policies: cfg.Policies,
		tokens:   cfg.Tokens,
		login:    cfg.Login,
		service:  cfg.Service,
		journal:  cfg.Journal,
		log:      cfg.Logger,
		sparse:   sparselog.New(cfg.Logger),
		version:  cfg.Version,
		routes:   routeTable(),
		ids:      newRequestIDs(),
		limits: limit.New(limit.Config{
			Rate: cfg.Limits.Rate, InFlight: cfg.Limits.InFlight, AddressRate: cfg.Limits.AddressRate, NewTokens: cfg.Limits.NewTokens,
		}),
		connections: [numSides]*conn.Set{
			mainSide:  conn.NewSet(cfg.Limits.Connections, cfg.Limits.Connections/16+16, limit.NetworkOf), // to refuse those above the limit, there has to be room for some
			adminSide: conn.NewSet(cfg.Limits.AdminConnections, cfg.Limits.AdminConnections/4, limit.NetworkOf),
		},

		metricsOn: cfg.MetricsOn, readyOn: cfg.ReadyOn,
	}
	a.watches.Max = cmp.Or(cfg.MaxWatches, DefaultMaxWatches)
	a.exports.Max = cmp.Or(cfg.MaxExports, DefaultMaxExports)
	a.streams = wire.NewStreamPool(max(1, runtime.NumCPU()/2))
	a.byVerb = byVerb(a.routes)
	a.metrics = metrics.New(metrics.Config{
		Version: cfg.Version, Service: cfg.Service, Sizes: cfg.Sizes, Policies: cfg.Policies.List,
		Watches: a.watches.InUse, Exports: a.exports.InUse, Connections: a.connections[mainSide].Len,
		Listeners: sideNames[:], Limits: limit.Names(),
	})
	a.limits.OnRefuse = a.metrics.Limited
	for on := range numSides {
		a.connections[on].OnEvict = func(network netip.Addr) {
			a.metrics.Evicted(sideNames[on])
			a.logCut(on, network)
		}
	}
	for i := range a.routes {
		a.routes[i].metrics = a.metrics.Route(a.routes[i].id)
	}
	a.none = &route{id: noRouteID, metrics: a.metrics.Route(noRouteID)}
	for on := range numSides {
		a.routers[on] = a.newRouter(on)
	}
	a.addProfiles(a.routers[adminSide])
	if a.login != nil {
		a.login.Limit(a.limits.NewLogin)
	}
	return a
}

// Close ends what the API does beside requests, of which there must be none any more. It
// always returns nil.
func (a *API) Close() error {
	a.hangups.Close()
	a.sparse.Close()
	return nil
}

// Limits of a server. Together with the bound on bodies they keep a slow or
// careless client from holding more than its connection.
const (
	headerTimeout = 5 * time.Second
	bodyTimeout   = 10 * time.Second
	writeTimeout  = 10 * time.Second // per answer, from its first byte
	idleTimeout   = 2 * time.Minute
	maxHeader     = 16 << 10
	maxStreams    = 100 // of one connection, over HTTP/2
)

// Server returns a server for the API with the limits it needs. It has no address
// and is not listening yet.
func (a *API) Server() *http.Server {
	return a.server(mainSide)
}

func (a *API) server(on side) *http.Server {
	of := a.connectionsOf(on)
	return &http.Server{
		Handler:           http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { a.serve(w, r, on) }),
		ReadHeaderTimeout: headerTimeout,
		IdleTimeout:       idleTimeout,
		MaxHeaderBytes:    maxHeader,
		HTTP2:             &http.HTTP2Config{MaxConcurrentStreams: maxStreams},
		ErrorLog:          conn.NewServerLog(a.log, a.sparse),

		DisableGeneralOptionsHandler: true,

		ConnContext: of.Opened,
		ConnState:   of.Changed,
	}
}

// ServeHTTP answers one request of the main listener.
func (a *API) ServeHTTP(w http.ResponseWriter, r *http.Request) { a.serve(w, r, mainSide) }

func (a *API) serve(w http.ResponseWriter, r *http.Request, on side) {
	x := a.begin(w, r)
	x.on = on
	defer x.finish()
	if err := x.enter(); err != nil {
		x.fail(err)
		return
	}
	a.routers[on].ServeHTTP(x, r)
}
