package server

import (
	"io"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"strings"
	"testing"

	"github.com/octostore/octostore/cmd/octostore/internal/octotest"
	"github.com/octostore/octostore/transport/forward"
)

// A grant that another node is about to deliver when the term is handed over reaches its client: what
// the other node asks about it is for the term that ends.
func TestLifeDeliversGrantsWhileATermIsHandedOver(t *testing.T) {
	in := newCommon()
	a, _ := startNode(t, in, "a")
	serving := serves(t, a)
	b, _ := startNode(t, in, "b")
	to, _ := url.Parse(a.url())
	way := httputil.NewSingleHostReverseProxy(to)
	way.FlushInterval = -1
	slow := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if strings.HasPrefix(r.URL.Path, "/v1/forwarded/") {
			serving.yield()
			octotest.WaitUntil(t, "node a serves no longer", func() bool { return a.serving() == nil })
		}
		way.ServeHTTP(w, r)
	}))
	defer slow.Close()
	target := forward.Target{Term: serving.claim.Term()}
	target.URL, _ = url.Parse(slow.URL)
	f := forward.New(forward.Config{Key: a.node.ForwardKey(), Target: func() (forward.Target, bool) { return target, true }})
	defer func() { _ = f.Close() }()
	node := httptest.NewServer(f)
	defer node.Close()

	answer, err := http.Post(node.URL+"/v1/locks/x/acquire?ttl=60s", "", http.NoBody)
	if err != nil {
		t.Fatal(err)
	}
	body, _ := io.ReadAll(answer.Body)
	_ = answer.Body.Close()

	got := octotest.Answer{Status: answer.StatusCode, Body: string(body)}
	octotest.Expect(t, got, 200, `"lease_id"`)
	serves(t, b)
	octotest.Expect(t, b.call("POST", "/v1/locks/x/renew?lease_id="+octotest.Member(t, got.Body, "lease_id")), 200, `"lease_id"`)
}
