package transport

import (
	"log/slog"
	"net"
	"net/http"
	"net/http/pprof"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
	"time"

	"github.com/julienschmidt/httprouter"
	"github.com/octostore/octostore/core"
	"github.com/octostore/octostore/core/auth"
	"github.com/octostore/octostore/core/lock"
	"github.com/octostore/octostore/core/sparselog"
	"github.com/octostore/octostore/transport/internal/conn"
	"github.com/octostore/octostore/transport/internal/lane"
	"github.com/octostore/octostore/transport/internal/limit"
	"github.com/octostore/octostore/transport/internal/metrics"
	"github.com/octostore/octostore/transport/internal/proxy"
	"github.com/octostore/octostore/transport/internal/wire"
	"github.com/octostore/octostore/transport/problem"
)

// Listeners says which listeners answer something: the main one, where locks are, the admin
// listener, or both.
type Listeners uint8

// Listeners.
const (
	Both Listeners = iota
	MainOnly
	AdminOnly
)

// listener is the listener a request came in by.
type listener uint8

const (
	mainListener listener = iota
	adminListener
	numListeners
)

// serves reports whether a listener answers a route. Locks are on the main listener only, so a
// client that reaches only the admin listener cannot acquire any.
func (a *API) serves(rt *route, on listener) bool {
	where := MainOnly
	switch {
	case rt.id == "metrics":
		where = a.metricsOn
	case rt.id == "ready":
		where = a.readyOn
	case rt.id == "index", rt.id == "health", rt.id == "server", rt.id == "drain", rt.id == "getBackup",
		strings.HasPrefix(rt.pattern, "/v1/cluster"), strings.HasPrefix(rt.pattern, "/v1/policies"), strings.HasPrefix(rt.pattern, "/v1/tokens"):
		where = Both
	}
	return where == Both || (where == MainOnly) == (on == mainListener)
}

// DoorConfig is what a [Door] needs. The zero value is useful.
type DoorConfig struct {
	Logger  *slog.Logger // nil: nothing is logged
	Version string       // of the program, for metrics
	// Connections and AdminConnections are as in [Limits].
	Connections, AdminConnections int
	Proxies                       Proxies
	// CertificateExpires returns when the TLS certificate in use ends; nil: there is none.
	CertificateExpires func() time.Time
	Cluster            Cluster // for metrics; nil: the process shares its lock table with no other
}

// Door is what belongs to the listeners of a process: connections, their limits and their hang-ups,
// servers, and the metrics of the process. It stays while the APIs behind it, one for each lock table
// that the process serves, follow each other. It is safe for use by many goroutines. Make one with
// [NewDoor], and close it after the last request.
type Door struct {
	log         *slog.Logger
	sparse      *sparselog.Log
	connections [numListeners]*conn.Set
	hangups     conn.Hangups
	proxies     *proxy.Proxies // nil: none is trusted
	metrics     *metrics.Process
	behind      atomic.Pointer[behind]
}

// behind is what answers the requests of a door.
type behind struct {
	answer [numListeners]http.Handler
	plain  bool // the lane may call it
}

// NewDoor returns a door that answers every request 503 moved until [Door.Open] is called.
func NewDoor(cfg DoorConfig) *Door {
	if cfg.Logger == nil {
		cfg.Logger = slog.New(slog.DiscardHandler)
	}
	d := &Door{
		log:    cfg.Logger,
		sparse: sparselog.New(cfg.Logger),
		connections: [numListeners]*conn.Set{
			// The reserve leaves room to refuse clients above the limit.
			mainListener:  conn.NewSet(cfg.Connections, cfg.Connections/16+16, limit.NetworkOf),
			adminListener: conn.NewSet(cfg.AdminConnections, cfg.AdminConnections/4, limit.NetworkOf),
		},
	}
	if len(cfg.Proxies.Trusted) > 0 {
		d.proxies = &cfg.Proxies
	}
	for on := range numListeners {
		d.connections[on].OnEvict = func(network netip.Addr) { d.logEvicted(on, network) }
	}
	process := metrics.ProcessConfig{
		Version: cfg.Version, Connections: d.connections[mainListener].Len, Evicted: d.evicted,
		Listeners: listenerNames[:], Limits: limit.Names(), CertificateExpires: cfg.CertificateExpires,
	}
	if cfg.Cluster != nil {
		process.Cluster = cfg.Cluster.Stats
	}
	d.metrics = metrics.NewProcess(process)
	closed := http.HandlerFunc(Moved)
	d.Open(closed, closed)
	return d
}

// Moved answers that another process serves: 503 moved.
func Moved(w http.ResponseWriter, _ *http.Request) {
	answer := problem.Of(lock.ErrDeposed, time.Now())
	body, h := wire.AppendProblem(nil, answer.Problem), w.Header()
	h["Content-Type"] = wire.TypeProblem
	h["Content-Length"] = []string{strconv.Itoa(len(body))}
	h["Retry-After"] = []string{strconv.Itoa(int(answer.RetryAfter / time.Second))}
	w.WriteHeader(answer.Status)
	_, _ = w.Write(body) // its loss does no harm
}

// Open has requests to the main and the admin listener answered by these from now on. Requests that
// have begun are not affected. The lane calls main only if it is an [API]; others get all requests
// from net/http.
func (d *Door) Open(main, admin http.Handler) {
	_, plain := main.(*API)
	d.behind.Store(&behind{answer: [numListeners]http.Handler{mainListener: main, adminListener: admin}, plain: plain})
}

// plain reports whether the lane may have requests answered.
func (d *Door) plain() bool { return d.behind.Load().plain }

// handler answers the requests to a listener.
func (d *Door) handler(on listener) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) { d.behind.Load().answer[on].ServeHTTP(w, r) }
}

// laneHandler is handler for the lane, which may just have read a request while the door was opened for
// others.
func (d *Door) laneHandler(w http.ResponseWriter, r *http.Request) {
	now := d.behind.Load()
	if !now.plain {
		Moved(w, r)
		return
	}
	now.answer[mainListener].ServeHTTP(w, r)
}

// Metrics serves the metrics of the process, without those of a lock table.
func (d *Door) Metrics() http.Handler { return d.metrics.Handler }

// Close ends what the door does beside requests, of which there must be none left. It always returns
// nil.
func (d *Door) Close() error {
	d.hangups.Close()
	d.sparse.Close()
	return nil
}

// Server returns a server for the main listener with the limits it needs. It has no address and does
// not listen yet.
func (d *Door) Server() *http.Server { return d.server(mainListener) }

// AdminServer is [Door.Server] for the admin listener. Behind it an API also shows profiles, which
// may hold what clients sent, to administrators only.
func (d *Door) AdminServer() *http.Server { return d.server(adminListener) }

func (d *Door) server(on listener) *http.Server {
	of := d.connections[on]
	return &http.Server{
		Handler:           d.handler(on),
		ReadHeaderTimeout: headerTimeout,
		IdleTimeout:       idleTimeout,
		MaxHeaderBytes:    maxHeader,
		HTTP2:             &http.HTTP2Config{MaxConcurrentStreams: maxStreams},
		ErrorLog:          conn.NewServerLog(d.log, d.sparse),

		DisableGeneralOptionsHandler: true,

		ConnContext: of.Opened,
		ConnState:   of.Changed,
	}
}

// Lane serves the main listener of a [Door]: the usual requests for locks itself, all others with
// an [http.Server] like that of [Door.Server]. It does not speak TLS.
type Lane = lane.Server

// Lane returns a lane for the main listener, which does not listen yet. Every request is answered as
// by [Door.Server], but takes less time and memory if it is a usual one.
func (d *Door) Lane() *Lane { return d.newLane(d.hangups.Open()) }

// newLane returns a lane that keeps requests that wait, or hands them over.
func (d *Door) newLane(waits bool) *Lane {
	of := d.connections[mainListener]
	return lane.New(lane.Config{
		Handler:       http.HandlerFunc(d.laneHandler),
		Plain:         d.plain,
		Rest:          d.Server(),
		ConnContext:   of.Opened,
		ConnState:     of.Changed,
		HeaderTimeout: headerTimeout,
		IdleTimeout:   idleTimeout,
		Poller:        waits,
	})
}

// Listener returns a listener for the server of the door, which takes connections from l. It reads the
// headers of the PROXY protocol if [DoorConfig] says so, and is l otherwise. Closing it closes l.
func (d *Door) Listener(l net.Listener) net.Listener {
	return d.proxies.Listen(l, func(peer net.Addr, err error) {
		d.sparse.Log(slog.LevelWarn, "proxy header", "closed a connection of a trusted proxy",
			slog.Any("err", err), slog.String("proxy", peer.String()))
	})
}

// Unserved returns the number of connections whose first request may be on its way: they were
// made within the last second, and no request was admitted on them. Once a server is shut down
// net/http answers no request that has not begun.
func (d *Door) Unserved() (n int) {
	for _, c := range d.connections {
		n += c.Unserved()
	}
	return n
}

// listenerNames are the names of the listeners in log and metrics.
var listenerNames = [numListeners]string{mainListener: "main", adminListener: "admin"}

// evicted returns how many connections to the listener of that name were evicted.
func (d *Door) evicted(name string) int64 {
	return d.connections[slices.Index(listenerNames[:], name)].Evicted.Load()
}

// logEvicted logs that connections to a listener are evicted, and how many so far, once a
// minute.
func (d *Door) logEvicted(on listener, network netip.Addr) {
	c := d.connections[on]
	d.sparse.Log(
		slog.LevelWarn,
		"cut "+listenerNames[on],
		"connections without a request were cut to make room for others",
		slog.String(
			"listener",
			listenerNames[on],
		),
		slog.Int64("cut", c.Evicted.Load()),
		slog.String("last_from", network.String()),
		slog.String("may_be_open", strconv.Itoa(c.Max)),
	)
}

// Client returns the address and the port of the client that sent a request, which may have come
// through trusted proxies.
func (d *Door) Client(r *http.Request) string {
	if d.proxies == nil {
		return r.RemoteAddr
	}
	client, trouble := d.proxies.Client(r.RemoteAddr, r.Header)
	if trouble != "" {
		d.sparse.Log(slog.LevelWarn, "proxy "+string(trouble), string(trouble), slog.String("proxy", r.RemoteAddr))
	}
	return client
}

// Admitted records that the node which serves admitted a request that this one forwarded: its connection
// is not evicted from then on.
func (d *Door) Admitted(r *http.Request) { conn.Of(r).Admit() }

// AdminHandler answers requests to the admin listener.
func (a *API) AdminHandler() http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { a.serve(w, r, adminListener) })
}

// Server returns a server for the API alone with the limits it needs. It has no address and does not
// listen yet. Like the next three it is for an API that has its door to itself.
func (a *API) Server() *http.Server { return a.door.Server() }

// AdminServer is [Door.AdminServer] of the API.
func (a *API) AdminServer() *http.Server { return a.door.AdminServer() }

// Lane is [Door.Lane] of the API.
func (a *API) Lane() *Lane { return a.door.Lane() }

// Listener is [Door.Listener] of the API.
func (a *API) Listener(l net.Listener) net.Listener { return a.door.Listener(l) }

// profiles are the parts of /debug/pprof/ that pprof.Index does not show.
var profiles = map[string]http.HandlerFunc{
	"cmdline": pprof.Cmdline,
	"profile": pprof.Profile,
	"symbol":  pprof.Symbol,
	"trace":   pprof.Trace,
}

const (
	profilesPath = "/debug/pprof/"
	// profileTimeout bounds the time a profile may take, to be gathered and written.
	profileTimeout = 5 * time.Minute
)

func (a *API) addProfiles(router *httprouter.Router) {
	rt := &route{id: "profiles", method: http.MethodGet, pattern: profilesPath, timeless: true}
	rt.metrics = a.metrics.Route(rt.id)
	router.Handle(rt.method, profilesPath+"*path", func(w http.ResponseWriter, _ *http.Request, _ httprouter.Params) {
		x := w.(*exchange)
		x.route = rt
		err := x.identify()
		if err == nil {
			err = x.profile()
		}
		if err != nil {
			x.fail(err)
		}
	})
}

// profile shows what the process is doing.
func (x *exchange) profile() error {
	if err := core.MayAll(x.principal, "profile the server", auth.Admin); err != nil {
		return err
	}
	show := profiles[strings.TrimPrefix(x.r.URL.Path, profilesPath)]
	if show == nil {
		show = pprof.Index
	}
	_ = http.NewResponseController(x.w).SetWriteDeadline(time.Now().Add(profileTimeout)) // unsupported where there is no connection
	show(x, x.r)
	return nil
}

// Proxies are the trusted proxies, and the one source in which they are believed when they name
// the address of a client. The zero value trusts none.
type Proxies = proxy.Proxies

// ProxySource is the source of client addresses in [Proxies].
type ProxySource = proxy.Source

// Sources of [Proxies].
const (
	XForwardedFor = proxy.XForwardedFor
	Forwarded     = proxy.Forwarded
	ProxyProtocol = proxy.Protocol
)
