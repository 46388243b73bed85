package config

import (
	"errors"
	"fmt"
	"net/netip"
	"strings"
)

// Prefixes are addresses and prefixes of a network, joined by commas; empty: there are none.
type Prefixes string

// UnmarshalText refuses a prefix that is not the first address of its network, which is a mistake
// more often than not, and one of all addresses.
func (p *Prefixes) UnmarshalText(text []byte) error {
	if *p = Prefixes(text); *p == "none" {
		*p = ""
	}
	_, err := p.parse()
	return err
}

// List returns the prefixes, none of which is one of IPv4 written as IPv6.
func (p Prefixes) List() []netip.Prefix {
	all, _ := p.parse() // UnmarshalText has refused errors
	return all
}

func (p Prefixes) parse() ([]netip.Prefix, error) {
	if p == "" {
		return nil, nil
	}
	var all []netip.Prefix
	for part := range strings.SplitSeq(string(p), ",") {
		one, err := parsePrefix(strings.TrimSpace(part))
		if err != nil {
			return nil, err
		}
		all = append(all, one)
	}
	return all, nil
}

func parsePrefix(s string) (netip.Prefix, error) {
	if !strings.Contains(s, "/") {
		a, err := netip.ParseAddr(s)
		if err != nil || a.Zone() != "" {
			return netip.Prefix{}, fmt.Errorf("has %q, which is no IP address", s)
		}
		a = a.Unmap()
		return netip.PrefixFrom(a, a.BitLen()), nil
	}
	p, err := netip.ParsePrefix(s)
	switch {
	case err != nil:
		return netip.Prefix{}, fmt.Errorf("has %q, which is no IP prefix", s)
	case p != p.Masked():
		return netip.Prefix{}, fmt.Errorf("has %q; did you mean %s, or one address", s, p.Masked())
	case p.Bits() == 0:
		return netip.Prefix{}, errors.New("trusts every address, so any client could write its own")
	case p.Addr().Is4In6():
		return netip.Prefix{}, fmt.Errorf("has %q; write it as an IPv4 prefix", s)
	}
	return p, nil
}

// ProxyHeader is the header in which proxies are believed.
type ProxyHeader string

const (
	defaultProxyHeader ProxyHeader = "x-forwarded-for"
	proxyProtocol      ProxyHeader = "proxy-protocol"
)

// UnmarshalText refuses unknown headers.
func (h *ProxyHeader) UnmarshalText(text []byte) error {
	return oneOf(h, text, defaultProxyHeader, "forwarded", proxyProtocol)
}
