package transport

import (
	"fmt"
	"log/slog"
	"net/netip"
	"strings"
	"testing"
	"time"
)

// trusting trusts the proxies of the tests.
func trusting(source ProxySource) Proxies {
	return Proxies{Trusted: []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8"), netip.MustParsePrefix("127.0.0.1/32")}, Source: source}
}

const ofProxy = "10.0.0.1:5000"

// through is a request that a trusted proxy passes on for a client.
func through(client string) option {
	return func(r *request) {
		from(ofProxy)(r)
		header("X-Forwarded-For", client)(r)
	}
}

func TestTrustedProxyHasLimitsPerClient(t *testing.T) {
	s := newServer(t, setup{limits: Limits{AddressRate: 4}, proxies: trusting(XForwardedFor)})
	s.newSecret(t)
	for range 4 {
		s.do(t, "GET /v1/locks", through("198.51.100.9, 203.0.113.7")).want(401)
	}
	s.do(t, "GET /v1/locks", through("198.51.100.10, 203.0.113.7")).want(429)
	s.do(t, "GET /v1/locks", through("203.0.113.8")).want(401)
	s.do(t, "GET /v1/locks", from(ofProxy)).want(401)
}

// A client that is no trusted proxy cannot choose the address that its requests count for.
func TestTrustedProxyIsNotBelievedElsewhere(t *testing.T) {
	s := newServer(t, setup{limits: Limits{AddressRate: 4}, proxies: trusting(XForwardedFor)})
	s.newSecret(t)
	for n := range 5 {
		status := 401
		if n == 4 {
			status = 429
		}
		spoofed := fmt.Sprintf("203.0.113.%d", n)
		s.do(t, "GET /v1/locks", from("192.0.2.9:1"), header("X-Forwarded-For", spoofed), header("Forwarded", "for="+spoofed)).want(status)
	}
}

func TestTrustedProxyIsNotInTheAuditLog(t *testing.T) {
	s := newServer(t, setup{proxies: trusting(Forwarded)})
	s.do(t, "POST /v1/locks/a/acquire", from(ofProxy), header("X-Forwarded-For", "198.51.100.1"),
		header("Forwarded", `for=198.51.100.1, for="[2001:db8::7]:47", for=10.0.0.2;proto=https`)).want(200)
	if log := string(s.do(t, "GET /v1/audit?prefix=a").body); !strings.Contains(log, `"remote_addr":"[2001:db8::7]:47"`) {
		t.Errorf("the audit log has another address:\n%s", log)
	}
}

// Nothing a header holds fails a request, and the log has a line a minute about it.
func TestTrustedProxyMaySendAnything(t *testing.T) {
	log := new(lines)
	s := newServer(t, setup{proxies: trusting(XForwardedFor), log: slog.NewTextHandler(log, nil)})
	for _, value := range []string{"\"", "a\x00\xffb", strings.Repeat(",", 10_000), strings.Repeat("x", 10_000), "[", "::%", "10.0.0.1:99999"} {
		s.do(t, "GET /v1/locks", through(value)).want(200)
	}
	if n := strings.Count(log.String(), "malformed"); n != 1 {
		t.Errorf("%d lines are logged, want 1:\n%s", n, log)
	}
}

// The host of a proxy's header is not the host of the request, and a web page gains nothing by it.
func TestTrustedProxyDoesNotChangeTheHost(t *testing.T) {
	s := newServer(t, setup{proxies: trusting(XForwardedFor)})
	s.do(t, "GET /v1/locks", through("127.0.0.1"), header("X-Forwarded-Host", "localhost"), header("Host", "evil.example")).want(403)
}

// proxyHeader is a header of the PROXY protocol.
func proxyHeader(client string, port int) string {
	return fmt.Sprintf("PROXY TCP4 %s 192.0.2.1 %d 443\r\n", client, port)
}

// TestTrustedProxyHasConnectionsPerClient floods a server through a proxy, from one client. A second
// client of the same proxy is answered, as if both had come directly.
func TestTrustedProxyHasConnectionsPerClient(t *testing.T) {
	byBothDoors(t, testTrustedProxyHasConnectionsPerClient)
}

func testTrustedProxyHasConnectionsPerClient(t *testing.T) {
	s := newServer(t, setup{limits: Limits{Connections: 50}, proxies: trusting(ProxyProtocol)})
	addr := listening(t, s)
	for n := range 75 {
		dial(t, s, addr).raw(proxyHeader("203.0.113.7", n))
	}
	for began := time.Now(); s.door.connections[mainListener].Len() < 50; time.Sleep(time.Millisecond) {
		if time.Since(began) > soon {
			t.Fatal("the server is not full")
		}
	}
	for n := range 20 {
		w := dial(t, s, addr)
		w.raw(proxyHeader("203.0.113.8", n))
		w.receive(w.send(fmt.Sprintf("POST /v1/locks/a%d/acquire", n), "")).grant()
		_ = w.conn.Close()
	}
	if log := string(s.do(t, "GET /v1/audit?prefix=a7").body); !strings.Contains(log, `"remote_addr":"203.0.113.8:7"`) {
		t.Errorf("the audit log has another address:\n%s", log)
	}
}
