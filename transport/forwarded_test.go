package transport

import (
	"context"
	"net"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/octostore/octostore/transport/forward"
)

const forwardedTerm = 7

var forwardingKey = []byte("what the nodes of these tests share")

// forwardedServer is a server that believes the node of forwardingTo.
func forwardedServer(t *testing.T, with setup) *server {
	with.forwarded = forward.NewReceiver(forwardingKey, forwardedTerm)
	return newServer(t, with)
}

// forwardingTo returns the address of a node that forwards to a server, and ends the term if end is called.
func forwardingTo(t *testing.T, s *server) (at net.Addr, f *forward.Forwarder, end func()) {
	t.Helper()
	changed := make(chan struct{})
	to := forward.Target{URL: &url.URL{Scheme: "http", Host: listening(t, s).String()}, Term: forwardedTerm, Changed: changed}
	d := NewDoor(DoorConfig{})
	f = forward.New(forward.Config{Key: forwardingKey, Target: func() (forward.Target, bool) { return to, true }, Client: d.Client})
	d.Open(f, f)
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	lane, ended := d.Lane(), make(chan struct{})
	go func() {
		defer close(ended)
		_ = lane.Serve(l)
	}()
	t.Cleanup(func() {
		_ = lane.Close()
		<-ended
		eventually(t, "no request is under way", func() bool { return f.Stats().InFlight == 0 })
		_ = f.Close()
		_ = d.Close()
	})
	return l.Addr(), f, sync.OnceFunc(func() { close(changed) })
}

// A client of a node that forwards sees what it would see at the node that serves, and is seen as it is.
func TestForwardedRequestsAreThoseOfTheirClients(t *testing.T) {
	byBothDoors(t, testForwardedRequestsAreThoseOfTheirClients)
}

func testForwardedRequestsAreThoseOfTheirClients(t *testing.T) {
	s := forwardedServer(t, setup{})
	at, f, _ := forwardingTo(t, s)
	w := dial(t, s, at)
	g := w.receive(w.send("POST /v1/locks/a/acquire?ttl=60s", "")).grant()
	w.receive(w.send("POST /v1/locks/a/renew", "lease_id="+g.LeaseID, "Content-Type: application/x-www-form-urlencoded")).want(200)
	w.receive(w.send("GET /v1/locks/a", "")).want(200)
	w.receive(w.send("POST /v1/locks/a/acquire", "")).want(409, "held")
	w.receive(w.send("GET /v1/locks?prefix=b%2Fc", "")).want(200)
	w.receive(w.send("POST /v1/locks/a/release", "", "Octostore-Lease: "+g.LeaseID)).want(200)
	w.receive(w.send("GET /v1/nothing", "")).want(404)
	w.receive(w.send("GET /v1/audit", "")).want(200)
	if n := f.Stats().Forwarded; n != 8 {
		t.Errorf("%d requests were forwarded", n)
	}
	recorded := string(s.do(t, "GET /v1/audit").body)
	if !strings.Contains(recorded, `"remote_addr":"`+w.conn.LocalAddr().String()+`"`) {
		t.Errorf("the audit log does not name the client %v: %s", w.conn.LocalAddr(), recorded)
	}
}

// A request that waits behind another node gets its grant, and leaves with its client.
func TestForwardedWaiters(t *testing.T) { byBothDoors(t, testForwardedWaiters) }

func testForwardedWaiters(t *testing.T) {
	s := forwardedServer(t, setup{})
	at, _, _ := forwardingTo(t, s)
	for _, behind := range []string{"", "P"} { // what the ghost sends behind its request
		holder := s.acquire(t, "a")
		ghost, next := dial(t, s, at), dial(t, s, at)
		ghost.send("POST /v1/locks/a/acquire?wait=30s&holder=ghost", "")
		s.waiters(t, "a", 1)
		asked := next.send("POST /v1/locks/a/acquire?wait=30s&holder=next", "")
		s.waiters(t, "a", 2)
		ghost.raw(behind)
		_ = ghost.conn.Close()
		s.waiters(t, "a", 1)
		s.do(t, "POST /v1/locks/a/release", header("Octostore-Lease", holder.LeaseID)).want(200)
		g := next.receive(asked).grant()
		if g.Holder != "next" {
			t.Fatalf("%s has it", g.Holder)
		}
		s.do(t, "POST /v1/locks/a/release", header("Octostore-Lease", g.LeaseID)).want(200)
	}
}

// A client that leaves just when it gets its lock does not hold it.
func TestForwardedGrantGoesOnIfTheClientHasLeft(t *testing.T) {
	byBothDoors(t, testForwardedGrantGoesOnIfTheClientHasLeft)
}

func testForwardedGrantGoesOnIfTheClientHasLeft(t *testing.T) {
	s := forwardedServer(t, setup{})
	at, _, _ := forwardingTo(t, s)
	for i := range 20 {
		holder := s.acquire(t, "a")
		ghost, next := dial(t, s, at), dial(t, s, at)
		ghost.send("POST /v1/locks/a/acquire?wait=30s&holder=ghost", "")
		s.waiters(t, "a", 1)
		asked := next.send("POST /v1/locks/a/acquire?wait=30s&holder=next", "")
		s.waiters(t, "a", 2)
		_ = ghost.conn.Close()
		time.Sleep(time.Duration(i) * 50 * time.Microsecond) // the node that forwards may know it, or not yet
		s.do(t, "POST /v1/locks/a/release", header("Octostore-Lease", holder.LeaseID)).want(200)
		g := next.receive(asked).grant()
		if g.Holder != "next" {
			t.Fatalf("%s has it", g.Holder)
		}
		s.do(t, "POST /v1/locks/a/release", header("Octostore-Lease", g.LeaseID)).want(200)
	}
}

// Connections of a node carry many clients: the limit of connections is not theirs.
func TestForwardedConnectionsAreNotLimited(t *testing.T) {
	byBothDoors(t, testForwardedConnectionsAreNotLimited)
}

func testForwardedConnectionsAreNotLimited(t *testing.T) {
	s := forwardedServer(t, setup{limits: Limits{Connections: 2}})
	at, _, _ := forwardingTo(t, s)
	holder := s.acquire(t, "a")
	const waiters = 100
	var clients []*rawConn
	var asked []request
	for range waiters {
		w := dial(t, s, at)
		clients, asked = append(clients, w), append(asked, w.send("POST /v1/locks/a/acquire?wait=30s&ttl=1s", ""))
		s.waiters(t, "a", len(clients))
	}
	s.do(t, "POST /v1/locks/a/release", header("Octostore-Lease", holder.LeaseID)).want(200)
	for i, w := range clients[:10] {
		g := w.receive(asked[i]).grant()
		s.do(t, "POST /v1/locks/a/release", header("Octostore-Lease", g.LeaseID)).want(200)
	}
}

// Streams go through a node piece by piece, and end as they would end without it.
func TestForwardedStreams(t *testing.T) { byBothDoors(t, testForwardedStreams) }

func testForwardedStreams(t *testing.T) {
	s := forwardedServer(t, setup{})
	at, _, _ := forwardingTo(t, s)
	r, _ := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://"+at.String()+"/v1/events?prefix=a", nil)
	events, err := (&http.Transport{DisableKeepAlives: true}).RoundTrip(r)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = events.Body.Close() }()
	piece := make([]byte, 64<<10)
	s.acquire(t, "a/b")
	for got := ""; !strings.Contains(got, "granted"); {
		n, err := events.Body.Read(piece)
		if err != nil {
			t.Fatal(err)
		}
		got += string(piece[:n])
	}
	drained := make(chan struct{})
	go func() { defer close(drained); s.table.Drain() }()
	for err = nil; err == nil; {
		_, err = events.Body.Read(piece)
	}
	<-drained
	if err.Error() != "EOF" {
		t.Errorf("the stream ends with %v", err)
	}
}

// A node that is not a part of the cluster, or no longer, cannot say who asks.
func TestForwardedHeaderNeedsTheKey(t *testing.T) {
	s := forwardedServer(t, setup{})
	at, _, _ := forwardingTo(t, s)
	s.forwarded = forward.NewReceiver([]byte("another key"), forwardedTerm)
	w := dial(t, s, at)
	w.receive(w.send("POST /v1/locks/a/acquire", "")).want(200)
	if recorded := string(s.do(t, "GET /v1/audit").body); strings.Contains(recorded, w.conn.LocalAddr().String()) {
		t.Errorf("a node with another key is believed: %s", recorded)
	}
	s.forwarded = forward.NewReceiver(forwardingKey, forwardedTerm+1)
	w.receive(w.send("POST /v1/locks/b/acquire", "")).want(503, "moved")
}

// What was sent to a node that serves no longer ends, whether it says so or not.
func TestForwardedWaitersEndWithTheTerm(t *testing.T) {
	s := forwardedServer(t, setup{})
	at, _, end := forwardingTo(t, s)
	s.acquire(t, "a")
	w := dial(t, s, at)
	asked := w.send("POST /v1/locks/a/acquire?wait=30s", "")
	s.waiters(t, "a", 1)
	end()
	w.receive(asked).want(503, "outcome_unknown")
	s.waiters(t, "a", 0)
}

// A grant whose answer never arrives at the forwarding node's client is undone, even if all that is known is the break of a connection.
func TestForwardedGrantOfANodeThatDiesIsUndone(t *testing.T) {
	s := forwardedServer(t, setup{})
	holder := s.acquire(t, "a")
	f := forward.New(forward.Config{Key: forwardingKey, Target: func() (forward.Target, bool) {
		return forward.Target{URL: &url.URL{Scheme: "http", Host: listening(t, s).String()}, Term: forwardedTerm}, true
	}})
	defer func() { _ = f.Close() }()
	ctx, die := context.WithCancel(t.Context())
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		r, _ := http.NewRequestWithContext(ctx, http.MethodPost, "http://localhost/v1/locks/a/acquire?wait=30s", nil)
		serve(f, discarding{http.Header{}}, r)
	}()
	s.waiters(t, "a", 1)
	go die()
	s.do(t, "POST /v1/locks/a/release", header("Octostore-Lease", holder.LeaseID)).want(200)
	<-ended
	eventually(t, "the lock is free", func() bool {
		return s.table.Get("a").Lease == nil
	})
}

// discarding is a client that gets nothing.
type discarding struct{ header http.Header }

func (d discarding) Header() http.Header         { return d.header }
func (d discarding) WriteHeader(int)             {}
func (d discarding) Write(b []byte) (int, error) { return 0, net.ErrClosed }
