package transport

import (
	"net/http"
	"net/http/pprof"
	"strings"
	"time"

	"github.com/julienschmidt/httprouter"
	"github.com/octostore/octostore/core"
	"github.com/octostore/octostore/core/auth"
)

// Listeners say where something is answered: on the main listener, where locks are, on
// the one for administration, or on both.
type Listeners uint8

// Listeners.
const (
	Both Listeners = iota
	MainOnly
	AdminOnly
)

// side is the listener a request came in by.
type side uint8

const (
	mainSide side = iota
	adminSide
	numSides
)

// serves reports whether a route is answered on a side. What is about locks is on the
// main listener only, so that who may reach the other one cannot take any.
func (a *API) serves(rt *route, on side) bool {
	where := MainOnly
	switch {
	case rt.id == "metrics":
		where = a.metricsOn
	case rt.id == "ready":
		where = a.readyOn
	case rt.id == "index", rt.id == "health", strings.HasPrefix(rt.pattern, "/v1/policies"), strings.HasPrefix(rt.pattern, "/v1/tokens"):
		where = Both
	}
	return where == Both || (where == MainOnly) == (on == mainSide)
}

// AdminServer is [API.Server] for the listener for administration. It shows profiles
// too, but only to administrators: they may hold what clients sent.
func (a *API) AdminServer() *http.Server {
	return a.server(adminSide)
}

// profiles are what /debug/pprof/ shows besides what has been gathered all the time.
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
		err := x.admit()
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
	if err := core.MayAll(x.who, "profile the server", auth.Admin); err != nil {
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
