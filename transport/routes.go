package transport

import (
	"net/http"
	"strings"

	"github.com/julienschmidt/httprouter"
	"github.com/octostore/octostore/core/lock"
	"github.com/octostore/octostore/transport/internal/metrics"
	"github.com/octostore/octostore/transport/internal/param"
	"github.com/octostore/octostore/transport/login"
	"github.com/octostore/octostore/transport/problem"
)

// route is one operation of the API. The table of routes fills the router, gives the metrics
// their labels and a 405 its Allow header, and has to agree with openapi.yaml.
type route struct {
	id      string // operationId in openapi.yaml, and the label of the metrics
	method  string // a GET is also answered to HEAD
	pattern string
	fields  param.Set // its parameters
	public  bool      // needs no token
	browser bool      // for browsers: problems are HTML pages
	lenient bool      // unknown parameters are ignored
	// timeless: its answers say nothing of the lock table, or are of this process whoever owns the table.
	timeless bool
	// also is a second method for the same: one of Terraform, which OpenAPI does not know.
	also     string
	lockInfo bool                  // the body is the lock info of Terraform
	serve    func(*exchange) error // see respond
	metrics  *metrics.Route
}

// Lock routes share a prefix; their last segment is the verb, or there is none.
const (
	lockPrefix = "/v1/locks/"
	lockWhole  = lockPrefix + "{name}"
)

func routeTable() []route {
	return []route{
		{id: "index", method: http.MethodGet, pattern: "/", public: true, timeless: true, serve: (*exchange).front},
		{id: "reference", method: http.MethodGet, pattern: "/docs", public: true, timeless: true, serve: (*exchange).reference},
		{id: "page", method: http.MethodGet, pattern: uiWhole, public: true, timeless: true, serve: (*exchange).asset},
		{id: "health", method: http.MethodGet, pattern: "/healthz", public: true, timeless: true, serve: respond((*API).health)},
		{id: "ready", method: http.MethodGet, pattern: "/readyz", fields: param.SetOf(param.Grants), public: true, timeless: true, serve: respond((*API).ready)},
		{id: "metrics", method: http.MethodGet, pattern: "/metrics", public: true, timeless: true, serve: (*exchange).metrics},
		{id: "openapi", method: http.MethodGet, pattern: "/openapi.yaml", public: true, timeless: true, serve: respond((*API).openAPI)},
		{id: "beginGitHubLogin", method: http.MethodGet, pattern: login.BeginPath, public: true, browser: true, lenient: true, serve: (*exchange).beginLogin},
		{id: "gitHubCallback", method: http.MethodGet, pattern: login.CallbackPath, fields: param.SetOf(param.Code, param.State, param.LoginError), public: true, browser: true, lenient: true, serve: (*exchange).landLogin},
		{id: "finishGitHubLogin", method: http.MethodPost, pattern: login.CallbackPath, fields: param.SetOf(param.Code, param.State), public: true, browser: true, serve: (*exchange).finishLogin},
		{id: "beginDeviceLogin", method: http.MethodPost, pattern: "/v1/login/device", public: true, serve: respond((*API).beginDevice)},
		{id: "pollDeviceLogin", method: http.MethodPost, pattern: "/v1/login/device/poll", fields: param.SetOf(param.DeviceID), public: true, serve: (*exchange).pollDevice},
		{id: "whoami", method: http.MethodGet, pattern: "/v1/whoami", serve: respond((*API).whoami)},
		{id: "logout", method: http.MethodPost, pattern: "/v1/logout", serve: respond((*API).logout)},
		{id: "showActivity", method: http.MethodGet, pattern: "/v1/activity", serve: respond((*API).activity)},
		{id: "readAudit", method: http.MethodGet, pattern: "/v1/audit", fields: auditFields, serve: (*exchange).audit},
		{id: "auditState", method: http.MethodGet, pattern: "/v1/audit/state", serve: respond((*API).auditState)},
		{id: "getBackup", method: http.MethodGet, pattern: "/v1/backup", serve: (*exchange).backup},
		{id: "watchEvents", method: http.MethodGet, pattern: "/v1/events", fields: param.SetOf(param.Prefix), serve: (*exchange).watch},
		{id: "listLocks", method: http.MethodGet, pattern: "/v1/locks", fields: param.SetOf(param.Prefix, param.Account, param.Sort, param.Limit, param.After, param.Name, param.Waiters, param.WaitersAfter), serve: respond((*API).listLocks)},
		{id: "showLive", method: http.MethodGet, pattern: "/v1/live", fields: liveFields, serve: (*exchange).live},
		{id: "listPolicies", method: http.MethodGet, pattern: "/v1/policies", serve: respond((*API).listPolicies)},
		{id: "explainPolicies", method: http.MethodGet, pattern: "/v1/policies/explain", fields: explainFields, serve: respond((*API).explainPolicies)},
		{id: "reloadPolicies", method: http.MethodPost, pattern: "/v1/policies/reload", fields: param.SetOf(param.Reason), serve: respond((*API).reloadPolicies)},
		{id: "server", method: http.MethodGet, pattern: "/v1/server", serve: respond((*API).showServer)},
		{id: "showCluster", method: http.MethodGet, pattern: "/v1/cluster", serve: respond((*API).showCluster)},
		{id: "handOver", method: http.MethodPost, pattern: "/v1/cluster/hand-over", fields: param.SetOf(param.Reason), serve: (*exchange).handOver},
		{id: "drain", method: http.MethodPost, pattern: "/v1/drain", fields: param.SetOf(param.Reason), serve: respond((*API).drain)},
		{id: "listTokens", method: http.MethodGet, pattern: "/v1/tokens", fields: param.SetOf(param.Limit, param.After), serve: respond((*API).listTokens)},
		{id: "createToken", method: http.MethodPost, pattern: "/v1/tokens", fields: param.SetOf(param.Account, param.Name, param.Scopes, param.Expires), serve: respond((*API).createToken)},
		{id: "revokeToken", method: http.MethodDelete, pattern: "/v1/tokens/{id}", serve: respond((*API).revokeToken)},
		{id: "rotateToken", method: http.MethodPost, pattern: "/v1/tokens/{id}/rotate", fields: param.SetOf(param.Grace), serve: respond((*API).rotateToken)},
		{id: "getLock", method: http.MethodGet, pattern: lockWhole, fields: param.SetOf(param.Waiters, param.WaitersAfter), serve: respond((*API).getLock)},
		{id: "acquireLock", method: http.MethodPost, pattern: lockWhole + "/acquire", fields: param.SetOf(param.TTL, param.Wait, param.Confirm, param.Holder, param.Reason, param.Metadata), serve: (*exchange).acquire},
		{id: "renewLock", method: http.MethodPost, pattern: lockWhole + "/renew", fields: param.SetOf(param.LeaseID, param.TTL), serve: respond((*API).renewLock)},
		{id: "releaseLock", method: http.MethodPost, pattern: lockWhole + "/release", fields: param.SetOf(param.LeaseID), serve: respond((*API).releaseLock)},
		{id: "breakLock", method: http.MethodPost, pattern: lockWhole + "/break", fields: param.SetOf(param.Reason, param.FencingToken, param.Take, param.TTL, param.Confirm, param.Holder, param.Metadata), serve: (*exchange).breakLease},
		{id: "lockTerraform", method: http.MethodPost, also: "LOCK", pattern: terraformWhole, fields: terraformFields, lockInfo: true, serve: (*exchange).lockTerraform},
		{id: "unlockTerraform", method: http.MethodDelete, also: "UNLOCK", pattern: terraformWhole, fields: terraformFields, lockInfo: true, serve: respond((*API).unlockTerraform)},
	}
}

// noRouteID is the route under which requests are counted that no route answers.
const noRouteID = "none"

// newRouter fills a router from the table, except for lock routes. Nothing is redirected: a client
// that follows a redirect would send its POST twice, and curl drops credentials on the way.
func (a *API) newRouter(on listener) *httprouter.Router {
	router := &httprouter.Router{NotFound: http.HandlerFunc(a.noRoute)}
	for i := range a.routes {
		rt := &a.routes[i]
		if !a.serves(rt, on) || strings.HasPrefix(rt.pattern, lockPrefix) { // see lockRoute
			continue
		}
		for _, method := range rt.methods() {
			if rt.pattern == terraformWhole {
				router.Handle(method, terraformPrefix+"*path", terraformRoute(rt))
				continue
			}
			if rt.pattern == uiWhole {
				router.Handle(method, uiPrefix+"*path", uiRoute(rt))
				continue
			}
			router.Handle(method, strings.ReplaceAll(rt.pattern, "{id}", ":id"), func(w http.ResponseWriter, _ *http.Request, ps httprouter.Params) {
				x := w.(*exchange)
				x.params.TokenID = ps.ByName("id")
				x.run(rt)
			})
		}
	}
	return router
}

func (rt *route) methods() []string {
	if rt.method == http.MethodGet {
		return []string{http.MethodGet, http.MethodHead}
	}
	if rt.also != "" {
		return []string{rt.method, rt.also}
	}
	return []string{rt.method}
}

func (rt *route) answers(method string) bool {
	return method == rt.method || rt.also != "" && method == rt.also || rt.method == http.MethodGet && method == http.MethodHead
}

// at reports whether the path is that of the route, which is not a lock route.
func (rt *route) at(path string) bool {
	switch rt.pattern {
	case terraformWhole:
		return strings.HasPrefix(path, terraformPrefix)
	case uiWhole:
		return strings.HasPrefix(path, uiPrefix)
	}
	before, after, has := strings.Cut(rt.pattern, "{id}")
	if !has {
		return path == rt.pattern
	}
	id, under := strings.CutPrefix(path, before)
	id, ends := strings.CutSuffix(id, after)
	return under && ends && id != "" && !strings.Contains(id, "/")
}

// verb returns the end of a lock route: "/acquire", or "" for the lock itself.
func (rt *route) verb() string { return rt.pattern[len(lockWhole):] }

// byVerb indexes the lock routes by the last segment of their path, "" being the
// lock itself.
func byVerb(routes []route) map[string][]*route {
	index := map[string][]*route{}
	for i := range routes {
		if rt := &routes[i]; strings.HasPrefix(rt.pattern, lockPrefix) {
			verb := strings.TrimPrefix(rt.verb(), "/")
			index[verb] = append(index[verb], rt)
		}
	}
	return index
}

// lockRoute splits the path after /v1/locks/ into name and verb. The path of a POST ends in its
// verb, that of a GET never does: a GET that ends in a verb is a POST that was meant, and must
// not look like one that succeeded.
func (a *API) lockRoute(x *exchange, path string) {
	r := x.r
	matched := a.lockRoutes(path)
	for _, rt := range matched {
		if !rt.answers(r.Method) {
			continue
		}
		x.runNamed(rt, path[:max(0, len(path)-len(rt.verb()))])
		return
	}
	wrong := notAllowed(r.Method, matched)
	switch r.Method {
	case http.MethodPost: // but to which verb?
		wrong.Hint = a.verbHint(path)
	case http.MethodGet, http.MethodHead:
		wrong.Hint = postHint(path)
	}
	x.failUnrouted(wrong)
}

// lockRoutes returns the routes of a path after /v1/locks/: those of its verb, or of the lock
// itself.
func (a *API) lockRoutes(path string) []*route {
	if routes := a.byVerb[path[strings.LastIndexByte(path, '/')+1:]]; routes != nil {
		return routes
	}
	return a.byVerb[""]
}

// noRoute answers what the router does not know: a path with another method, or no path at all.
func (a *API) noRoute(w http.ResponseWriter, r *http.Request) {
	x := w.(*exchange)
	var there []*route
	for i := range a.routes {
		if a.routes[i].at(r.URL.Path) && a.serves(&a.routes[i], x.listener) {
			there = append(there, &a.routes[i])
		}
	}
	if there == nil {
		x.failUnrouted(problem.ErrNotFound)
		return
	}
	wrong := notAllowed(r.Method, there)
	if there[0].pattern == terraformWhole {
		wrong.Hint = "this address has locks, no states: it is for lock_address and unlock_address of the backend, not for address"
	}
	x.failUnrouted(wrong)
}

func notAllowed(method string, there []*route) *problem.MethodError {
	var allow []string
	for _, rt := range there {
		allow = append(allow, rt.methods()...)
	}
	return &problem.MethodError{Method: param.Shorten(method), Allow: strings.Join(allow, ", ")}
}

// verbHint is the hint for a POST to a path after /v1/locks/ that ends in no verb. It lists the
// verbs, and names the one that the last segment may be a misspelling of.
func (a *API) verbHint(path string) string {
	const mistakes = 2
	last := strings.ToLower(path[strings.LastIndexByte(path, '/')+1:])
	var verbs []string
	best, least := "", mistakes+1
	for i := range a.routes {
		rt := &a.routes[i]
		if rt.method != http.MethodPost || !strings.HasPrefix(rt.pattern, lockWhole) {
			continue
		}
		verbs = append(verbs, rt.verb())
		if n := distance(last, rt.verb()[1:], least); n < least {
			best, least = rt.verb(), n
		}
	}
	end := len(verbs) - 1
	hint := "to do something to a lock, end the path in " + strings.Join(verbs[:end], ", ") + " or " + verbs[end]
	if best != "" {
		hint += "; did you mean " + best + "?"
	}
	return hint
}

// postHint is the hint for a GET of a path after /v1/locks/ that ends in a verb: how to send the
// POST, and how to read the lock of that name if it is a valid name.
func postHint(path string) string {
	verb := path[strings.LastIndexByte(path, '/')+1:]
	hint := verb + " is a POST: curl needs -X POST"
	if _, err := lock.ParseName(path); err == nil {
		hint += "; the lock whose name is " + path + " is read with GET /v1/locks?name=" + strings.ReplaceAll(path, "+", "%2B")
	}
	return hint
}

// distance returns the edit distance of a and b, or enough if it is at least that.
func distance(a, b string, enough int) int {
	if len(a)-len(b) >= enough || len(b)-len(a) >= enough {
		return enough
	}
	row := make([]int, len(b)+1) // from the first i letters of a to the first j of b
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		diagonal := row[0]
		row[0] = i + 1
		for j := range len(b) {
			change := diagonal
			if a[i] != b[j] {
				change++
			}
			diagonal = row[j+1]
			row[j+1] = min(change, row[j]+1, diagonal+1)
		}
	}
	return min(row[len(b)], enough)
}
