package transport

import (
	"bufio"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"strings"
	"testing"
)

// dialFrom is dial from another address of this machine, which is another network.
func dialFrom(t *testing.T, s *server, addr net.Addr, from string) *rawConn {
	t.Helper()
	d := net.Dialer{LocalAddr: &net.TCPAddr{IP: net.ParseIP(from)}}
	conn, err := d.Dial(addr.Network(), addr.String())
	if err != nil {
		t.Skipf("SKIP: this machine has no address %s: %v", from, err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	return &rawConn{t: t, s: s, conn: conn, r: bufio.NewReader(conn)}
}

// TestConnectionsOfAFloodMakeRoomAtOnce has one address open silent connections faster than
// they get old. Each request of another address, on a connection of its own, is answered,
// and so are the renewals that come from the address that floods.
func TestConnectionsOfAFloodMakeRoomAtOnce(t *testing.T) {
	byBothDoors(t, testConnectionsOfAFloodMakeRoomAtOnce)
}

func testConnectionsOfAFloodMakeRoomAtOnce(t *testing.T) {
	for _, most := range []int{4, 50} {
		t.Run(fmt.Sprint(most), func(t *testing.T) {
			s := newServer(t, setup{limits: Limits{Connections: most}})
			addr := listening(t, s)
			lease := s.acquire(t, "held").LeaseID
			for range most + 25 {
				dialFrom(t, s, addr, "127.0.0.1")
			}
			for n := range 20 {
				w := dialFrom(t, s, addr, "127.0.0.2")
				w.receive(w.send(fmt.Sprintf("POST /v1/locks/a%d/acquire", n), "")).grant()
				_ = w.conn.Close()
				w = dialFrom(t, s, addr, "127.0.0.1")
				w.receive(w.send("POST /v1/locks/held/renew", "", "Octostore-Lease: "+lease)).want(200)
				_ = w.conn.Close()
				for range 4 {
					dialFrom(t, s, addr, "127.0.0.1")
				}
			}
		})
	}
}

// TestConnectionsOfAFloodLeaveTheAdminListenerOpen is the same for administrators, with as
// many connections as there may be by default and as few as there may be at all.
func TestConnectionsOfAFloodLeaveTheAdminListenerOpen(t *testing.T) {
	for _, most := range []int{4, 32} {
		t.Run(fmt.Sprint(most), func(t *testing.T) {
			s := newServer(t, setup{limits: Limits{Connections: 256, AdminConnections: most}})
			secret := s.newSecret(t)
			addr := adminListening(t, s)
			for range 2 * most {
				dialFrom(t, s, addr, "127.0.0.1")
			}
			for range 20 {
				w := dialFrom(t, s, addr, "127.0.0.2")
				w.read(w.send("GET /v1/tokens", "", "Authorization: Bearer "+secret)).want(200)
				_ = w.conn.Close()
				for range 4 {
					dialFrom(t, s, addr, "127.0.0.1")
				}
			}
		})
	}
}

// TestConnectionsAtOnceOfAnotherAddress has a client open several connections before it
// says something on any, more than the share of an address.
func TestConnectionsAtOnceOfAnotherAddress(t *testing.T) {
	byBothDoors(t, testConnectionsAtOnceOfAnotherAddress)
}

func testConnectionsAtOnceOfAnotherAddress(t *testing.T) {
	s := newServer(t, setup{limits: Limits{Connections: 50}})
	addr := listening(t, s)
	for range 75 {
		dialFrom(t, s, addr, "127.0.0.1")
	}
	var several []*rawConn
	for range 16 {
		several = append(several, dialFrom(t, s, addr, "127.0.0.2"))
	}
	for n, w := range several {
		w.receive(w.send(fmt.Sprintf("POST /v1/locks/a%d/acquire", n), "")).grant()
	}
}

// adminListening serves the listener for administration and returns its address.
func adminListening(t *testing.T, s *server) net.Addr {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	srv := s.AdminServer()
	ended := make(chan struct{})
	go func() { defer close(ended); _ = srv.Serve(l) }()
	t.Cleanup(func() { _ = srv.Close(); <-ended })
	return l.Addr()
}

// TestConnectionsThatAreEvictedAreLogged reads the log of a flood.
func TestConnectionsThatAreEvictedAreLogged(t *testing.T) {
	log := new(lines)
	s := newServer(t, setup{limits: Limits{Connections: 100, AdminConnections: 8}, log: slog.NewTextHandler(log, nil)})
	addr := adminListening(t, s)
	for range 30 { // 20 more than there may be
		dialFrom(t, s, addr, "127.0.0.1")
	}
	w := dial(t, s, addr)
	w.raw("GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n")
	if resp, err := http.ReadResponse(w.r, nil); err != nil || resp.StatusCode != 200 {
		t.Errorf("%v, %v", resp, err)
	}
	total := s.scrape(t)[`octostore_http_connections_cut_total{listener="admin"}`]
	_ = s.Close()
	if !strings.Contains(log.String(), " cut=1 ") || !strings.Contains(log.String(), " cut="+total+" ") {
		t.Errorf("%s were cut; the log:\n%s", total, log)
	}
}
