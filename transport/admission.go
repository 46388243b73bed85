package transport

import (
	"cmp"
	"crypto/rand"
	"errors"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"strconv"
	"strings"
	"sync/atomic"
	"time"

	"github.com/octostore/octostore/core/auth"
	"github.com/octostore/octostore/transport/forward"
	"github.com/octostore/octostore/transport/internal/conn"
	"github.com/octostore/octostore/transport/internal/limit"
	"github.com/octostore/octostore/transport/internal/param"
	"github.com/octostore/octostore/transport/internal/wire"
	"github.com/octostore/octostore/transport/problem"
)

// admit decides whether a request reaches the router. It does not if too many connections are
// open, if its origin is refused, or if its address sends too many requests without a valid
// token.
func (x *exchange) admit() error {
	l, path := x.api.limits, x.r.URL.Path
	x.closeAfterChunks()
	if x.through != nil {
		x.conn.Exempt()
		if x.through.refusal != nil {
			return x.through.refusal
		}
	}
	if x.through == nil {
		if err := x.api.door.Admit(x, x.r); err != nil {
			return err
		}
	}
	if err := x.checkOrigin(); err != nil {
		return cmp.Or(l.Address(x.r.RemoteAddr, x.started), err)
	}
	switch {
	case !x.api.requiresTokens() || !x.withoutCredentials() || isProbe(path):
		return nil
	case isAsset(x.r):
		return l.Asset(x.r.RemoteAddr, x.started)
	}
	return l.Address(x.r.RemoteAddr, x.started)
}

// Admit returns why a client's request is refused on its connection: too many are open. On those above the
// limit renewals, releases and probes are answered, and each is closed after its answer.
func (d *Door) Admit(w http.ResponseWriter, r *http.Request) error {
	if c := conn.Of(r); c == nil || !c.OverLimit {
		return nil
	}
	w.Header()["Connection"] = wire.Close
	if isSpared(r) || isProbe(r.URL.Path) {
		return nil
	}
	d.metrics.Limited(limit.Connections)
	return &problem.LimitError{
		Why:        "this server has reached its limit of open connections; try again later, or use a connection that is open already",
		RetryAfter: time.Second,
	}
}

// byNode is what an exchange has if another node has forwarded its request.
type byNode struct {
	refusal error         // why the request is not for this node; nil: it is
	grant   forward.Grant // that is about to be delivered
}

// receive finds out whether another node has forwarded the request, which then knows the client.
func (x *exchange) receive() {
	from, err := x.api.forwarded.Receive(x.r, x.started)
	if from == forward.Client {
		return
	}
	x.through = &byNode{refusal: err}
	if skew, is := errors.AsType[*forward.SkewError](err); is {
		x.api.sparse.Log(slog.LevelWarn, "clocks of nodes", "refused a request that another node has forwarded", slog.Any("err", skew))
	}
}

// hears answers what another node says about a grant, and reports whether the request was that. A client
// cannot send such a request.
func (a *API) hears(w http.ResponseWriter, r *http.Request) bool {
	if !forward.MayBeWord(r) {
		return false
	}
	from, err := a.forwarded.Receive(r, time.Now())
	switch {
	case from != forward.Word:
		return false
	case err != nil:
		Moved(w, r)
	default:
		conn.Of(r).Exempt()
		a.forwarded.ServeHTTP(w, r)
	}
	return true
}

// withoutCredentials reports whether the request has no Authorization header.
func (x *exchange) withoutCredentials() bool { return len(x.r.Header["Authorization"]) == 0 }

// countRefused counts a request that was refused because of err for its address, unless admit
// has counted it already, and returns the error to answer with.
func (x *exchange) countRefused(err error) error {
	if x.withoutCredentials() {
		return err
	}
	return cmp.Or(x.api.limits.Address(x.r.RemoteAddr, x.started), err)
}

// countForAccount counts the request for its account until it has been answered, or refuses it.
func (x *exchange) countForAccount() error {
	if x.principal.TokenID == "" || isProbe(x.r.URL.Path) {
		return nil
	}
	var err error
	x.counted, err = x.api.limits.Begin(x.principal.Account, isSpared(x.r), x.started)
	return err
}

// isSpared reports whether a request is a renewal or a release, by which a holder keeps its lock
// or gives it back.
func isSpared(r *http.Request) bool {
	if strings.HasPrefix(r.URL.Path, terraformPrefix) {
		return r.Method == http.MethodDelete || r.Method == "UNLOCK"
	}
	return strings.HasSuffix(r.URL.Path, "/renew") || strings.HasSuffix(r.URL.Path, "/release")
}

// isProbe reports whether a path is that of a liveness or readiness probe.
func isProbe(path string) bool { return path == "/healthz" || path == "/readyz" }

// checkOrigin refuses requests that a web page may have caused. A server on localhost can be
// reached by every page its user visits: directly, which the cross-origin check refuses, or
// under a host name that the page's owner points at 127.0.0.1 (DNS rebinding), which the host
// check refuses. A server with tokens accepts any host name, as pages have no token.
func (x *exchange) checkOrigin() error {
	if !x.api.requiresTokens() {
		if !loopbackHost(x.r.Host) {
			return problem.ErrForeignHost
		}
	}
	if auth.HoldsSecret(x.r.URL.Path) {
		x.hidePath = true
		return param.ErrTokenInURL
	}
	if err := x.api.origins.Check(x.r); err != nil {
		return problem.ErrCrossOrigin
	}
	return nil
}

// closeAfterChunks closes the connection after the answer to a chunked request, against request
// smuggling: net/http ignores a Content-Length beside the chunks, and a proxy that does not
// would take the bytes after the chunks for part of this request.
func (x *exchange) closeAfterChunks() {
	if len(x.r.TransferEncoding) > 0 {
		x.Header()["Connection"] = wire.Close
	}
}

// loopbackHost reports whether a Host header, with or without a port, names this machine.
func loopbackHost(hostport string) bool {
	host, port, err := net.SplitHostPort(hostport)
	if err != nil {
		host, port = strings.TrimSuffix(strings.TrimPrefix(hostport, "["), "]"), "0"
	}
	if _, err := strconv.ParseUint(port, 10, 16); err != nil {
		return false
	}
	if strings.EqualFold(host, "localhost") {
		return true
	}
	addr, err := netip.ParseAddr(host)
	return err == nil && addr.IsLoopback() && addr.Zone() == ""
}

// requestIDs creates request ids: a random word per process and a number.
type requestIDs struct {
	process string
	last    *atomic.Uint64
}

func newRequestIDs() requestIDs {
	return requestIDs{process: strings.ToLower(rand.Text()[:6]) + "-", last: new(atomic.Uint64)}
}

// idOf returns the id that the client chose for its request, if it is valid, else a new one.
func (ids requestIDs) idOf(r *http.Request) string {
	if chosen := param.RequestID(r.Header); chosen != "" {
		return chosen
	}
	var text [32]byte // room for both
	return string(strconv.AppendUint(append(text[:0], ids.process...), ids.last.Add(1), 10))
}

// ownConnection returns the connection of the exchange, or nil if other requests share it.
func (x *exchange) ownConnection() *net.TCPConn {
	if x.conn == nil || x.multiplexed {
		return nil
	}
	return x.conn.TCP()
}

// markAdmitted records that the server admitted a request on the connection, which is not
// evicted from then on.
func (x *exchange) markAdmitted() { x.conn.Admit() }

// hasLeft reports whether the client has closed its connection. It is for the last moment before
// a grant is delivered: nobody else looks at the connection of a request that did not wait in a queue.
func (x *exchange) hasLeft() bool { return conn.HasHungUp(x.ownConnection()) }
