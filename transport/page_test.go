package transport

import (
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/google/go-cmp/cmp"
	"github.com/octostore/octostore/core/auth"
	"github.com/octostore/octostore/core/lock"
	"github.com/octostore/octostore/transport/api"
	"github.com/octostore/octostore/transport/internal/limit"
)

const fromBrowser = "text/html,application/xhtml+xml,application/xml;q=0.9,image/avif,image/webp,*/*;q=0.8"

func TestPageIsForBrowsersOnly(t *testing.T) {
	s := newServer(t, setup{})
	for _, accept := range []string{"*/*", "text/plain", "application/json", "text/plain,text/html;q=0.5"} {
		a := s.do(t, "GET /", header("Accept", accept)).want(200)
		if got := a.header.Get("Content-Type"); !strings.HasPrefix(got, "text/plain") || a.header.Get("Vary") != "Accept" {
			t.Errorf("Accept: %s: %s, Vary: %s", accept, got, a.header.Get("Vary"))
		}
		if !strings.Contains(string(a.body), "curl -X POST 'http://localhost/v1/locks/deploy/prod/acquire") {
			t.Errorf("Accept: %s: %s", accept, a.body)
		}
	}
	page := s.do(t, "GET /", header("Accept", fromBrowser)).want(200)
	for name, want := range map[string]string{
		"Content-Type": "text/html; charset=utf-8", "Vary": "Accept", "Cache-Control": "no-store",
		"X-Content-Type-Options": "nosniff", "Referrer-Policy": "no-referrer",
	} {
		if got := page.header.Get(name); got != want {
			t.Errorf("%s: %s, want %s", name, got, want)
		}
	}
	policy := page.header.Get("Content-Security-Policy")
	for _, part := range []string{"default-src 'none'", "script-src 'self'", "style-src 'self'", "connect-src 'self'", "base-uri 'none'", "frame-ancestors 'none'"} {
		if !slices.Contains(strings.Split(policy, "; "), part) {
			t.Errorf("the policy lacks %s: %s", part, policy)
		}
	}
	if strings.Contains(policy, "unsafe") || strings.Contains(policy, "http") {
		t.Errorf("the policy allows too much: %s", policy)
	}
}

// The page comes under the same rules as everything else: no foreign host, no foreign origin.
func TestPageObeysTheOriginRules(t *testing.T) {
	s := newServer(t, setup{})
	for _, line := range []string{"GET /", "GET /ui/app.js", "GET /v1/whoami"} {
		s.do(t, line, header("Accept", fromBrowser), header("Host", "evil.example")).want(403)
		s.do(t, line, header("Accept", "*/*")).want(200)
	}
	s.do(t, "GET /ui/app.js?x=1", onPurpose).wantInvalid("x")
	s.do(t, "POST /ui/app.js", onPurpose).want(405)
	s.do(t, "GET /ui/").want(404)
	s.do(t, "GET /ui/../ui/app.js").want(404)
}

func TestPageUsesThePathOfThePublicURL(t *testing.T) {
	s := newServer(t, setup{public: &url.URL{Scheme: "https", Host: "locks.example.com", Path: "/octo"}})
	s.as(t, "root", "admin") // with tokens, any host name is fine
	for host, want := range map[string]string{"locks.example.com": `src="/octo/ui/`, "LOCKS.example.com": `src="/octo/ui/`, "localhost": `src="ui/`, "other.example.com": `src="ui/`} {
		page := s.do(t, "GET /", header("Accept", fromBrowser), header("Host", host)).want(200)
		if !strings.Contains(string(page.body), want) {
			t.Errorf("Host: %s: want %s in\n%s", host, want, page.body)
		}
	}
}

// A proxy that changes the Host header makes the page's own requests look foreign.
func TestPageOfThePublicURLIsTrusted(t *testing.T) {
	s := newServer(t, setup{public: &url.URL{Scheme: "https", Host: "locks.example.com", Path: "/octo"}})
	admin := s.as(t, "root", "admin")
	for origin, status := range map[string]int{"https://locks.example.com": 200, "http://locks.example.com": 403, "https://locks.example.com.evil.example": 403, "https://evil.example": 403, "null": 403} {
		s.do(t, fmt.Sprintf("POST /v1/locks/a%d-%d/acquire", status, len(origin)), admin, header("Origin", origin), header("Host", "127.0.0.1:3000")).want(status)
	}
}

// A browser that has no token yet loads all files of the page at once.
func TestPageLoadsWithinTheLimitPerAddress(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const rate = 4
		s := newServer(t, setup{limits: Limits{AddressRate: rate}})
		s.as(t, "root", "admin")
		here := from("192.0.2.1:1")
		s.do(t, "GET /", here, header("Accept", fromBrowser)).want(200)
		for range rate * limit.AssetsPerRequest {
			s.do(t, "GET /ui/app.js", here).want(200)
		}
		s.do(t, "GET /v1/whoami", here).want(401) // which is what asks for a token
		s.do(t, "GET /ui/app.js", here).want(429)
		s.do(t, "GET /ui/app.js", from("192.0.2.2:1")).want(200)
	})
}

func TestWhoamiWithoutTokens(t *testing.T) {
	s := newServer(t, setup{})
	want := api.Whoami{Account: "local", Version: "test", Scopes: []string{"acquire:**", "read:**", "break:**", "audit:**", "policies", "admin"}}
	if diff := cmp.Diff(want, decode[api.Whoami](s.do(t, "GET /v1/whoami").want(200))); diff != "" {
		t.Errorf("wanted (-), got (+):\n%s", diff)
	}
}

func TestWhoamiTellsTheScopesOfTheToken(t *testing.T) {
	s := newServer(t, setup{})
	scopes, err := auth.ParseScopes("acquire,read:team-a/**,!team-a/x  policies")
	if err != nil {
		t.Fatal(err)
	}
	made, secret, err := s.tokens.Create(t.Context(), lock.Origin{}, auth.TokenSpec{Account: "alice", Name: "laptop", Scopes: scopes, Expires: 1e9 * 3600})
	if err != nil {
		t.Fatal(err)
	}
	got := decode[api.Whoami](s.do(t, "GET /v1/whoami", bearer(secret)).want(200))
	if got.ExpiresAt == nil || !got.ExpiresAt.Equal(made.Expires) {
		t.Errorf("it expires at %v, want %v", got.ExpiresAt, made.Expires)
	}
	got.ExpiresAt = nil
	want := api.Whoami{Account: "alice", TokenName: "laptop", TokenID: made.ID, Version: "test", Tokens: true, Scopes: []string{"acquire,read:team-a/**,!team-a/x", "policies"}}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("wanted (-), got (+):\n%s", diff)
	}
}

// A browser answers a challenge of Basic with a dialog of its own, even to a script. The page
// asks for a token itself.
func TestPageIsNotChallengedForBasic(t *testing.T) {
	s := newServer(t, setup{})
	s.as(t, "root", "admin")
	challenges := func(options ...option) []string {
		return s.do(t, "GET /v1/whoami", options...).want(http.StatusUnauthorized).header.Values("Www-Authenticate")
	}
	if got := challenges(header("X-Requested-With", "OctoStore")); len(got) != 1 || !strings.HasPrefix(got[0], "Bearer ") {
		t.Errorf("the page gets the challenges %q", got)
	}
	if got := challenges(); len(got) != 2 {
		t.Errorf("other clients get the challenges %q", got)
	}
}
