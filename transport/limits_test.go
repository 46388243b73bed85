package transport

import (
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"testing"
	"testing/synctest"
	"time"

	"github.com/octostore/octostore/transport/api"
)

// limitedUntil fails the test unless the request was answered that it comes too soon,
// with this hint.
func (a answer) limitedUntil(wait time.Duration) {
	a.t.Helper()
	p := a.want(429, api.CodeRateLimited).problem()
	seconds := fmt.Sprint(int((wait + time.Second - 1) / time.Second))
	if p.RetryAfterMS != wait.Milliseconds() || a.header.Get("Retry-After") != seconds {
		a.t.Errorf("told to wait %d ms, and %s s; want %s", p.RetryAfterMS, a.header.Get("Retry-After"), wait)
	}
}

func TestLimitOfRequestsPerSecond(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newServer(t, setup{limits: Limits{Rate: 5}})
		one, other := s.as(t, "one", "admin"), s.as(t, "other", "read:**")
		lease := s.do(t, "POST /v1/locks/a/acquire", one).grant().LeaseID
		for range 4 {
			s.do(t, "GET /v1/locks/a", one).want(200)
		}
		s.do(t, "GET /v1/locks/a", one).limitedUntil(200 * time.Millisecond)
		s.do(t, "GET /v1/locks/a", other).want(200)
		s.do(t, "GET /healthz", one).want(200)

		for range 5 { // who has a lock keeps it, and gives it back
			s.do(t, "POST /v1/locks/a/renew", one, header("Octostore-Lease", lease)).want(200)
		}
		s.do(t, "POST /v1/locks/a/renew", one, header("Octostore-Lease", lease)).limitedUntil(200 * time.Millisecond)
		s.do(t, "GET /v1/locks/a", one).limitedUntil(1200 * time.Millisecond)

		time.Sleep(1200 * time.Millisecond)
		s.do(t, "GET /v1/locks/a", one).want(200)
		s.do(t, "GET /v1/locks/a", one).want(429)

		time.Sleep(time.Hour) // nothing is saved up
		for range 5 {
			s.do(t, "GET /v1/locks/a", one).want(200)
		}
		s.do(t, "GET /v1/locks/a", one).want(429)
		if got := s.scrape(t)[`octostore_limited_total{limit="rate"}`]; got != "5" {
			t.Errorf("%s were counted, want 5", got)
		}
	})
}

func TestLimitOfRequestsInFlight(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newServer(t, setup{limits: Limits{InFlight: 2}})
		one, other := s.as(t, "one", "admin"), s.as(t, "other", "acquire:**")
		lease := s.do(t, "POST /v1/locks/a/acquire?ttl=1h", one).grant().LeaseID
		for range 2 {
			go s.do(t, "POST /v1/locks/a/acquire?wait=10s", one)
		}
		synctest.Wait()
		s.do(t, "POST /v1/locks/b/acquire", one).limitedUntil(time.Second)
		s.do(t, "POST /v1/locks/b/acquire", other).want(200)
		s.do(t, "POST /v1/locks/a/renew", one, header("Octostore-Lease", lease)).want(200)
		time.Sleep(11 * time.Second) // both have been answered
		s.do(t, "POST /v1/locks/c/acquire", one).want(200)
		s.do(t, "GET /v1/locks/nothing/at/all?no=such", one, onPurpose).want(400)
		s.do(t, "POST /v1/locks/c/acquire", one).want(409) // what was refused is not under way any more
		s.do(t, "POST /v1/locks/c/acquire", one).want(409)
	})
}

// Without tokens all clients have the same account.
func TestLimitsWithoutTokens(t *testing.T) {
	s := newServer(t, setup{limits: Limits{Rate: 1, InFlight: 1, AddressRate: 1}})
	for range 10 {
		s.do(t, "GET /v1/locks/a").want(200)
	}
}

func TestLimitOfRequestsPerAddress(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newServer(t, setup{limits: Limits{AddressRate: 4}})
		good := s.as(t, "one", "admin")
		here, there := from("192.0.2.1:1"), from("192.0.2.2:1")
		s.do(t, "GET /v1/locks", here).want(401)
		s.do(t, "GET /v1/locks", here, bearer("octo_wrong")).want(401)
		s.do(t, "GET /", here).want(200)
		s.do(t, "GET /nothing", from("[::ffff:192.0.2.1]:2")).want(404) // the same address
		s.do(t, "GET /v1/locks", here).limitedUntil(250 * time.Millisecond)
		s.do(t, "GET /v1/locks", here, bearer("octo_wrong")).limitedUntil(250 * time.Millisecond)
		s.do(t, "GET /openapi.yaml", here).want(429)

		s.do(t, "GET /v1/locks", there).want(401)
		s.do(t, "GET /v1/locks", here, good).want(200)
		s.do(t, "GET /healthz", here).want(200)
		s.do(t, "GET /readyz", here).want(200)
		time.Sleep(250 * time.Millisecond)
		s.do(t, "GET /v1/locks", here).want(401)
		s.do(t, "GET /v1/locks", here).want(429)

		// A client has plenty of IPv6 addresses, but one network.
		for i := range 4 {
			s.do(t, "GET /v1/locks", from(fmt.Sprintf("[2001:db8::%d]:1", i))).want(401)
		}
		s.do(t, "GET /v1/locks", from("[2001:db8::abcd:0:0:9]:1")).want(429)
		s.do(t, "GET /v1/locks", from("[2001:db8:0:1::1]:1")).want(401)
	})
}

// Without tokens, requests from loopback are not counted, but those from a refused origin are.
func TestLimitsCountARefusedOrigin(t *testing.T) {
	s := newServer(t, setup{limits: Limits{AddressRate: 1}})
	s.do(t, "GET /", header("Host", "example.com")).want(403)
	s.do(t, "GET /", header("Host", "example.com")).want(429)
	s.do(t, "GET /").want(200)
	s.do(t, "GET /").want(200)
}

func TestLimitOfNewTokens(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newServer(t, setup{limits: Limits{NewTokens: 2}})
		admin := s.as(t, "one", "admin") // not over HTTP
		const create = "POST /v1/tokens?account=x&scopes=read:**"
		made := decode[api.NewToken](s.do(t, create, admin).want(200))
		s.do(t, "POST /v1/tokens?account=x&scopes=wrong", admin, onPurpose).want(400)
		s.do(t, "POST /v1/tokens/"+made.ID+"/rotate", admin).want(200)
		s.do(t, create, admin).limitedUntil(30 * time.Minute)
		time.Sleep(30 * time.Minute)
		s.do(t, create, admin).want(200)
		s.do(t, create, admin).want(429)
	})
}

// On a connection too many there is an answer, then it is closed. Holders get through.
func TestLimitOfConnections(t *testing.T) { byBothDoors(t, testLimitOfConnections) }

func testLimitOfConnections(t *testing.T) {
	s := newServer(t, setup{limits: Limits{Connections: 2}})
	addr := listening(t, s)
	var first []*rawConn
	var lease string
	for range 2 {
		w := dial(t, s, addr)
		lease = w.receive(w.send(fmt.Sprintf("POST /v1/locks/a%d/acquire", len(first)), "")).grant().LeaseID
		first = append(first, w)
	}
	for _, test := range []struct {
		line   string
		status int
	}{
		{"GET /v1/locks", 429},
		{"POST /v1/locks/b/acquire", 429},
		{"GET /healthz", 200},
		{"GET /readyz", 200},
		{"POST /v1/locks/a1/renew?lease_id=" + lease, 200},
		{"POST /v1/locks/a1/release?lease_id=" + lease, 200},
	} {
		w := dial(t, s, addr)
		w.receive(w.send(test.line, "")).want(test.status)
		if !w.closed() {
			t.Errorf("%s: the connection stays open", test.line)
		}
	}
	first[0].receive(first[0].send("GET /v1/locks", "")).want(200)
	_ = first[1].conn.Close()
	s.connectionsAre(t, 1)
	w := dial(t, s, addr)
	w.receive(w.send("GET /v1/locks", "")).want(200)
	if got := s.scrape(t)["octostore_http_connections"]; got != "2" {
		t.Errorf("%s connections are counted, want 2", got)
	}
}

// connectionsAre waits until that many are open to the main listener.
func (s *server) connectionsAre(t *testing.T, n int) {
	t.Helper()
	for began := time.Now(); s.door.connections[mainListener].Len() != n; time.Sleep(time.Millisecond) {
		if time.Since(began) > soon {
			t.Fatalf("%d connections are open, want %d", s.door.connections[mainListener].Len(), n)
		}
	}
}

// closed reports whether the server closes the connection soon.
func (w *rawConn) closed() bool {
	_ = w.conn.SetReadDeadline(time.Now().Add(soon))
	_, err := w.r.ReadByte()
	return err != nil && !errors.Is(err, os.ErrDeadlineExceeded)
}

// The cost of counting a request, compared with the cheapest request.
func BenchmarkLimits(b *testing.B) {
	for _, with := range []struct {
		name   string
		limits Limits
	}{{"none", Limits{}}, {"all", Limits{Rate: 1 << 30, InFlight: 1000, AddressRate: 20, NewTokens: 1, Connections: 100}}} {
		b.Run(with.name, func(b *testing.B) {
			s := newServer(b, setup{limits: with.limits})
			who := newRequest("GET /v1/locks/a", []option{s.as(b, "a", "admin")})
			b.RunParallel(func(pb *testing.PB) {
				w := httptest.NewRecorder()
				r := who.http()
				for pb.Next() {
					w.Body.Reset()
					s.ServeHTTP(w, r)
				}
				if w.Code != http.StatusOK {
					b.Error(w.Body.String())
				}
			})
		})
	}
}
