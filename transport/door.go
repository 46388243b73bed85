package transport

import (
	"crypto/rand"
	"net"
	"net/http"
	"net/netip"
	"strconv"
	"strings"
	"sync/atomic"

	"github.com/octostore/octostore/core/auth"
	"github.com/octostore/octostore/transport/problem"
)

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
		return errTokenInURL
	}
	if err := x.api.origins.Check(x.r); err != nil {
		return problem.ErrCrossOrigin
	}
	return nil
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
