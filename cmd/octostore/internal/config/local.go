package config

import (
	"errors"
	"net"
	"net/netip"
	"net/url"
)

// OnAdmin is the value of [Listeners] for what only the admin listener answers.
const OnAdmin Listeners = "admin"

// LocalURL returns the URL at which a client on the same machine reaches the listener for an
// address of these settings: of a wildcard address it is loopback.
func (c Config) LocalURL(addr string) (string, error) {
	host, port, err := net.SplitHostPort(addr)
	if err != nil {
		return "", err
	}
	if port == "0" {
		return "", errors.New("the port is 0, so only the log of the server says which it has")
	}
	switch ip := net.ParseIP(host); {
	case host == "":
		host = "127.0.0.1"
	case ip == nil || !ip.IsUnspecified():
	case ip.To4() != nil:
		host = "127.0.0.1"
	default:
		host = "::1"
	}
	scheme := "http"
	if c.TLSCert != "" {
		scheme = "https"
	}
	return scheme + "://" + net.JoinHostPort(host, port), nil
}

// LocalGreeting returns what a client on the same machine sends to OCTOSTORE_ADDR before anything else: a
// PROXY header of a proxy that speaks for itself, if its own address counts as a proxy's. Otherwise it is
// empty.
func (c Config) LocalGreeting() string {
	if c.ProxyHeader != proxyProtocol {
		return ""
	}
	at, err := c.LocalURL(string(c.Addr))
	if err != nil {
		return ""
	}
	own := localAddr(at)
	for _, trusted := range c.TrustedProxies.List() {
		if trusted.Contains(own) {
			return "PROXY UNKNOWN\r\n"
		}
	}
	return ""
}

// localAddr returns the address from which a client on this machine connects to a URL, which is that of
// the URL itself.
func localAddr(at string) netip.Addr {
	u, err := url.Parse(at)
	if err != nil {
		return netip.Addr{}
	}
	if own, err := netip.ParseAddr(u.Hostname()); err == nil {
		return own.Unmap()
	}
	return netip.MustParseAddr("127.0.0.1") // a name such as localhost
}
