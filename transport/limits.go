package transport

import (
	"cmp"
	"net/netip"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/octostore/octostore/transport/internal/conn"
	"github.com/octostore/octostore/transport/problem"
)

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

// The values of the label of the metric that counts what was refused.
const (
	limitRate        = "rate"
	limitInFlight    = "in_flight"
	limitAddress     = "address"
	limitConnections = "connections"
	limitTokens      = "tokens"
	limitLogins      = "logins"
)

// GitHub is asked something because of one network so many times at once, and then so
// often; behind a proxy all clients are one. Without a limit anybody could have a server
// ask GitHub as fast as it answers, until GitHub answers no more.
const (
	loginsAtOnce = 20
	loginEvery   = 3 * time.Second
)

// limits are the limits of an API and what is used of them.
type limits struct {
	Limits
	began       time.Time
	accounts    tallies[string]
	addresses   tallies[netip.Addr]
	logins      tallies[string]     // that have led to a token, by account
	askers      tallies[netip.Addr] // those who have GitHub asked
	connections [numSides]conn.Set
	tokens      struct {
		mu sync.Mutex
		tally
	}
	refused func(limit string) // counts
}

func newLimits(cfg Limits) *limits {
	l := &limits{Limits: cfg, began: time.Now()}
	l.addresses.most, l.askers.most = mostAddresses, mostAddresses
	l.connections[mainSide].Init(cfg.Connections, cfg.Connections/16+16, networkOf) // somebody has to be told
	l.connections[adminSide].Init(cfg.AdminConnections, cfg.AdminConnections/4, networkOf)
	return l
}

// enter lets a request as far as the router, or says why not: there are too many
// connections, the door keeps it out, or its address sends too much that has no token.
func (x *exchange) enter() error {
	l, path := x.api.limits, x.r.URL.Path
	x.closeAfterChunks()
	if x.link != nil && x.link.OverLimit {
		x.w.Header()["Connection"] = closing
		if !isSpared(path) && !isProbe(path) {
			return l.refuse(limitConnections, time.Second, "as many connections are open as this server may have; try again later, or on a connection that is open already")
		}
	}
	if err := x.door(); err != nil {
		return cmp.Or(l.stranger(x.r.RemoteAddr, x.started), err)
	}
	if x.api.closed() && x.anonymous() && !isProbe(path) {
		return l.stranger(x.r.RemoteAddr, x.started)
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
	return cmp.Or(x.api.limits.stranger(x.r.RemoteAddr, x.started), err)
}

// count counts a request for its account until it has been answered, or says why it may
// not go on.
func (x *exchange) count() error {
	l := x.api.limits
	if x.who.TokenID == "" || l.Rate == 0 && l.InFlight == 0 || isProbe(x.r.URL.Path) {
		return nil
	}
	return l.begin(x, x.who.Account, isSpared(x.r.URL.Path))
}

// isSpared reports whether a path is that of a request by which a lock is kept or given
// back.
func isSpared(path string) bool {
	return strings.HasSuffix(path, "/renew") || strings.HasSuffix(path, "/release")
}

// isProbe reports whether a path is asked by what would otherwise end the server.
func isProbe(path string) bool { return path == "/healthz" || path == "/readyz" }

// begin counts a request of an account, until ended, or says why it may not be.
func (l *limits) begin(x *exchange, account string, spared bool) error {
	allowance := int64(1)
	if spared {
		allowance = 2
	}
	now := int64(x.started.Sub(l.began))
	l.accounts.mu.Lock()
	t := l.accounts.of(account, now)
	wait := time.Duration(0)
	full := l.InFlight > 0 && t.underWay >= int64(l.InFlight)*allowance
	if !full && l.Rate > 0 {
		wait = t.take(now, int64(time.Second)/int64(l.Rate), int64(time.Second)*allowance)
	}
	if !full && wait == 0 {
		t.underWay++
		x.underWay = t
	}
	l.accounts.mu.Unlock()
	switch {
	case full:
		return l.refuse(limitInFlight, time.Second, "as many requests of this account are under way as it may have, "+strconv.Itoa(l.InFlight))
	case wait > 0:
		return l.refuse(limitRate, wait, "this account sends more requests than it may, "+strconv.Itoa(l.Rate)+" a second")
	}
	return nil
}

// ended is the end of a request that was counted.
func (l *limits) ended(t *tally) {
	if t == nil {
		return
	}
	l.accounts.mu.Lock()
	t.underWay--
	l.accounts.mu.Unlock()
}

// stranger counts a request of nobody known for its address, and returns an error if
// there are too many of them.
func (l *limits) stranger(remote string, at time.Time) error {
	from := networkOf(remote)
	if !from.IsValid() || l.AddressRate == 0 {
		return nil // not a connection
	}
	now := int64(at.Sub(l.began))
	l.addresses.mu.Lock()
	wait := l.addresses.of(from, now).take(now, int64(time.Second)/int64(l.AddressRate), int64(time.Second))
	l.addresses.mu.Unlock()
	if wait == 0 {
		return nil
	}
	return l.refuse(limitAddress, wait, "more requests without a good token come from this address than may, "+strconv.Itoa(l.AddressRate)+" a second")
}

// asksGitHub counts a request because of which GitHub is asked something, for its network,
// or says that there were too many.
func (l *limits) asksGitHub(remote string, at time.Time) error {
	now := int64(at.Sub(l.began))
	l.askers.mu.Lock()
	wait := l.askers.of(networkOf(remote), now).take(now, int64(loginEvery), int64(loginsAtOnce*loginEvery))
	l.askers.mu.Unlock()
	if wait == 0 {
		return nil
	}
	return l.refuse(limitLogins, wait, "more logins come from this address than may, one in "+loginEvery.String())
}

// networkOf returns the network of a remote address and port, by which all limits of
// addresses are kept; the zero one if that is no address.
func networkOf(remote string) netip.Addr {
	from, err := netip.ParseAddrPort(remote)
	if err != nil {
		return netip.Addr{}
	}
	return network(from.Addr())
}

// newToken counts a token that is about to be made, or says that it may not be.
func (l *limits) newToken(at time.Time) error {
	l.tokens.mu.Lock()
	defer l.tokens.mu.Unlock()
	return l.oneToken(&l.tokens.tally, at, "as many tokens were made as may be, ")
}

// newLogin is newToken for somebody who has logged in. Each account has a limit of its own,
// so that nobody keeps others from logging in, or administrators from making tokens.
func (l *limits) newLogin(account string) error {
	now := time.Now()
	l.logins.mu.Lock()
	defer l.logins.mu.Unlock()
	return l.oneToken(l.logins.of(account, int64(now.Sub(l.began))), now, "this account has logged in as often as it may, ")
}

// oneToken takes one token of what may be made in an hour.
func (l *limits) oneToken(from *tally, at time.Time, why string) error {
	if l.NewTokens == 0 {
		return nil
	}
	wait := from.take(int64(at.Sub(l.began)), int64(time.Hour)/int64(l.NewTokens), int64(time.Hour))
	if wait == 0 {
		return nil
	}
	return l.refuse(limitTokens, wait, why+strconv.Itoa(l.NewTokens)+" an hour")
}

// network returns what stands for everybody with the same connection to the Internet: an
// address, or, as there are plenty of version 6 for each, their first half.
func network(a netip.Addr) netip.Addr {
	a = a.Unmap().WithZone("")
	if a.Is4() {
		return a
	}
	p, err := a.Prefix(64)
	if err != nil {
		return a // not reached: an address of version 6 has 64 bits
	}
	return p.Addr()
}

func (l *limits) refuse(limit string, wait time.Duration, why string) error {
	l.refused(limit)
	return &problem.LimitError{Why: why, RetryAfter: wait}
}

// tally is what one account or address has used. Times are nanoseconds since the limits
// began.
type tally struct {
	// back is when everything that was taken is put back.
	back     int64
	underWay int64 // requests
}

// take takes one of what is put back one at a time, every so often, unless that would
// take longer than full to be all there again. It then returns how long to wait.
func (t *tally) take(now, every, full int64) (wait time.Duration) {
	back := max(t.back, now) + every
	if wait := back - now - full; wait > 0 {
		return time.Duration(wait)
	}
	t.back = back
	return 0
}

// tallies are those of all who used something lately. Who has nothing under way and
// everything back is forgotten, as that is how a newcomer begins.
type tallies[K comparable] struct {
	most int // how many there may be; the rest share one. 0: any number

	mu    sync.Mutex
	all   map[K]*tally
	rest  tally
	sweep int   // at this number it is time to forget
	swept int64 // when that was done last
}

const (
	leastSweep    = 1024
	mostAddresses = 1 << 16
	sweepPause    = int64(time.Second)
)

// of returns the tally of k. The caller holds mu.
func (ts *tallies[K]) of(k K, now int64) *tally {
	if t := ts.all[k]; t != nil {
		return t
	}
	if len(ts.all) >= ts.sweep {
		ts.forget(now)
	}
	if ts.most > 0 && len(ts.all) >= ts.most {
		return &ts.rest
	}
	t := new(tally)
	ts.all[k] = t
	return t
}

func (ts *tallies[K]) forget(now int64) {
	if ts.all == nil {
		ts.all = map[K]*tally{}
	} else if now < ts.swept+sweepPause {
		return // it would be done for each of a flood of newcomers
	}
	ts.swept = now
	for k, t := range ts.all {
		if t.underWay == 0 && t.back <= now {
			delete(ts.all, k)
		}
	}
	ts.sweep = max(leastSweep, 2*len(ts.all))
	if ts.most > 0 {
		ts.sweep = min(ts.sweep, ts.most)
	}
}
