package transport

import (
	"html"
	"io"
	"log/slog"
	"net/http"
	"net/http/cookiejar"
	"net/http/httptest"
	"net/url"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/octostore/octostore/core/auth"
	"github.com/octostore/octostore/core/lock"
	"github.com/octostore/octostore/transport/api"
	"github.com/octostore/octostore/transport/login"
	"github.com/octostore/octostore/transport/login/logintest"
)

// site is a server on a socket that people can log in to, with a GitHub on another.
type site struct {
	*server
	t    *testing.T
	fake *logintest.GitHub
	url  string
	log  *lines
}

// canaries are what must not be seen outside of the server.
var canaries = []string{logintest.ClientSecret, logintest.CanaryToken, logintest.CanaryCode, logintest.CanaryDevice}

func newSite(t *testing.T) *site {
	t.Helper()
	log := new(lines)
	debug := slog.NewTextHandler(log, &slog.HandlerOptions{Level: slog.LevelDebug})
	s := &site{server: newServer(t, setup{log: debug}), t: t, log: log}
	s.fake = &logintest.GitHub{Login: "alice", ID: 583231, Interval: 1}
	github := httptest.NewServer(s.fake)
	t.Cleanup(github.Close)
	web := httptest.NewServer(s.API)
	t.Cleanup(web.Close)
	s.url = web.URL
	allow, err := login.ParseAllow("user:alice@583231=acquire,read:team-a/** audit:**")
	if err != nil {
		t.Fatal(err)
	}
	s.API.login, err = login.Open(login.Config{
		ClientID: logintest.ClientID, ClientSecret: logintest.ClientSecret, Allow: allow, Tokens: s.tokens,
		TokenTTL: time.Hour, PublicURL: s.url, URL: github.URL, Logger: slog.New(debug),
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = s.API.login.Close()
		if text := log.String(); auth.HoldsSecret(text) {
			t.Errorf("a token is in the log:\n%s", text)
		}
		for _, canary := range canaries {
			if strings.Contains(log.String(), canary) {
				t.Errorf("%s is in the log:\n%s", canary, log)
			}
		}
	})
	return s
}

// browser keeps cookies and follows where it is sent.
func (s *site) browser() *http.Client {
	jar, err := cookiejar.New(nil)
	if err != nil {
		s.t.Fatal(err)
	}
	transport := &http.Transport{}
	s.t.Cleanup(transport.CloseIdleConnections)
	return &http.Client{Jar: jar, Transport: transport}
}

// page is what a browser shows.
type page struct {
	status int
	header http.Header
	at     *url.URL
	text   string
}

func (s *site) read(resp *http.Response, err error) page {
	s.t.Helper()
	if err != nil {
		s.t.Fatal(err)
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	if err != nil {
		s.t.Fatal(err)
	}
	return page{resp.StatusCode, resp.Header, resp.Request.URL, string(text)}
}

// begin goes to GitHub and back, to the page with the button.
func (s *site) begin(b *http.Client) page {
	s.t.Helper()
	p := s.read(b.Get(s.url + login.BeginPath))
	if p.status != 200 || p.at.Path != login.CallbackPath {
		s.t.Fatalf("ended at %s with %d: %s", p.at.Path, p.status, p.text)
	}
	return p
}

// press presses the button of a page, as a browser does from a page of that site.
func (s *site) press(b *http.Client, p page, from string) page {
	s.t.Helper()
	form := url.Values{}
	for _, m := range regexp.MustCompile(`<input type="hidden" name="([a-z]+)" value="([^"]*)">`).FindAllStringSubmatch(p.text, -1) {
		form.Set(m[1], html.UnescapeString(m[2]))
	}
	req, err := http.NewRequest("POST", s.url+login.CallbackPath, strings.NewReader(form.Encode()))
	if err != nil {
		s.t.Fatal(err)
	}
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	req.Header.Set("Sec-Fetch-Site", from)
	return s.read(b.Do(req))
}

var shownToken = regexp.MustCompile(`<code>(octo_[A-Za-z0-9_-]{48})</code>`)

func TestLoginWithABrowser(t *testing.T) {
	s := newSite(t)
	b := s.browser()
	back := s.begin(b)
	if n := len(s.tokens.List()); n != 0 {
		t.Errorf("%d tokens before the button was pressed", n)
	}
	if got := back.header.Get("Referrer-Policy"); got != "same-origin" {
		t.Errorf("coming back: Referrer-Policy is %q", got)
	}
	p := s.press(b, back, "same-origin")
	m := shownToken.FindStringSubmatch(p.text)
	if p.status != 200 || m == nil || strings.Count(p.text, m[1]) != 1 {
		t.Fatalf("%d: %s", p.status, p.text)
	}
	for name, want := range map[string]string{
		"Cache-Control": "no-store", "Referrer-Policy": "no-referrer", "X-Content-Type-Options": "nosniff",
		"X-Frame-Options": "DENY", "Content-Type": "text/html; charset=utf-8", "Location": "",
	} {
		if got := p.header.Get(name); got != want {
			t.Errorf("%s is %q, want %q", name, got, want)
		}
	}
	if !strings.HasPrefix(p.header.Get("Content-Security-Policy"), "default-src 'none'; style-src 'sha256-") || p.at.RawQuery != "" {
		t.Errorf("got %v at %v", p.header, p.at)
	}
	u, _ := url.Parse(s.url)
	if left := b.Jar.Cookies(u); len(left) > 0 {
		t.Errorf("the cookie is still there: %v", left)
	}

	bearer := header("Authorization", "Bearer "+m[1])
	if got := s.do(t, "POST /v1/locks/team-a/x/acquire", bearer).grant().Account; got != "github:alice.583231" {
		t.Errorf("acquired as %q", got)
	}
	s.do(t, "POST /v1/locks/team-b/x/acquire", bearer).want(403, api.CodeForbidden)

	again := s.press(b, back, "same-origin")
	if again.status != 403 || strings.Contains(again.text, "octo_") || again.header.Get("Content-Type") != "text/html; charset=utf-8" {
		t.Errorf("the button works twice: %d %s", again.status, again.text)
	}
	s.wantNoSecrets(m[1])

	s.do(t, "POST /v1/logout", bearer).want(200)
	s.do(t, "GET /v1/locks/team-a/x", bearer).want(401, api.CodeUnauthenticated)
}

// wantNoSecrets looks for secrets wherever others can look.
func (s *site) wantNoSecrets(token string) {
	s.t.Helper()
	bearer := header("Authorization", "Bearer "+token)
	for _, line := range []string{"GET /v1/audit", "GET /metrics", "GET /v1/locks"} {
		text := string(s.do(s.t, line, bearer).want(200).body)
		for _, canary := range append(canaries, token) {
			if strings.Contains(text, canary) {
				s.t.Errorf("%s is in %s", canary, line)
			}
		}
	}
	if text := string(s.do(s.t, "GET /v1/audit", bearer).body); !strings.Contains(text, `"kind":"token_created"`) || !strings.Contains(text, "github:alice.583231") {
		s.t.Errorf("the login is not on record: %s", text)
	}
}

// A page of an attacker cannot make a browser log in, nor log in as another user.
func TestLoginOfAnotherBrowser(t *testing.T) {
	s := newSite(t)
	attacker, victim := s.browser(), s.browser()
	theirs := s.begin(attacker)

	// The link GitHub sent the attacker back to, opened by the victim.
	for _, when := range []string{"without a login of their own", "during a login of their own"} {
		if p := s.read(victim.Get(theirs.at.String())); p.status != 403 || strings.Contains(p.text, "<form") {
			t.Errorf("%s: %d %s", when, p.status, p.text)
		}
		if p := s.press(victim, theirs, "same-origin"); p.status != 403 || strings.Contains(p.text, "octo_") {
			t.Errorf("%s: pressed: %d %s", when, p.status, p.text)
		}
		s.begin(victim)
	}
	// The form, sent by a page of another site.
	mine := s.begin(victim)
	for _, from := range []string{"cross-site", "same-site"} {
		if p := s.press(victim, mine, from); p.status != 403 || strings.Contains(p.text, "octo_") {
			t.Errorf("from %s: %d %s", from, p.status, p.text)
		}
	}
	if n := len(s.tokens.List()); n != 0 {
		t.Errorf("%d tokens", n)
	}
	if p := s.press(victim, mine, "same-origin"); p.status != 200 {
		t.Errorf("the right one: %d %s", p.status, p.text)
	}
}

func TestLoginPagesAreForPeople(t *testing.T) {
	s := newSite(t)
	fresh := s.browser()
	s.fake.Deny = true
	denied := s.read(s.browser().Get(s.url + login.BeginPath))
	s.fake.Deny = false
	s.fake.Login, s.fake.ID = "alice", 7 // another user has the name now
	b := s.browser()
	other := s.press(b, s.begin(b), "same-origin")
	for name, test := range map[string]struct {
		page
		status int
		want   string
	}{
		"turned down":            {denied, 403, "turned down at GitHub"},
		"not on the list":        {other, 403, "may not log in here"},
		"out of nowhere":         {s.read(fresh.Get(s.url + login.CallbackPath)), 403, "not begun in this browser"},
		"a parameter twice":      {s.read(fresh.Get(s.url + login.CallbackPath + "?code=a&code=b")), 400, "code is given more than once"},
		"an unknown one in POST": {s.read(fresh.Post(s.url+login.CallbackPath+"?x=%3Cscript%3E", "", nil)), 400, "x is not known"},
	} {
		if test.page.status != test.status || !strings.Contains(test.text, test.want) || !strings.HasPrefix(test.text, "<!DOCTYPE html>") ||
			test.header.Get("Content-Security-Policy") == "" || strings.Contains(test.text, "<script") {
			t.Errorf("%s: %d %s", name, test.page.status, test.text)
		}
	}
	s.do(t, "GET /auth/github").want(303)
	s.do(t, "GET /auth/github?utm=x", onPurpose).want(303)
	s.do(t, "GET /auth/github/callback?iss=x").want(403)
}

// A browser that came by another name of this machine would lose its cookie on the way.
func TestLoginBeginsUnderThePublicName(t *testing.T) {
	s := newSite(t)
	b := s.browser()
	p := s.read(b.Get(strings.Replace(s.url, "127.0.0.1", "localhost", 1) + login.BeginPath))
	if p.status != 200 || p.at.Hostname() != "127.0.0.1" || p.at.Path != login.CallbackPath {
		t.Errorf("ended at %s: %d %s", p.at, p.status, p.text)
	}
	if p = s.press(b, p, "same-origin"); p.status != 200 {
		t.Errorf("%d %s", p.status, p.text)
	}
}

func TestLoginWithACode(t *testing.T) {
	s := newSite(t)
	s.fake.Polls = []string{"authorization_pending", ""}
	d := decode[api.DeviceLogin](s.do(t, "POST /v1/login/device").want(200))
	if d.UserCode != "WDJB-MJHT" || d.IntervalMS != 1000 || d.ExpiresInMS < 1000 || d.VerificationURI == "" {
		t.Errorf("got %+v", d)
	}
	poll := jsonBody(`{"device_id":"` + d.DeviceID + `"}`)
	var l api.Login
	for giveUp := time.Now().Add(20 * time.Second); l.Status != api.LoginComplete; {
		l = decode[api.Login](s.do(t, "POST /v1/login/device/poll", poll).want(200))
		if time.Now().After(giveUp) {
			t.Fatal("nothing came of it")
		}
		if l.Status == api.LoginPending {
			time.Sleep(time.Duration(l.IntervalMS) * time.Millisecond / 4)
		}
	}
	if l.Token == nil || l.Token.Account != "github:alice.583231" || l.Token.ExpiresAt == nil {
		t.Fatalf("got %+v", l)
	}
	s.do(t, "GET /v1/locks/team-a/x", header("Authorization", "Bearer "+l.Token.Secret)).want(200)
	s.do(t, "POST /v1/login/device/poll", poll).want(410, api.CodeLoginExpired)
	s.do(t, "POST /v1/login/device/poll", onPurpose).wantInvalid("device_id")
	s.wantNoSecrets(l.Token.Secret)
}

func TestLoginWhileGitHubIsDown(t *testing.T) {
	s := newSite(t)
	s.fake.Instead = func(w http.ResponseWriter, r *http.Request) bool {
		if r.URL.Path == "/login/oauth/authorize" {
			return false
		}
		w.WriteHeader(http.StatusInternalServerError)
		return true
	}
	a := s.do(t, "POST /v1/login/device").want(503, api.CodeLoginUnavailable)
	if a.header.Get("Retry-After") != "5" {
		t.Errorf("got %v", a.header)
	}
	b := s.browser()
	if p := s.press(b, s.begin(b), "same-origin"); p.status != 503 || !strings.Contains(p.text, "GitHub did not answer") {
		t.Errorf("%d %s", p.status, p.text)
	}
}

func TestLoginWithoutGitHub(t *testing.T) {
	s := newServer(t, setup{})
	for _, line := range []string{"GET /auth/github", "GET /auth/github/callback", "POST /auth/github/callback"} {
		s.do(t, line).want(404)
	}
	s.do(t, "POST /v1/login/device").want(404, api.CodeNotFound)
	s.do(t, "POST /v1/login/device/poll?device_id=x").want(404, api.CodeNotFound)
	s.do(t, "POST /v1/logout").want(404, api.CodeNotFound) // there is no token to revoke
}

// unheard is an answer whose client has gone.
type unheard struct{ *httptest.ResponseRecorder }

func (unheard) Write([]byte) (int, error) { return 0, io.ErrClosedPipe }

// A token that could not be handed over is no token.
func TestTokenThatWasNotDeliveredIsRevoked(t *testing.T) {
	s := newSite(t)
	d := decode[api.DeviceLogin](s.do(t, "POST /v1/login/device").want(200))
	line := "POST /v1/login/device/poll?device_id=" + d.DeviceID
	for giveUp := time.Now().Add(20 * time.Second); len(s.tokens.List()) == 0; time.Sleep(100 * time.Millisecond) {
		serve(s.API, unheard{httptest.NewRecorder()}, newRequest(line, nil).http())
		if time.Now().After(giveUp) {
			t.Fatal("nothing came of it")
		}
	}
	for _, token := range s.tokens.List() {
		if token.Good(time.Now()) {
			t.Errorf("token %s is good", token.ID)
		}
	}
}

// Logging out takes no scope, and ends the token it comes by, no other.
func TestLogout(t *testing.T) {
	s := newServer(t, setup{})
	scopes, err := auth.ParseScopes("read:a")
	if err != nil {
		t.Fatal(err)
	}
	var tokens []api.Token
	var bearers []option
	for range 2 {
		made, secret, err := s.tokens.Create(t.Context(), lock.Origin{}, auth.TokenSpec{Account: "a", Scopes: scopes})
		if err != nil {
			t.Fatal(err)
		}
		tokens, bearers = append(tokens, ShowToken(made)), append(bearers, header("Authorization", "Bearer "+secret))
	}
	if got := decode[api.Token](s.do(t, "POST /v1/logout", bearers[0]).want(200)); got.ID != tokens[0].ID || got.RevokedAt == nil {
		t.Errorf("got %+v", got)
	}
	s.do(t, "POST /v1/logout", bearers[0]).want(401, api.CodeUnauthenticated)
	s.do(t, "POST /v1/logout").want(401, api.CodeUnauthenticated)
	s.do(t, "GET /v1/locks/a", bearers[1]).want(200)
}

// A user cannot fill the server with tokens by logins, nor use up those of administrators.
func TestLimitOfLoginsPerAccount(t *testing.T) {
	s := newSite(t)
	of := New(Config{Service: s.service, Journal: s.journal, Tokens: s.tokens, Login: s.login, Limits: Limits{NewTokens: 2}})
	defer of.Close()
	limits := of.limits
	for i, want := range []int{200, 200, 429} {
		b := s.browser()
		if p := s.press(b, s.begin(b), "same-origin"); p.status != want || want == 429 && !strings.Contains(p.text, "limit of 2 logins per hour") {
			t.Errorf("login %d: %d %s", i+1, p.status, p.text)
		}
	}
	if n := len(s.tokens.List()); n != 2 {
		t.Errorf("there are %d tokens, want 2", n)
	}
	if err := limits.NewToken(time.Now()); err != nil {
		t.Errorf("an administrator: %v", err)
	}
	if err := limits.NewLogin("github:bob.7"); err != nil {
		t.Errorf("another account: %v", err)
	}
}
