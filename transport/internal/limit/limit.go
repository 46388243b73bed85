// Package limit bounds what clients may ask of a server: requests per second and in flight
// for each account, requests per second for each address, new tokens, logins, and
// concurrent streams.
//
// Rates are token buckets (GCRA): a bucket refills by one at an interval, and holds a burst.
// No state is kept for idle accounts or addresses. A request that meets a limit is refused
// with a [problem.LimitError] that says when to try again.
package limit

import (
	"fmt"
	"net/netip"
	"strconv"
	"sync"
	"time"

	"github.com/octostore/octostore/transport/problem"
)

// Config are the limits; 0 is no limit.
type Config struct {
	Rate        int // requests per second, per account
	InFlight    int // requests in flight, per account
	AddressRate int // requests per second without a valid token, per address
	NewTokens   int // tokens per hour: all that administrators create, and logins per account
}

// Names of the limits, as the metric of refused requests has them.
const (
	Rate        = "rate"
	InFlight    = "in_flight"
	Address     = "address"
	Connections = "connections"
	Tokens      = "tokens"
	Logins      = "logins"
)

// Names returns the names of all limits.
func Names() []string {
	return []string{Rate, InFlight, Address, Connections, Tokens, Logins}
}

// Requests to GitHub, per network: a burst, then one per interval. Behind a proxy all
// clients are one network. Without this limit any client could have the server use up what
// GitHub allows it.
const (
	GitHubBurst    = 20
	GitHubInterval = 3 * time.Second
)

// Limits are the limits of a server and what is used of them. They are safe for use by many
// goroutines.
type Limits struct {
	// OnRefuse is called with the name of the limit that a request met. It has to be set.
	OnRefuse func(name string)

	cfg       Config
	began     time.Time
	accounts  buckets[string]
	addresses buckets[netip.Addr]
	assets    buckets[netip.Addr] // requests for files of the page
	logins    buckets[string]     // logins that led to a token, per account
	gitHub    buckets[netip.Addr]
	tokens    struct {
		mu sync.Mutex
		Bucket
	}
}

// New returns limits of which nothing is used.
func New(cfg Config) *Limits {
	l := &Limits{cfg: cfg, began: time.Now()}
	l.addresses.most, l.assets.most, l.gitHub.most = mostAddresses, mostAddresses, mostAddresses
	return l
}

// Begin counts a request of an account until [Limits.End] is called with the bucket it
// returns, or refuses it. Renewals and releases (spared) are refused only at twice the
// limit, so that a holder can keep its lock and give it back. The bucket is nil if nothing
// is counted.
func (l *Limits) Begin(account string, spared bool, at time.Time) (*Bucket, error) {
	if l.cfg.Rate == 0 && l.cfg.InFlight == 0 {
		return nil, nil
	}
	allowance := int64(1)
	if spared {
		allowance = 2
	}
	now := int64(at.Sub(l.began))
	l.accounts.mu.Lock()
	b := l.accounts.of(account, now)
	wait := time.Duration(0)
	full := l.cfg.InFlight > 0 && b.inFlight >= int64(l.cfg.InFlight)*allowance
	if !full && l.cfg.Rate > 0 {
		wait = b.take(now, int64(time.Second)/int64(l.cfg.Rate), int64(time.Second)*allowance)
	}
	counted := !full && wait == 0
	if counted {
		b.inFlight++
	}
	l.accounts.mu.Unlock()
	switch {
	case full:
		return nil, l.Refuse(InFlight, time.Second, "this account has reached its limit of "+strconv.Itoa(l.cfg.InFlight)+" requests in flight")
	case !counted:
		return nil, l.Refuse(Rate, wait, "this account has reached its limit of "+strconv.Itoa(l.cfg.Rate)+" requests per second")
	}
	return b, nil
}

// End ends a request that [Limits.Begin] counted.
func (l *Limits) End(b *Bucket) {
	if b == nil {
		return
	}
	l.accounts.mu.Lock()
	b.inFlight--
	l.accounts.mu.Unlock()
}

// AssetsPerRequest is how many files of the page an address may load in place of one other
// request. A browser loads all of them at once, before its user can log in.
const AssetsPerRequest = 8

// Address counts a request without a valid token for its address, or refuses it.
func (l *Limits) Address(remote string, at time.Time) error {
	return l.address(&l.addresses, 1, remote, at)
}

// Asset counts a request for a file of the page for its address, apart from all others, or
// refuses it.
func (l *Limits) Asset(remote string, at time.Time) error {
	return l.address(&l.assets, AssetsPerRequest, remote, at)
}

// address counts a request in one of the buckets per address, at a multiple of the rate.
func (l *Limits) address(in *buckets[netip.Addr], times int, remote string, at time.Time) error {
	from := NetworkOf(remote)
	if !from.IsValid() || l.cfg.AddressRate == 0 {
		return nil // not a connection
	}
	now := int64(at.Sub(l.began))
	in.mu.Lock()
	wait := in.of(from, now).take(now, int64(time.Second)/int64(l.cfg.AddressRate*times), int64(time.Second))
	in.mu.Unlock()
	if wait == 0 {
		return nil
	}
	return l.Refuse(
		Address,
		wait,
		"this address has reached its limit of "+strconv.Itoa(l.cfg.AddressRate)+" requests per second without a valid token",
	)
}

// GitHub counts a request to GitHub for the network of the client that causes it, or refuses
// it.
func (l *Limits) GitHub(remote string, at time.Time) error {
	now := int64(at.Sub(l.began))
	l.gitHub.mu.Lock()
	wait := l.gitHub.of(NetworkOf(remote), now).take(now, int64(GitHubInterval), int64(GitHubBurst*GitHubInterval))
	l.gitHub.mu.Unlock()
	if wait == 0 {
		return nil
	}
	return l.Refuse(Logins, wait, "this address has reached its limit of one login every "+GitHubInterval.String())
}

// NewToken counts a token that an administrator is about to create, or refuses it.
func (l *Limits) NewToken(at time.Time) error {
	l.tokens.mu.Lock()
	defer l.tokens.mu.Unlock()
	return l.token(&l.tokens.Bucket, at, "this server has reached its limit of %d new tokens per hour")
}

// NewLogin counts a login of an account, or refuses it. Each account has its own limit, so
// no account keeps others from logging in, or administrators from creating tokens.
func (l *Limits) NewLogin(account string) error {
	now := time.Now()
	l.logins.mu.Lock()
	defer l.logins.mu.Unlock()
	return l.token(l.logins.of(account, int64(now.Sub(l.began))), now, "this account has reached its limit of %d logins per hour")
}

// token takes one of the tokens that may be created per hour.
func (l *Limits) token(from *Bucket, at time.Time, why string) error {
	if l.cfg.NewTokens == 0 {
		return nil
	}
	wait := from.take(int64(at.Sub(l.began)), int64(time.Hour)/int64(l.cfg.NewTokens), int64(time.Hour))
	if wait == 0 {
		return nil
	}
	return l.Refuse(Tokens, wait, fmt.Sprintf(why, l.cfg.NewTokens))
}

// Refuse returns the error of a request that met a limit, and counts it.
func (l *Limits) Refuse(name string, wait time.Duration, why string) error {
	l.OnRefuse(name)
	return &problem.LimitError{Why: why, RetryAfter: wait}
}

// NetworkOf returns the rate limit key of a remote address and port: the IPv4 address, or
// the IPv6 /64 prefix. It returns the zero Addr for what is no address and port.
func NetworkOf(remote string) netip.Addr {
	from, err := netip.ParseAddrPort(remote)
	if err != nil {
		return netip.Addr{}
	}
	return network(from.Addr())
}

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
