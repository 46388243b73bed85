package proxy

import (
	"net/http"
	"net/netip"
	"strings"
	"testing"
)

// prefixes are trusted in the tests.
var prefixes = []netip.Prefix{
	netip.MustParsePrefix("10.0.0.0/8"), netip.MustParsePrefix("2001:db8:1::/48"), netip.MustParsePrefix("fe80::/64"),
}

const peer = "10.0.0.1:5000"

type clientCase struct {
	name   string
	remote string // empty: peer
	lines  []string
	want   string // empty: remote
	why    Trouble
}

func TestClientInXForwardedFor(t *testing.T) {
	checkClients(t, XForwardedFor, "X-Forwarded-For", []clientCase{
		{name: "no header"},
		{name: "one address", lines: []string{"203.0.113.7"}, want: "203.0.113.7:0"},
		{name: "a port", lines: []string{"203.0.113.7:4711"}, want: "203.0.113.7:4711"},
		{name: "version 6", lines: []string{"2001:db8::7"}, want: "[2001:db8::7]:0"},
		{name: "brackets", lines: []string{"[2001:db8::7]"}, want: "[2001:db8::7]:0"},
		{name: "brackets and port", lines: []string{"[2001:db8::7]:4711"}, want: "[2001:db8::7]:4711"},
		{name: "a zone", lines: []string{"2001:db8::7%eth0\x7f"}, want: "[2001:db8::7]:0"},
		{name: "version 4 in 6", lines: []string{"::ffff:203.0.113.7"}, want: "203.0.113.7:0"},
		{name: "what the client wrote is before", lines: []string{"198.51.100.1, 203.0.113.7"}, want: "203.0.113.7:0"},
		{name: "a chain of proxies", lines: []string{"198.51.100.1, 203.0.113.7, 10.0.0.9,10.9.9.9"}, want: "203.0.113.7:0"},
		{name: "several lines", lines: []string{"198.51.100.1", "203.0.113.7", "10.0.0.9, 10.9.9.9"}, want: "203.0.113.7:0"},
		{name: "all are proxies", lines: []string{"10.0.0.3, 10.0.0.2"}, want: "10.0.0.3:0"},
		{name: "empty elements", lines: []string{"203.0.113.7 ,, ", " ", ""}, want: "203.0.113.7:0"},
		{name: "only empty elements", lines: []string{",,,", ""}},
		{name: "hidden", lines: []string{"203.0.113.7, unknown"}},
		{name: "malformed", lines: []string{"203.0.113.7, me"}, why: Malformed},
		{name: "malformed before the client", lines: []string{"<script>, \", 203.0.113.7"}, want: "203.0.113.7:0"},
		{name: "malformed behind a proxy", lines: []string{"me, 10.0.0.9"}, want: "10.0.0.9:0", why: Malformed},
		{name: "a port too high", lines: []string{"203.0.113.7:65536"}, why: Malformed},
		{name: "no port", lines: []string{"[2001:db8::7]4711"}, why: Malformed},
		{name: "brackets around version 4", lines: []string{"[203.0.113.7]"}, why: Malformed},
		{name: "leading zeros", lines: []string{"203.0.113.007"}, why: Malformed},
		{name: "zeros", lines: []string{"0.0.0.0"}, why: Malformed},
		{name: "huge", lines: []string{strings.Repeat("1", 16<<10)}, why: Malformed},
		{name: "too many proxies", lines: []string{"203.0.113.7" + strings.Repeat(", 10.0.0.9", mostHops)}, want: "10.0.0.9:0", why: TooManyHops},
		{name: "a peer of version 6", remote: "[2001:db8:1::1]:9", lines: []string{"203.0.113.7"}, want: "203.0.113.7:0"},
		{name: "a peer with a zone", remote: "[fe80::1%eth0]:9", lines: []string{"203.0.113.7"}, want: "203.0.113.7:0"},
		{name: "a mapped peer", remote: "[::ffff:10.0.0.1]:9", lines: []string{"203.0.113.7"}, want: "203.0.113.7:0"},
		{name: "a peer that is not trusted", remote: "192.0.2.1:9", lines: []string{"203.0.113.7"}},
		{name: "a peer without an address", remote: "@", lines: []string{"203.0.113.7"}},
	})
}

func TestClientInForwarded(t *testing.T) {
	checkClients(t, Forwarded, "Forwarded", []clientCase{
		{name: "no header"},
		{name: "one address", lines: []string{"for=203.0.113.7"}, want: "203.0.113.7:0"},
		{name: "other pairs", lines: []string{`proto=https; FOR="203.0.113.7:47" ;by=_x;host="a;b,c"`}, want: "203.0.113.7:47"},
		{name: "version 6", lines: []string{`For="[2001:db8::7]"`}, want: "[2001:db8::7]:0"},
		{name: "version 6 and port", lines: []string{`for="[2001:db8::7]:4711"`}, want: "[2001:db8::7]:4711"},
		{name: "an obfuscated port", lines: []string{`for="203.0.113.7:_p"`}, want: "203.0.113.7:0"},
		{name: "a chain", lines: []string{"for=198.51.100.1, for=203.0.113.7;by=10.1.1.1", "for=10.1.1.1"}, want: "203.0.113.7:0"},
		{name: "an open quote of the client", lines: []string{`for=", for=203.0.113.7`}, want: "203.0.113.7:0"},
		{name: "an escape of the client", lines: []string{`for="\", for=203.0.113.7`}, want: "203.0.113.7:0"},
		{name: "an open quote behind a proxy", lines: []string{`", for=10.1.1.1`}, want: "10.1.1.1:0", why: Malformed},
		{name: "unknown", lines: []string{"for=198.51.100.1, for=unknown"}},
		{name: "obfuscated", lines: []string{"for=198.51.100.1, for=_hidden"}},
		{name: "no for", lines: []string{"for=198.51.100.1, proto=https"}},
		{name: "two", lines: []string{"for=203.0.113.7;for=203.0.113.8"}, why: Malformed},
		{name: "no pair", lines: []string{"203.0.113.7"}, why: Malformed},
		{name: "an empty value", lines: []string{`for=""`}, why: Malformed},
		{name: "half a quote", lines: []string{`for=203.0.113.7"`}, why: Malformed},
		{name: "an escape", lines: []string{`for="203.0.113\.7"`}, why: Malformed},
		{name: "spaces", lines: []string{`for =203.0.113.7`}, why: Malformed},
		{name: "a peer that is not trusted", remote: "192.0.2.1:9", lines: []string{"for=203.0.113.7"}},
	})
}

func checkClients(t *testing.T, source Source, name string, cases []clientCase) {
	t.Helper()
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			if c.remote == "" {
				c.remote = peer
			}
			if c.want == "" {
				c.want = c.remote
			}
			p := &Proxies{Trusted: prefixes, Source: source}
			got, why := p.Client(c.remote, http.Header{name: c.lines})
			if got != c.want || why != c.why {
				t.Errorf("%q (%s), want %q (%s)", got, why, c.want, c.why)
			}
		})
	}
}

// A proxy that appends to one header passes the other on as the client wrote it, so the other is
// never read.
func TestClientIsReadFromOneHeaderOnly(t *testing.T) {
	header := http.Header{"Forwarded": {"for=198.51.100.1"}, "X-Forwarded-For": {"203.0.113.7"}, "X-Real-Ip": {"198.51.100.2"}}
	for source, want := range map[Source]string{
		"": "203.0.113.7:0", XForwardedFor: "203.0.113.7:0", Forwarded: "198.51.100.1:0", Protocol: peer,
	} {
		p := &Proxies{Trusted: prefixes, Source: source}
		if got, why := p.Client(peer, header); got != want || why != "" {
			t.Errorf("%q: %q (%s), want %q", source, got, why, want)
		}
	}
	p := &Proxies{Trusted: prefixes}
	delete(header, "X-Forwarded-For")
	if got, why := p.Client(peer, header); got != peer || why != OtherHeader {
		t.Errorf("%q (%s), want the peer and the trouble", got, why)
	}
	if got, _ := (*Proxies)(nil).Client(peer, header); got != peer {
		t.Errorf("%q without trusted proxies", got)
	}
}

// Whatever a header holds, the client is the peer or an address, and nothing left of an element that
// names an address beyond the trusted proxies has an effect.
func FuzzClient(f *testing.F) {
	for _, s := range []string{
		"203.0.113.7", `for="[2001:db8::7]:4711";proto=https, for=10.0.0.1`, `for="\", for=_x`, ",,\t,", "10.0.0.1, fe80::1%x", "\x00",
	} {
		f.Add(s, true)
		f.Add(s, false)
	}
	f.Fuzz(func(t *testing.T, line string, standard bool) {
		name, source, appended := "X-Forwarded-For", XForwardedFor, ", 203.0.113.9:1"
		if standard {
			name, source, appended = "Forwarded", Forwarded, `, proto=http;for="203.0.113.9:1"`
		}
		p := &Proxies{Trusted: prefixes, Source: source}
		got, _ := p.Client(peer, http.Header{name: {line}})
		if at, err := netip.ParseAddrPort(got); err != nil || at.Addr().Zone() != "" {
			t.Errorf("%q is no address: %v", got, err)
		}
		if got, why := p.Client(peer, http.Header{name: {line + appended}}); got != "203.0.113.9:1" || why != "" {
			t.Errorf("%q changes what the proxy appended: %q (%s)", line, got, why)
		}
		if got, _ := p.Client("192.0.2.1:1", http.Header{name: {line}}); got != "192.0.2.1:1" {
			t.Errorf("a peer that is not trusted is %q", got)
		}
	})
}
