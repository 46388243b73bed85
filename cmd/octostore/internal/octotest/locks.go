package octotest

import (
	"encoding/json"
	"fmt"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/octostore/octostore/transport/api"
)

// Enqueue has a new caller wait for a lock, and returns when it is the n-th in the queue.
func (p *Server) Enqueue(t *testing.T, name, query string, n int, headers ...string) *Caller {
	t.Helper()
	c := NewCaller(t, p.Addr)
	if err := c.Post("/v1/locks/"+name+"/acquire?wait=5m"+query, headers...); err != nil {
		t.Fatal(err)
	}
	WaitUntil(t, fmt.Sprintf("%d wait for %s", n, name), func() bool { return p.Look(name).WaitersTotal == n })
	return c
}

// Take acquires a lock that has to be free.
func (p *Server) Take(t *testing.T, name, query string) api.Grant {
	t.Helper()
	got := Call("POST", p.Addr, "/v1/locks/"+name+"/acquire"+query)
	Expect(t, got, 200, `"lease_id"`)
	return Granted(t, got)
}

// Granted returns the grant of an answer, which has to be one.
func Granted(t *testing.T, got Answer) api.Grant {
	t.Helper()
	g := GrantIn(got)
	if g.LeaseID == "" {
		t.Fatalf("got %d %q %v, want a grant", got.Status, got.Body, got.Err)
	}
	return g
}

// GrantIn returns the grant of an answer, without a lease id if it is none.
func GrantIn(got Answer) (g api.Grant) {
	if got.Err != nil || got.Status != 200 || json.Unmarshal([]byte(got.Body), &g) != nil {
		return api.Grant{}
	}
	return g
}

// Release releases a lease.
func (p *Server) Release(g api.Grant) Answer {
	return Call("POST", p.Addr, "/v1/locks/"+g.Name+"/release?lease_id="+g.LeaseID)
}

// Renew renews a lease.
func (p *Server) Renew(g api.Grant) Answer {
	return Call("POST", p.Addr, "/v1/locks/"+g.Name+"/renew?lease_id="+g.LeaseID)
}

// Look returns a lock as every client sees it; without an answer it is the zero Lock.
func (p *Server) Look(name string) (l api.Lock) {
	_ = json.Unmarshal([]byte(Call("GET", p.Addr, "/v1/locks/"+name).Body), &l) // then it has no state
	return l
}

// Metric returns one number of /metrics, or -1 without an answer.
func (p *Server) Metric(name string) float64 {
	got := Call("GET", p.Addr, "/metrics")
	for line := range strings.Lines(got.Body) {
		if value, found := strings.CutPrefix(line, name+" "); found && got.Err == nil {
			if n, err := strconv.ParseFloat(strings.TrimSpace(value), 64); err == nil {
				return n
			}
		}
	}
	return -1
}

// ExpectHealthy fails the test if the server has panicked or logged an error, or does
// not serve any more.
func (p *Server) ExpectHealthy(t *testing.T) {
	t.Helper()
	if bad := p.Logged("error"); len(bad) > 0 {
		t.Errorf("the server reported %d errors, the first: %+v", len(bad), bad[0])
	}
	p.mu.Lock()
	for _, line := range p.log {
		if strings.Contains(line.Msg+line.Err, "panic") {
			t.Errorf("the server panicked: %+v", line)
		}
	}
	p.mu.Unlock()
	if n := p.Metric("octostore_http_panics_total"); n != 0 {
		t.Errorf("octostore_http_panics_total is %v", n)
	}
	name := fmt.Sprintf("well/%d", time.Now().UnixNano())
	Expect(t, p.Release(p.Take(t, name, "")), 200, `"held_ms"`)
}
