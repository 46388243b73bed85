// Package proxy finds the address of a client behind trusted proxies: in a header of the request
// ([Proxies.Client]), or in a PROXY protocol header before the first byte of a connection
// ([Proxies.Listen]). It promises that only addresses in the list are believed, that exactly one
// of the three sources is read, and that malformed input costs no more than the client's address:
// the nearest address that a trusted proxy vouched for is used instead.
package proxy

import (
	"net/http"
	"net/netip"
	"strings"
)

// Source is where trusted proxies write the address of the client. Only one is read: a proxy that
// sets one header often passes the others on from the client, who could write anything there.
type Source string

// The sources.
const (
	XForwardedFor Source = "x-forwarded-for" // the de facto header
	Forwarded     Source = "forwarded"       // RFC 7239
	Protocol      Source = "proxy-protocol"  // HAProxy's PROXY protocol, version 1 or 2
)

// Proxies are the trusted proxies of a server. The zero value and nil trust none. They are not
// changed after first use, and safe for use by many goroutines.
type Proxies struct {
	Trusted []netip.Prefix // IPv4 prefixes not mapped to IPv6
	Source  Source         // empty: XForwardedFor
}

// Trouble is why a header of a trusted proxy was not followed to its end, in words for the log;
// empty: it was.
type Trouble string

// The troubles.
const (
	Malformed   Trouble = "a trusted proxy sent a header with the client's address that is malformed"
	TooManyHops Trouble = "a request came through too many trusted proxies"
	OtherHeader Trouble = "a trusted proxy sent another header than OCTOSTORE_PROXY_HEADER names, so its address counts as the client's"
)

// mostHops bounds the trusted proxies of one request.
const mostHops = 32

// Client returns the address and port of the client of a request that came from remote, as
// [http.Request] has them. That is remote itself unless it is a trusted proxy. The port is 0 if
// the proxy did not name it.
//
// Each proxy appends the address that it was connected from. So the addresses are read from the
// right, as long as the one that vouches for the next is trusted.
func (p *Proxies) Client(remote string, header http.Header) (string, Trouble) {
	if p == nil || p.Source == Protocol {
		return remote, ""
	}
	at, err := netip.ParseAddrPort(remote)
	if err != nil || !p.trusts(at.Addr()) {
		return remote, ""
	}
	name, other, parse := "X-Forwarded-For", "Forwarded", parseXForwardedFor
	if p.Source == Forwarded {
		name, other, parse = other, name, parseForwarded
	}
	lines := header[name]
	if len(lines) == 0 && len(header[other]) > 0 {
		return remote, OtherHeader
	}
	client, trouble := p.walk(at, lines, parse)
	if client == at {
		return remote, trouble
	}
	return client.String(), trouble
}

// walk follows the elements of a header from the right, beginning at a trusted address.
func (p *Proxies) walk(at netip.AddrPort, lines []string, parse func(string) (netip.AddrPort, node)) (netip.AddrPort, Trouble) {
	hops := 0
	for i := len(lines) - 1; i >= 0; i-- {
		rest, more := lines[i], true
		for more {
			var element string
			var ok bool
			if rest, element, more, ok = lastElement(rest); !ok {
				return at, Malformed
			}
			if element == "" {
				continue // RFC 9110 has empty elements ignored
			}
			if hops++; hops > mostHops {
				return at, TooManyHops
			}
			next, kind := parse(element)
			if kind == broken {
				return at, Malformed
			}
			if kind == hidden {
				return at, ""
			}
			if at = next; !p.trusts(at.Addr()) {
				return at, ""
			}
		}
	}
	return at, ""
}

func (p *Proxies) trusts(a netip.Addr) bool {
	a = a.Unmap().WithZone("")
	for _, prefix := range p.Trusted {
		if prefix.Contains(a) {
			return true
		}
	}
	return false
}

// lastElement cuts the last element off a list. Quotes are matched from the right: what a trusted
// proxy appended is well formed, and nothing before it can change how it is read. It is not ok if
// the element has a quote without its other, or an escape.
func lastElement(list string) (rest, element string, more, ok bool) {
	quoted := false
	for i := len(list) - 1; i >= 0; i-- {
		switch c := list[i]; {
		case c == '"':
			quoted = !quoted
		case c == '\\':
			return "", "", false, false
		case c == ',' && !quoted:
			return list[:i], strings.Trim(list[i+1:], " \t"), true, true
		}
	}
	return "", strings.Trim(list, " \t"), false, !quoted
}
