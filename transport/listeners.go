package transport

import (
	"log/slog"
	"net"
	"net/http"
	"net/http/pprof"
	"strings"
	"time"

	"github.com/julienschmidt/httprouter"
	"github.com/octostore/octostore/core"
	"github.com/octostore/octostore/core/auth"
	"github.com/octostore/octostore/transport/internal/lane"
	"github.com/octostore/octostore/transport/internal/proxy"
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
		strings.HasPrefix(rt.pattern, "/v1/policies"), strings.HasPrefix(rt.pattern, "/v1/tokens"):
		where = Both
	}
	return where == Both || (where == MainOnly) == (on == mainListener)
}

// AdminServer is [API.Server] for the admin listener. It also shows profiles, which may hold
// what clients sent, to administrators only.
func (a *API) AdminServer() *http.Server {
	return a.httpServer(adminListener)
}

// Lane serves the main listener of an [API]: the usual requests for locks itself, all others with
// an [http.Server] like that of [API.Server]. It does not speak TLS.
type Lane = lane.Server

// Lane returns a lane for the API, which does not listen yet. It answers every request as
// [API.Server] does, but takes less time and memory for the usual ones.
func (a *API) Lane() *Lane { return a.newLane(a.hangups.Open()) }

// newLane returns a lane that keeps requests that wait, or hands them over.
func (a *API) newLane(waits bool) *Lane {
	of := a.connectionsOf(mainListener)
	return lane.New(lane.Config{
		Handler:       a,
		Rest:          a.Server(),
		ConnContext:   of.Opened,
		ConnState:     of.Changed,
		HeaderTimeout: headerTimeout,
		IdleTimeout:   idleTimeout,
		Poller:        waits,
	})
}

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
	rt := &route{id: "profiles", method: http.MethodGet, pattern: profilesPath}
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

// Listener returns a listener for the server of the API, which takes connections from l. It reads the
// headers of the PROXY protocol if [Config] says so, and is l otherwise. Closing it closes l.
func (a *API) Listener(l net.Listener) net.Listener {
	return a.proxies.Listen(l, func(peer net.Addr, err error) {
		a.sparse.Log(slog.LevelWarn, "proxy header", "closed a connection of a trusted proxy",
			slog.Any("err", err), slog.String("proxy", peer.String()))
	})
}

// findClient sets the remote address of a request to that of the client, if it came through trusted
// proxies: limits, audit log and policies see the client.
func (a *API) findClient(r *http.Request) {
	peer := r.RemoteAddr
	client, trouble := a.proxies.Client(peer, r.Header)
	r.RemoteAddr = client
	if trouble != "" {
		a.sparse.Log(slog.LevelWarn, "proxy "+string(trouble), string(trouble), slog.String("proxy", peer))
	}
}
