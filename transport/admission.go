package transport

import (
	"cmp"
	"crypto/rand"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"strconv"
	"strings"
	"sync/atomic"
	"time"

	"github.com/octostore/octostore/core/auth"
	"github.com/octostore/octostore/transport/internal/conn"
	"github.com/octostore/octostore/transport/internal/limit"
	"github.com/octostore/octostore/transport/internal/param"
	"github.com/octostore/octostore/transport/internal/wire"
	"github.com/octostore/octostore/transport/problem"
)

// enter lets a request as far as the router, or says why not: there are too many
// connections, the door keeps it out, or its address sends too much that has no token.
func (x *exchange) enter() error {
	l, path := x.api.limits, x.r.URL.Path
	x.closeAfterChunks()
	if x.link != nil && x.link.OverLimit {
		x.w.Header()["Connection"] = wire.Close
		if !isSpared(path) && !isProbe(path) {
			return l.Refuse(limit.Connections, time.Second, "as many connections are open as this server may have; try again later, or on a connection that is open already")
		}
	}
	if err := x.door(); err != nil {
		return cmp.Or(l.Address(x.r.RemoteAddr, x.started), err)
	}
	if x.api.closed() && x.anonymous() && !isProbe(path) {
		return l.Address(x.r.RemoteAddr, x.started)
	}
	return nil
}

// anonymous reports whether the request does not even try to say who sent it.
func (x *exchange) anonymous() bool { return len(x.r.Header["Authorization"]) == 0 }

// refusedOrLimited returns what a request is answered that was not let in because of err.
// It counts for its address, unless it was counted already.
func (x *exchange) refusedOrLimited(err error) error {
	if x.anonymous() {
		return err
	}
	return cmp.Or(x.api.limits.Address(x.r.RemoteAddr, x.started), err)
}

// count counts a request for its account until it has been answered, or says why it may
// not go on.
func (x *exchange) count() error {
	if x.who.TokenID == "" || isProbe(x.r.URL.Path) {
		return nil
	}
	var err error
	x.counted, err = x.api.limits.Begin(x.who.Account, isSpared(x.r.URL.Path), x.started)
	return err
}

// isSpared reports whether a path is that of a request by which a lock is kept or given
// back.
func isSpared(path string) bool {
	return strings.HasSuffix(path, "/renew") || strings.HasSuffix(path, "/release")
}

// isProbe reports whether a path is asked by what would otherwise end the server.
func isProbe(path string) bool { return path == "/healthz" || path == "/readyz" }

// door refuses what must not even be routed. A server on localhost can be reached by
// every web page its user looks at: directly, which the cross-origin check refuses,
// or under a host name that the page's owner points at 127.0.0.1, which the host
// check refuses.
//
// With tokens any host name will do, for a page has none of them.
func (x *exchange) door() error {
	if !x.api.closed() {
		if !loopbackHost(x.r.Host) {
			return problem.ErrForeignHost
		}
	}
	if auth.HoldsSecret(x.r.URL.Path) {
		x.hidden = true
		return param.ErrTokenInURL
	}
	if err := x.api.origins.Check(x.r); err != nil {
		return problem.ErrCrossOrigin
	}
	return nil
}

// closeAfterChunks ends the connection with the answer to a request whose body came in
// chunks. If it had a length as well, net/http has gone by the chunks and tells nobody; a
// proxy that went by the length would take what comes behind for part of this request,
// and it would be answered as one of its own.
func (x *exchange) closeAfterChunks() {
	if len(x.r.TransferEncoding) > 0 {
		x.w.Header()["Connection"] = wire.Close
	}
}

// loopbackHost reports whether a Host header, with or without a port, names this
// machine itself.
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

// requestIDs makes names for requests: a random word per process and a number.
type requestIDs struct {
	process string
	last    *atomic.Uint64
}

func newRequestIDs() requestIDs {
	return requestIDs{process: strings.ToLower(rand.Text()[:6]) + "-", last: new(atomic.Uint64)}
}

// of returns the id the client chose for its request, if it may be used as one,
// else a new one.
func (ids requestIDs) of(r *http.Request) string {
	if chosen := r.Header["X-Request-Id"]; len(chosen) == 1 && validRequestID(chosen[0]) && !auth.HoldsSecret(chosen[0]) {
		return chosen[0]
	}
	return ids.process + strconv.FormatUint(ids.last.Add(1), 10)
}

func validRequestID(id string) bool {
	if id == "" || len(id) > 64 {
		return false
	}
	for i := 0; i < len(id); i++ {
		c := id[i]
		if !('a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || '0' <= c && c <= '9' || c == '.' || c == '_' || c == '-') {
			return false
		}
	}
	return true
}

// connection returns the connection of an exchange that has one to itself, else nil.
func (x *exchange) connection() *net.TCPConn {
	if x.link == nil || x.r.ProtoMajor != 1 {
		return nil // others share it
	}
	return x.link.TCP()
}

// settle marks the connection of a request that was let in.
func (x *exchange) settle() { x.api.connectionsOf(x.on).Admit(x.link) }

func (a *API) connectionsOf(on side) *conn.Set { return a.connections[on] }

// sideNames are the listeners in log and metrics.
var sideNames = [numSides]string{mainSide: "main", adminSide: "admin"}

// logCut writes that connections to a listener are cut, and how many so far, once a minute.
func (a *API) logCut(on side, network netip.Addr) {
	c := a.connectionsOf(on)
	a.sparse.Log(slog.LevelWarn, "cut "+sideNames[on],
		"connections without a request were cut to make room for others",
		slog.String("listener", sideNames[on]), slog.Int64("cut", c.Evicted.Load()), slog.String("last_from", network.String()), slog.String("may_be_open", strconv.Itoa(c.Max)))
}

// hasLeft reports whether the client has closed the connection of a request that has
// lasted a while. It is for the last moment before a grant is handed over.
func (x *exchange) hasLeft() bool { return conn.HasHungUp(x.connection(), x.started) }
