package transport

import (
	"context"
	"testing"
	"time"

	"github.com/octostore/octostore/core/auth"
	"github.com/octostore/octostore/core/lock"
	"github.com/octostore/octostore/transport/api"
)

// TestParkedRequestEndsWithItsToken has a request that is parked in the lane wait for longer than its
// token is valid.
func TestParkedRequestEndsWithItsToken(t *testing.T) {
	for name, valid := range map[string]time.Duration{"revoked": time.Hour, "expired": 500 * time.Millisecond} {
		t.Run(name, func(t *testing.T) {
			s := newServer(t, setup{})
			addr := listening(t, s)
			s.do(t, "POST /v1/locks/a/acquire?ttl=1h", s.as(t, "holder", "acquire:**")).grant()
			scopes, err := auth.ParseScopes("acquire:**")
			if err != nil {
				t.Fatal(err)
			}
			made, secret, err := s.tokens.Create(t.Context(), lock.Origin{}, auth.TokenSpec{Account: "waits", Scopes: scopes, Expires: valid})
			if err != nil {
				t.Fatal(err)
			}
			w := dial(t, s, addr)
			answer := w.send("POST /v1/locks/a/acquire?wait=60s", "", "Authorization: Bearer "+secret)
			s.waiters(t, "a", 1)
			eventually(t, "it does not wait briefly any more", func() bool { return s.brief.Load() == 0 })
			if name == "revoked" {
				if _, err := s.tokens.Revoke(context.Background(), lock.Origin{}, made.ID); err != nil {
					t.Fatal(err)
				}
			}
			w.receive(answer).want(401, api.CodeUnauthenticated)
		})
	}
}
