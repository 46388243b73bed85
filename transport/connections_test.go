package transport

import (
	"bytes"
	"log/slog"
	"net"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/octostore/octostore/transport/internal/conn"
)

// lines is a log that may be read while it is written.
type lines struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *lines) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *lines) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

// TestConnectionsThatArePendingMakeRoom has a stranger take all connections there may be,
// and more, and go on. The holder, who comes from the same address and opens a connection
// for every renewal, keeps its lease.
func TestConnectionsThatArePendingMakeRoom(t *testing.T) {
	byBothDoors(t, testConnectionsThatArePendingMakeRoom)
}

func testConnectionsThatArePendingMakeRoom(t *testing.T) {
	log := new(lines)
	s := newServer(t, setup{limits: Limits{Connections: 100}, log: slog.NewTextHandler(log, nil)})
	addr := listening(t, s)
	lease := s.acquire(t, "a").LeaseID
	var silent []*rawConn
	for range 125 {
		silent = append(silent, dial(t, s, addr))
	}
	for range 50 {
		w := dial(t, s, addr)
		w.receive(w.send("POST /v1/locks/a/renew", "", "Octostore-Lease: "+lease)).want(200)
		_ = w.conn.Close()
		silent = append(silent, dial(t, s, addr), dial(t, s, addr))
	}
	if !silent[0].closed() {
		t.Error("the oldest one is still there")
	}
	if n := s.door.connections[mainListener].Len(); n > 122 {
		t.Errorf("%d connections are open", n)
	}
	if got := s.scrape(t)[`octostore_http_connections_cut_total{listener="main"}`]; got == "0" || got == "" {
		t.Errorf("%q cut connections are counted", got)
	}
	if n := strings.Count(log.String(), "connections without a request were cut"); n != 1 {
		t.Errorf("%d lines are logged, want 1:\n%s", n, log)
	}
	s.letIn(t, addr) // once they had time to send something, every client gets through
	_ = s.Close()
	if !strings.Contains(log.String(), "times=") {
		t.Errorf("it is not logged how many were cut:\n%s", log)
	}
}

// letIn returns a connection on which a request was answered that is neither spared nor a
// probe, as it is once the silent ones had silentGrace to say something.
func (s *server) letIn(t *testing.T, addr net.Addr, headers ...string) *rawConn {
	t.Helper()
	return s.answered(t, addr, "GET /v1/locks", headers...)
}

// answered is letIn for any request.
func (s *server) answered(t *testing.T, addr net.Addr, line string, headers ...string) *rawConn {
	t.Helper()
	for began := time.Now(); ; time.Sleep(conn.PendingGrace / 4) {
		w := dial(t, s, addr)
		a := w.receive(w.send(line, "", headers...))
		if a.status != http.StatusTooManyRequests || time.Since(began) > conn.PendingGrace+soon {
			a.want(200)
			return w
		}
	}
}

// TestConnectionsOfClientsStay floods a server whose places are taken by waiters and by a
// client that keeps its connection. Neither is cut.
func TestConnectionsOfClientsStay(t *testing.T) { byBothDoors(t, testConnectionsOfClientsStay) }

func testConnectionsOfClientsStay(t *testing.T) {
	s := newServer(t, setup{limits: Limits{Connections: 10}})
	addr := listening(t, s)
	holder := s.acquire(t, "a")
	kept := dial(t, s, addr)
	kept.receive(kept.send("GET /v1/locks", "")).want(200)
	first := dial(t, s, addr)
	asked := first.send("POST /v1/locks/a/acquire?wait=30s", "")
	s.waiters(t, "a", 1)
	for n := range 7 {
		w := dial(t, s, addr)
		w.send("POST /v1/locks/a/acquire?wait=30s", "")
		s.waiters(t, "a", n+2)
	}
	for range 200 {
		dial(t, s, addr)
	}
	s.waiters(t, "a", 8)
	kept.receive(kept.send("GET /v1/locks", "")).want(200)
	s.do(t, "POST /v1/locks/a/release", header("Octostore-Lease", holder.LeaseID)).want(200)
	first.receive(asked).grant()
}

// TestConnectionsThatAreNotAdmittedArePending has clients send requests that need no token, or
// never end saying it. Their connections make room like those that say nothing.
func TestConnectionsThatAreNotAdmittedArePending(t *testing.T) {
	byBothDoors(t, testConnectionsThatAreNotAdmittedArePending)
}

func testConnectionsThatAreNotAdmittedArePending(t *testing.T) {
	for name, says := range map[string]string{
		"half a header": "GET /v1/locks HTT",
		"half a body":   "POST /v1/locks/a/acquire HTTP/1.1\r\nHost: localhost\r\nContent-Length: 100\r\n\r\nttl=1",
		"a probe":       "GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n",
		"no good token": "GET /v1/locks HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer x\r\n\r\n",
	} {
		t.Run(name, func(t *testing.T) {
			s := newServer(t, setup{limits: Limits{Connections: 8}})
			secret := s.newSecret(t)
			addr := listening(t, s)
			for range 40 {
				dial(t, s, addr).raw(says)
			}
			w := s.letIn(t, addr, "Authorization: Bearer "+secret)
			for range 40 {
				dial(t, s, addr).raw(says)
			}
			w.receive(w.send("GET /v1/locks", "", "Authorization: Bearer "+secret)).want(200)
		})
	}
}

// TestConnectionsToTheAdminListenerAreFew floods it: it answers on, and takes no more files
// from the other listener.
func TestConnectionsToTheAdminListenerAreFew(t *testing.T) {
	s := newServer(t, setup{limits: Limits{Connections: 100, AdminConnections: 8}})
	admin := "Authorization: Bearer " + s.newSecret(t)
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	srv := s.AdminServer()
	ended := make(chan struct{})
	go func() { defer close(ended); _ = srv.Serve(l) }()
	defer func() { _ = srv.Close(); <-ended }()
	for range 200 {
		dial(t, s, l.Addr())
	}
	w := dial(t, s, l.Addr())
	w.raw("GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n")
	if resp, err := http.ReadResponse(w.r, nil); err != nil || resp.StatusCode != 200 {
		t.Errorf("%v, %v", resp, err)
	}
	if n, most := s.door.connections[adminListener].Len(), 8+8/4; n > most { // a quarter more, for probes
		t.Errorf("%d connections are open, want at most %d", n, most)
	}
	kept := s.answered(t, l.Addr(), "GET /v1/tokens", admin)
	for range 40 {
		dial(t, s, l.Addr())
	}
	kept.receive(kept.send("GET /v1/tokens", "", admin)).want(200)
	if got := s.scrape(t)[`octostore_http_connections_cut_total{listener="admin"}`]; got == "0" || got == "" {
		t.Errorf("%q cut connections are counted", got)
	}
}

// newSecret returns the secret of a token that may do everything.
func (s *server) newSecret(t *testing.T) string {
	t.Helper()
	_, with := s.token(t, "one", "admin")
	r := newRequest("GET /", []option{with})
	return strings.TrimPrefix(r.header.Get("Authorization"), "Bearer ")
}
