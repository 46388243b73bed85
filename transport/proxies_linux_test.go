package transport

import (
	"crypto/tls"
	"net"
	"net/http/httptest"
	"testing"
)

// A waiter behind a PROXY header leaves the queue when the proxy hangs up, even behind more bytes,
// and over TLS.
func TestTrustedProxyHangsUpForItsClient(t *testing.T) {
	byBothDoors(t, testTrustedProxyHangsUpForItsClient)
}

func testTrustedProxyHangsUpForItsClient(t *testing.T) {
	for _, encrypted := range []bool{false, true} {
		s := newServer(t, setup{proxies: trusting(ProxyProtocol)})
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		lent := httptest.NewUnstartedServer(nil) // it has a certificate
		lent.StartTLS()
		config := lent.TLS.Clone()
		lent.Close()
		config.NextProtos = []string{"http/1.1"}
		on := s.Listener(l)
		if encrypted {
			on = tls.NewListener(on, config)
		}
		serveOn(t, s, on)
		s.acquire(t, "a")
		w := dial(t, s, l.Addr())
		w.raw(proxyHeader("203.0.113.7", 1))
		beneath := w.conn
		if encrypted {
			w.conn = tls.Client(beneath, &tls.Config{InsecureSkipVerify: true})
		}
		w.send("POST /v1/locks/a/acquire?wait=30s", "")
		s.waiters(t, "a", 1)
		w.raw("GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n")
		_ = beneath.Close()
		s.waiters(t, "a", 0)
	}
}
