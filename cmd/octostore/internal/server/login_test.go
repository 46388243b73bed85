package server

import (
	"log/slog"
	"net"
	"net/url"
	"testing"
	"time"

	"github.com/octostore/octostore/cmd/octostore/internal/config"
	"github.com/octostore/octostore/cmd/octostore/internal/preflight"
)

// A server on loopback need not be told where browsers find it. With a certificate that is
// where they speak TLS, and the cookie of a login is of the kind that others cannot set.
func TestBrowsersAreSentBackToWhereTheServerListens(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	for scheme, cert := range map[string]*preflight.Certificate{"http": nil, "https": {}} {
		cfg := config.Config{
			GitHubClientID: "id", GitHubSecret: "secret", GitHubAllow: "user:alice@1=read:**", LoginTokenTTL: time.Hour,
		}
		s := &server{listener: l, certificate: cert}
		github, err := openLogin(cfg, s, &term{tokens: &tokens{}}, slog.New(slog.DiscardHandler))
		if err != nil {
			t.Fatal(err)
		}
		target, cookie := github.Begin(l.Addr().String(), time.Now())
		_ = github.Close()
		u, err := url.Parse(target)
		if err != nil {
			t.Fatal(err)
		}
		if got, want := u.Query().Get("redirect_uri"), scheme+"://"+l.Addr().String()+"/auth/github/callback"; got != want || cookie == nil || cookie.Secure != (scheme == "https") {
			t.Errorf("sent back to %q with %v, want %q", got, cookie, want)
		}
	}
}
