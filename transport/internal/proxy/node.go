package proxy

import (
	"net/netip"
	"strconv"
	"strings"
)

// node says what an element of a header holds.
type node uint8

const (
	broken  node = iota
	hidden       // the proxy does not tell the address
	address      // an address
)

// longestNode is the length of the longest address with a port, and of any obfuscated name that is
// skipped.
const longestNode = 256

// parseXForwardedFor reads an element of X-Forwarded-For. There is no standard for it: proxies write
// addresses of version 6 with and without brackets, and some append the port.
func parseXForwardedFor(element string) (netip.AddrPort, node) {
	if strings.EqualFold(element, "unknown") {
		return netip.AddrPort{}, hidden // Squid
	}
	return parseNode(element)
}

// parseForwarded reads an element of Forwarded: pairs joined by semicolons, one of which may be
// "for".
func parseForwarded(element string) (netip.AddrPort, node) {
	found := ""
	for more := true; more; {
		var pair string
		pair, element, more = cutPair(element)
		if pair = strings.Trim(pair, " \t"); pair == "" {
			continue
		}
		name, value, ok := strings.Cut(pair, "=")
		if !ok || name == "" || strings.ContainsAny(name, " \t\"") {
			return netip.AddrPort{}, broken
		}
		if !strings.EqualFold(name, "for") {
			continue
		}
		if found != "" {
			return netip.AddrPort{}, broken // RFC 7239 allows one
		}
		if found, ok = unquote(value); !ok {
			return netip.AddrPort{}, broken
		}
	}
	if found == "" || isObfuscated(found) {
		return netip.AddrPort{}, hidden
	}
	return parseNode(found)
}

// cutPair cuts a pair off the front of an element, whose quotes are balanced.
func cutPair(element string) (pair, rest string, more bool) {
	quoted := false
	for i := 0; i < len(element); i++ {
		switch {
		case element[i] == '"':
			quoted = !quoted
		case element[i] == ';' && !quoted:
			return element[:i], element[i+1:], true
		}
	}
	return element, "", false
}

// unquote returns what a value says. Escapes were refused before.
func unquote(value string) (string, bool) {
	if inner, is := strings.CutPrefix(value, `"`); is {
		value, is = strings.CutSuffix(inner, `"`)
		return value, is && value != "" && !strings.Contains(value, `"`)
	}
	return value, value != "" && !strings.ContainsAny(value, "\" \t")
}

// isObfuscated reports whether a node is "unknown" or an identifier that hides the address, with or
// without a port.
func isObfuscated(s string) bool {
	name, _, _ := strings.Cut(s, ":")
	return len(s) <= longestNode && (strings.EqualFold(name, "unknown") || strings.HasPrefix(name, "_"))
}

// parseNode reads an address, with or without brackets and port. A zone means something on another
// machine only, and is left out. A port that is obfuscated counts as none.
func parseNode(s string) (netip.AddrPort, node) {
	if len(s) > longestNode {
		return netip.AddrPort{}, broken
	}
	host, port := s, ""
	if inner, is := strings.CutPrefix(s, "["); is {
		var after string
		if host, after, is = strings.Cut(inner, "]"); !is || !strings.Contains(host, ":") {
			return netip.AddrPort{}, broken
		}
		if port, is = strings.CutPrefix(after, ":"); !is && after != "" {
			return netip.AddrPort{}, broken
		}
	} else if strings.Count(s, ":") == 1 {
		host, port, _ = strings.Cut(s, ":")
	}
	a, err := netip.ParseAddr(host)
	if err != nil || a.IsUnspecified() {
		return netip.AddrPort{}, broken
	}
	number, ok := parsePort(port)
	if !ok {
		return netip.AddrPort{}, broken
	}
	return netip.AddrPortFrom(a.Unmap().WithZone(""), number), address
}

func parsePort(s string) (uint16, bool) {
	if s == "" || strings.HasPrefix(s, "_") {
		return 0, true
	}
	n, err := strconv.ParseUint(s, 10, 16)
	return uint16(n), err == nil
}
