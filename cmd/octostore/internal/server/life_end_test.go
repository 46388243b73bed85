package server

import (
	"bytes"
	"context"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/octostore/octostore/cmd/octostore/internal/octotest"
	"github.com/octostore/octostore/core/store/etcd"
)

// A node that stops while it hands over by hand lingers as one that hands over because it stops: requests
// of other nodes may be on their way.
func TestLifeLingersAfterAHandOverByHand(t *testing.T) {
	in := newCommon()
	a, stop := startNode(t, in, "a")
	term := serves(t, a)
	b, _ := startNode(t, in, "b")

	term.yield()
	octotest.WaitUntil(t, "node a does not serve any more", func() bool { return a.serving() == nil })
	asked := time.Now()
	stop()

	if took := time.Since(asked); took < lingerTime {
		t.Errorf("it stopped within %s, before requests on their way could be answered", took)
	}
	serves(t, b)
}

// A request that was on its way to a term when this ended is answered that the table moved, whatever is
// closed by now.
func TestLifeAnswersRequestsThatComeAfterTheEnd(t *testing.T) {
	for name, end := range map[string]func(*server, func(), *turn){
		"handed over": func(a *server, _ func(), _ *turn) { a.serving().yield() },
		"lost":        func(_ *server, _ func(), c *turn) { c.lose() },
		"stopped":     func(_ *server, stop func(), _ *turn) { stop() },
	} {
		t.Run(name, func(t *testing.T) {
			in := newCommon()
			a, stop := startNode(t, in, "a")
			old := serves(t, a)
			claim := in.newest()
			startNode(t, in, "b")
			octotest.Expect(t, a.call("POST", "/v1/locks/held/acquire?ttl=60s"), 200, `"lease_id"`)

			end(a, stop, claim)
			octotest.WaitUntil(t, "the term is closed", claim.closed.Load)

			for _, line := range []string{
				"POST /v1/locks/x/acquire", "POST /v1/locks/held/acquire?wait=10s",
				"POST /v1/locks/held/renew?lease_id=abcdefghijklmnop", "POST /v1/locks/held/release?lease_id=abcdefghijklmnop",
				"POST /v1/locks/held/break?reason=x", "POST /v1/locks/held/break?reason=x&take=1",
				"GET /v1/locks/held", "GET /v1/locks", "GET /v1/live", "GET /v1/live?show=server", "GET /v1/events", "GET /v1/activity",
				"GET /v1/audit", "GET /v1/audit?follow=1", "GET /v1/audit?last=5", "GET /v1/audit/state", "GET /v1/audit/keys",
				"GET /v1/whoami", "GET /v1/server", "GET /v1/policies", "POST /v1/policies/reload", "GET /v1/tokens",
				"POST /v1/tokens?account=a&scopes=admin:**", "DELETE /v1/tokens/abc",
				"GET /v1/cluster", "POST /v1/cluster/hand-over", "GET /v1/backup", "POST /v1/terraform/x",
			} {
				for listener, api := range map[string]http.Handler{"main": old.api, "admin": old.api.AdminHandler()} {
					got := late(t, api, line)
					moved := got.Code == 503 && (strings.Contains(got.Body.String(), `"moved"`) || strings.Contains(got.Body.String(), `"draining"`))
					if !moved && got.Code != 404 {
						t.Errorf("%s on the %s listener is answered %d %s", line, listener, got.Code, got.Body)
					}
				}
			}
		})
	}
}

// late has a request answered that began when its term had ended.
func late(t *testing.T, api http.Handler, line string) *httptest.ResponseRecorder {
	t.Helper()
	method, target, _ := strings.Cut(line, " ")
	ctx, cancel := context.WithTimeout(t.Context(), octotest.Patient)
	defer cancel()
	r := httptest.NewRequestWithContext(ctx, method, target, http.NoBody)
	r.Host = "localhost"
	got := httptest.NewRecorder()
	api.ServeHTTP(got, r)
	if ctx.Err() != nil {
		t.Errorf("%s is not answered", line)
	}
	return got
}

// A node whose URL leads to another one is not ready, and neither are the nodes that would forward to it.
func TestLifeIsNotReadyIfTheURLLeadsElsewhere(t *testing.T) {
	in := newCommon()
	a, _ := startNode(t, in, "a")
	serves(t, a)
	b, _ := startNode(t, in, "b")
	c, _ := startNode(t, in, "c")
	for _, s := range []*server{a, b, c} {
		octotest.Expect(t, s.call("GET", "/readyz"), 200, `"ok"`)
	}
	in.mu.Lock()
	o := in.owner
	o.URL = b.url()
	in.set(o)
	in.mu.Unlock()
	for _, s := range []*server{b, c} {
		octotest.WaitUntil(t, "node "+s.node.name+" is not ready", func() bool { return s.call("GET", "/readyz").Status == 503 })
	}
}

// A change of the node that serves is in the log of each other one.
func TestLifeLogsWhichNodeServes(t *testing.T) {
	in := newCommon()
	var out bytes.Buffer
	n := &node{cluster: &member{common: in, name: "b"}, name: "b", log: slog.New(slog.NewTextHandler(&out, nil))}
	n.digest.Store(new(string))
	for _, o := range []etcd.Owner{
		{Node: "b", URL: "http://b", Term: 7}, {Node: "a", URL: "http://a", Term: 8}, {Node: "c", URL: "http://c", Term: 9},
	} {
		in.mu.Lock()
		in.set(o)
		in.mu.Unlock()
		ctx, cancel := context.WithCancel(t.Context())
		n.follow(ctx, cancel)
		cancel()
	}
	got := strings.Count(out.String(), "\n")
	if got != 2 || !strings.Contains(out.String(), "serving=a url=http://a term=8") || !strings.Contains(out.String(), "serving=c url=http://c term=9") {
		t.Errorf("the log says\n%s", &out)
	}
}
