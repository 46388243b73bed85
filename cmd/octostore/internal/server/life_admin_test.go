package server

import (
	"io"
	"net/http"
	"testing"
	"time"

	"github.com/octostore/octostore/cmd/octostore/internal/config"
	"github.com/octostore/octostore/cmd/octostore/internal/octotest"
)

// A node that forwards does so for its admin listener, too, whose connections are not those of the main one.
func TestLifeForwardsTheAdminListener(t *testing.T) {
	in := newCommon()
	admin := func(c *config.Config) { c.AdminAddr = "127.0.0.1:0" }
	a, _ := startNode(t, in, "a", admin)
	serves(t, a)
	b, _ := startNode(t, in, "b", admin)
	for range 3 {
		octotest.Expect(t, octotest.Call("GET", b.admin.Addr().String(), "/v1/cluster"), 200, `"serving"`)
	}
}

// A node that forwards refuses clients above its limit of connections, as one that serves does.
func TestLifeLimitsConnectionsWhereItForwards(t *testing.T) {
	const most = 4
	in := newCommon()
	limited := func(c *config.Config) { c.MaxConnections = most }
	a, _ := startNode(t, in, "a", limited)
	serves(t, a)
	b, _ := startNode(t, in, "b", limited)
	for _, s := range []*server{b, a} {
		for range most {
			keepConnection(t, s)
		}
		octotest.Expect(t, s.call("GET", "/v1/locks"), 429, `"rate_limited"`)
		octotest.Expect(t, s.call("POST", "/v1/locks/x/renew?lease_id=abcdefghijklmnop"), 409, `"not_held"`)
		octotest.Expect(t, s.call("GET", "/readyz"), 200, `"ok"`)
	}
}

// keepConnection opens a connection on which a request was answered, and keeps it until the test ends.
func keepConnection(t *testing.T, s *server) {
	t.Helper()
	way := &http.Transport{}
	t.Cleanup(way.CloseIdleConnections)
	client := http.Client{Transport: way, Timeout: 20 * time.Second}
	answer, err := client.Get(s.url() + "/v1/locks")
	if err != nil {
		t.Fatal(err)
	}
	_, _ = io.Copy(io.Discard, answer.Body)
	_ = answer.Body.Close()
	if answer.StatusCode != http.StatusOK {
		t.Fatalf("answered %d", answer.StatusCode)
	}
}
