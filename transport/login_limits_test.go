package transport

import (
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/octostore/octostore/transport/api"
	"github.com/octostore/octostore/transport/internal/limit"
)

// TestLoginsOfOneAddressAreLimited has one address ask for codes as fast as it can, and take
// no place, as GitHub gives none. GitHub is asked so many times, and others can log in.
func TestLoginsOfOneAddressAreLimited(t *testing.T) {
	s := newSite(t)
	var asked atomic.Int64
	s.fake.Instead = func(w http.ResponseWriter, r *http.Request) bool {
		if r.URL.Path != "/login/device/code" {
			return false
		}
		asked.Add(1)
		w.WriteHeader(http.StatusInternalServerError)
		return true
	}
	for n := range 40 {
		a := s.do(t, "POST /v1/login/device", from("192.0.2.1:1"))
		if n < limit.GitHubBurst {
			a.want(503, api.CodeLoginUnavailable)
		} else {
			a.want(429, api.CodeRateLimited)
		}
	}
	if n := asked.Load(); n != limit.GitHubBurst {
		t.Errorf("GitHub was asked %d times, want %d", n, limit.GitHubBurst)
	}
	s.do(t, "POST /v1/login/device", from("192.0.2.2:1")).want(503)
	if n := asked.Load(); n != limit.GitHubBurst+1 {
		t.Error("GitHub was not asked for another address")
	}
	if got := s.scrape(t)[`octostore_limited_total{limit="logins"}`]; got != "20" {
		t.Errorf("%s were counted, want 20", got)
	}
}

// ticket begins a login in a browser and returns how to finish it with a code of one's own.
func (s *site) ticket() (cookie option, state string) {
	s.t.Helper()
	a := s.do(s.t, "GET /auth/github", header("Host", strings.TrimPrefix(s.url, "http://"))).want(303)
	to, err := url.Parse(a.header.Get("Location"))
	if err != nil {
		s.t.Fatal(err)
	}
	pair, _, _ := strings.Cut(a.header.Get("Set-Cookie"), ";")
	return header("Cookie", pair), to.Query().Get("state")
}

// TestLoginsAreNotUsedUpByJunk has an address that is also that of others, as behind a
// proxy, send callbacks and requests that never lead to GitHub. They take nothing from the
// share of the address; those that lead to GitHub do.
func TestLoginsAreNotUsedUpByJunk(t *testing.T) {
	s := newSite(t)
	s.fake.Polls = []string{"authorization_pending"}
	proxy := from("192.0.2.1:1")
	cookie, state := s.ticket()
	finish := "POST /auth/github/callback?code=x&state="
	asked := len(s.fake.Asked())
	for range 2 * limit.GitHubBurst {
		s.do(t, finish+"y", proxy).want(403)
		s.do(t, finish+"y", proxy, cookie).want(403)
		s.do(t, finish+state, proxy).want(403)
	}
	if n := len(s.fake.Asked()) - asked; n != 0 {
		t.Fatalf("GitHub was asked %d times", n)
	}
	s.do(t, "POST /v1/login/device", proxy).want(200)
	b := s.browser()
	back := s.begin(b)
	if p := s.press(b, back, "same-origin"); p.status != 200 {
		t.Fatalf("%d %s", p.status, p.text)
	}
	for range 2 * limit.GitHubBurst {
		if p := s.press(b, back, "same-origin"); p.status != 403 { // used up
			t.Fatalf("%d %s", p.status, p.text)
		}
	}
	c := s.browser()
	if p := s.press(c, s.begin(c), "same-origin"); p.status != 200 {
		t.Errorf("after a login that was finished again and again: %d %s", p.status, p.text)
	}
}

// TestLoginsOfOneAddressInBrowsersAreLimited has one address begin logins as it should and
// send codes that are none: GitHub is asked about so many, and others can log in.
func TestLoginsOfOneAddressInBrowsersAreLimited(t *testing.T) {
	s := newSite(t)
	asked := len(s.fake.Asked())
	for n := range 2 * limit.GitHubBurst {
		cookie, state := s.ticket()
		a := s.do(t, "POST /auth/github/callback?code=x&state="+state, from("192.0.2.1:1"), cookie)
		if n < limit.GitHubBurst {
			a.want(410)
		} else {
			a.want(429)
		}
	}
	if n := len(s.fake.Asked()) - asked; n != limit.GitHubBurst {
		t.Errorf("GitHub was asked %d times, want %d", n, limit.GitHubBurst)
	}
	cookie, state := s.ticket()
	s.do(t, "POST /auth/github/callback?code=x&state="+state, from("192.0.2.2:1"), cookie).want(410)
}

// TestLoginsThatFindNoPlaceCostNothing takes all places there are for logins by a code.
// Further logins do not lead to GitHub, and do not count for their address.
func TestLoginsThatFindNoPlaceCostNothing(t *testing.T) {
	s := newSite(t)
	s.fake.Polls = []string{"authorization_pending"}
	for n := range 100 {
		s.do(t, "POST /v1/login/device", from(fmt.Sprintf("192.0.2.%d:1", 1+n/limit.GitHubBurst))).want(200)
	}
	other := from("198.51.100.1:1")
	for range 2 * limit.GitHubBurst {
		s.do(t, "POST /v1/login/device", other).want(503, api.CodeLoginUnavailable)
	}
}
