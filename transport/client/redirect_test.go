package client_test

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/octostore/octostore/transport/client"
)

// The token is sent to its server only, not to where that server, or an impostor, redirects:
// another port of the same host, for example.
func TestTokenIsNotSentOn(t *testing.T) {
	var asked atomic.Int32
	elsewhere := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { asked.Add(1) }))
	defer elsewhere.Close()
	for _, status := range []int{301, 302, 303, 307, 308} {
		server := httptest.NewServer(http.RedirectHandler(elsewhere.URL+"/v1/tokens", status))
		defer server.Close()
		for _, own := range []*http.Client{nil, {}} {
			c, err := client.New(client.Config{URL: server.URL, Token: "secret", HTTP: own})
			if err != nil {
				t.Fatal(err)
			}
			if _, err := c.Tokens(t.Context()); err == nil || !strings.Contains(err.Error(), elsewhere.URL) {
				t.Errorf("%d on GET: %v", status, err)
			}
			if _, err := c.RevokeToken(t.Context(), "x"); err == nil || !strings.Contains(err.Error(), elsewhere.URL) {
				t.Errorf("%d on DELETE: %v", status, err)
			}
		}
	}
	if n := asked.Load(); n != 0 {
		t.Errorf("the other server was asked %d times", n)
	}
}
