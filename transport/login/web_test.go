package login_test

import (
	"context"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/octostore/octostore/core/lock"
	"github.com/octostore/octostore/transport/login"
	"github.com/octostore/octostore/transport/login/logintest"
)

// visit is a login that was begun in a browser.
type visit struct {
	target string
	asked  url.Values // at GitHub
	cookie *http.Cookie
}

func begin(t *testing.T, h *house) visit {
	t.Helper()
	target, cookie := h.Begin("anything", time.Now())
	u, err := url.Parse(target)
	if err != nil || !strings.HasPrefix(target, githubURL+"/login/oauth/authorize?") {
		t.Fatalf("%q: %v", target, err)
	}
	return visit{target, u.Query(), cookie}
}

// back is what GitHub sends the browser back with.
func (v visit) back(h *house) login.Callback {
	return login.Callback{State: v.asked.Get("state"), Code: h.fake.NewCode(v.asked)}
}

// finish sends the form of a browser with these cookies.
func (h *house) finish(c login.Callback, cookies ...*http.Cookie) (login.Token, error) {
	return h.Finish(withCookies(context.Background(), cookies), lock.Origin{}, c, time.Now(), nil)
}

func withCookies(ctx context.Context, cookies []*http.Cookie) *http.Request {
	r := httptest.NewRequestWithContext(ctx, "POST", login.CallbackPath, nil)
	for _, c := range cookies {
		r.AddCookie(&http.Cookie{Name: c.Name, Value: c.Value})
	}
	return r
}

func (h *house) logIn(t *testing.T) (login.Token, error) {
	t.Helper()
	v := begin(t, h)
	token, err := h.finish(v.back(h), v.cookie)
	if err != nil {
		h.wantNoSecrets(t, "error", err.Error())
	}
	return token, err
}

func TestWebLogin(t *testing.T) {
	h := open(t, "user:alice=read:**", aliceAtGitHub())
	v := begin(t, h)
	c := v.cookie
	if c.Name != "__Host-octostore-login" || !c.Secure || !c.HttpOnly || c.SameSite != http.SameSiteLaxMode || c.Path != "/" || c.Domain != "" || c.MaxAge != 600 {
		t.Errorf("the cookie is %v", c)
	}
	if strings.Contains(v.target, c.Value) {
		t.Error("what is in the cookie goes to GitHub")
	}
	token, err := h.finish(v.back(h), c)
	if err != nil {
		t.Fatal(err)
	}
	p, err := h.tokens.Authenticate(t.Context(), token.Secret, time.Now())
	if err != nil || p.Account != "github:alice.583231" {
		t.Errorf("got %+v %v", p, err)
	}
	if left := time.Until(token.Expires); left < 11*time.Hour || left > 12*time.Hour {
		t.Errorf("it is good for %s", left)
	}
}

// A GET may come twice, and nothing comes of it.
func TestWebLoginCallbackCreatesNoToken(t *testing.T) {
	h := open(t, "user:alice=read:**", aliceAtGitHub())
	v := begin(t, h)
	back := v.back(h)
	for range 3 {
		if _, err := h.Land(withCookies(t.Context(), []*http.Cookie{v.cookie}), back, time.Now()); err != nil {
			t.Fatal(err)
		}
	}
	if n := len(h.tokens.List()) + len(h.fake.Asked()); n > 0 {
		t.Errorf("%d tokens and questions to GitHub", n)
	}
	if _, err := h.finish(back, v.cookie); err != nil {
		t.Errorf("the button does not work then: %v", err)
	}
}

// changed changes one letter of a text.
func changed(text string) string {
	b := []byte(text)
	if at := &b[len(b)/2]; *at == 'A' {
		*at = 'B'
	} else {
		*at = 'A'
	}
	return string(b)
}

func TestWebLoginThatWasNotBegunHere(t *testing.T) {
	h := open(t, "user:alice=read:**", aliceAtGitHub())
	other := open(t, "user:alice=read:**", aliceAtGitHub())
	mine, attacker, elsewhere := begin(t, h), begin(t, h), begin(t, other)
	forged := *mine.cookie
	forged.Value = changed(mine.cookie.Value)
	plain := *mine.cookie
	plain.Name = "octostore-login"
	short := *mine.cookie
	short.Value = "AAAA"
	for name, test := range map[string]struct {
		state   visit
		cookies []*http.Cookie
	}{
		"without a cookie":                      {mine, nil},
		"with another browser's state and code": {attacker, []*http.Cookie{mine.cookie}},
		"with another browser's cookie":         {mine, []*http.Cookie{attacker.cookie}},
		"with a cookie set by another page too": {mine, []*http.Cookie{mine.cookie, attacker.cookie}},
		"with a changed cookie":                 {mine, []*http.Cookie{&forged}},
		"with a short cookie":                   {mine, []*http.Cookie{&short}},
		"with the cookie for plain http":        {mine, []*http.Cookie{&plain}},
		"of another server":                     {elsewhere, []*http.Cookie{elsewhere.cookie}},
		"without a state":                       {visit{asked: url.Values{}}, []*http.Cookie{mine.cookie}},
	} {
		back := test.state.back(h)
		if _, err := h.finish(back, test.cookies...); !errors.Is(err, login.ErrNotBegun) {
			t.Errorf("%s: got %v", name, err)
		}
		if _, err := h.Land(withCookies(t.Context(), test.cookies), back, time.Now()); !errors.Is(err, login.ErrNotBegun) {
			t.Errorf("%s: coming back: got %v", name, err)
		}
	}
	if asked := h.fake.Asked(); len(asked) > 0 {
		t.Errorf("GitHub was asked %q", asked)
	}
	if _, err := h.finish(mine.back(h), mine.cookie); err != nil {
		t.Errorf("the right one is refused: %v", err)
	}
}

func TestWebLoginCountsOnce(t *testing.T) {
	h := open(t, "user:alice=read:**", aliceAtGitHub())
	v := begin(t, h)
	back := v.back(h)
	if _, err := h.finish(back, v.cookie); err != nil {
		t.Fatal(err)
	}
	if _, err := h.finish(back, v.cookie); !errors.Is(err, login.ErrNotBegun) {
		t.Errorf("again: got %v", err)
	}
	if _, err := h.finish(v.back(h), v.cookie); !errors.Is(err, login.ErrNotBegun) {
		t.Errorf("with a new code: got %v", err)
	}
	next := begin(t, h)
	if _, err := h.finish(login.Callback{State: next.asked.Get("state"), Code: back.Code}, next.cookie); !errors.Is(err, login.ErrOver) {
		t.Errorf("the old code in a new login: got %v", err)
	}
	// A code that was stolen from another browser was asked for with another challenge.
	thief := begin(t, h)
	stolen := begin(t, h).back(h).Code
	if _, err := h.finish(login.Callback{State: thief.asked.Get("state"), Code: stolen}, thief.cookie); !errors.Is(err, login.ErrOver) {
		t.Errorf("a stolen code: got %v", err)
	}
	if n := len(h.tokens.List()); n != 1 {
		t.Errorf("%d tokens", n)
	}
}

// TestWebLoginWithAnInvalidCode sends junk before the code arrives.
func TestWebLoginWithAnInvalidCode(t *testing.T) {
	h := open(t, "user:alice=read:**", aliceAtGitHub())
	v := begin(t, h)
	right := v.back(h)
	for range 3 {
		if _, err := h.finish(login.Callback{State: right.State, Code: "junk"}, v.cookie); !errors.Is(err, login.ErrOver) {
			t.Errorf("junk: got %v", err)
		}
	}
	if _, err := h.finish(right, v.cookie); err != nil {
		t.Errorf("the code: %v", err)
	}
}

func TestWebLoginTakesTenMinutesAtMost(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := open(t, "user:alice=read:**", aliceAtGitHub())
		v := begin(t, h)
		time.Sleep(10*time.Minute + 2*time.Second)
		if _, err := h.finish(v.back(h), v.cookie); !errors.Is(err, login.ErrOver) {
			t.Errorf("got %v", err)
		}
	})
}

func TestWebLoginDenied(t *testing.T) {
	h := open(t, "user:alice=read:**", aliceAtGitHub())
	v := begin(t, h)
	r := withCookies(t.Context(), []*http.Cookie{v.cookie})
	for said, want := range map[string]error{
		"access_denied":                  login.ErrDenied,
		"redirect_uri_mismatch":          login.ErrUnavailable,
		"":                               login.ErrUnavailable, // and no code either
		"x\nlevel=ERROR canarycode=\x1b": login.ErrUnavailable,
	} {
		if _, err := h.Land(r, login.Callback{State: v.asked.Get("state"), Error: said}, time.Now()); !errors.Is(err, want) {
			t.Errorf("%q: got %v, want %v", said, err, want)
		}
	}
}

// Whatever GitHub does, the answer is short, soon, and says nothing secret.
func TestGitHubThatMisbehaves(t *testing.T) {
	const token, who, org = "/login/oauth/access_token", "/api/v3/user", "/api/v3/user/memberships/orgs/acme"
	hang := func(w http.ResponseWriter, r *http.Request) { <-r.Context().Done() }
	status := func(code int) http.HandlerFunc {
		return func(w http.ResponseWriter, r *http.Request) {
			_ = r.ParseForm()
			w.WriteHeader(code)
			_, _ = io.WriteString(w, "you sent "+r.Form.Encode()+r.Header.Get("Authorization"))
		}
	}
	say := func(text string) http.HandlerFunc {
		return func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", "application/json")
			_, _ = io.WriteString(w, text)
		}
	}
	huge := func(w http.ResponseWriter, _ *http.Request) {
		_, _ = io.WriteString(w, `{"login":"Alice","id":583231,"access_token":"gho_canary","x":"`)
		for range 40 {
			_, _ = io.WriteString(w, strings.Repeat("x", 10_000))
		}
		_, _ = io.WriteString(w, `"}`)
	}
	away := func(w http.ResponseWriter, r *http.Request) {
		http.Redirect(w, r, "http://127.0.0.1:1/elsewhere", http.StatusTemporaryRedirect)
	}
	limited := func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("X-RateLimit-Remaining", "0")
		w.WriteHeader(http.StatusForbidden)
	}
	for name, answer := range map[string]http.HandlerFunc{
		"hangs": hang, "is huge": huge, "redirects": away, "limits its rate": limited,
		"500": status(500), "502": status(502), "401": status(401), "200": status(200), "204": status(204), "429": status(429),
		"is empty": say(""), "is no JSON": say("<html>"), "is null": say("null"), "is a list": say("[]"), "is of wrong types": say(`{"login":7,"id":"x","state":1,"access_token":[]}`),
	} {
		for _, path := range []string{token, who, org} {
			t.Run(name+path, func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					fake := aliceAtGitHub()
					fake.Instead = instead(path, answer)
					h := open(t, "org:acme=read:**", fake)
					began := time.Now()
					_, err := h.logIn(t)
					if !errors.Is(err, login.ErrUnavailable) {
						t.Errorf("got %v", err)
					}
					if took := time.Since(began); took > 15*time.Second {
						t.Errorf("it took %s", took)
					}
					for _, line := range fake.Asked() {
						if strings.Contains(line, "elsewhere") {
							t.Error("it followed")
						}
					}
					if n := len(h.tokens.List()); n > 0 {
						t.Errorf("%d tokens", n)
					}
				})
			})
		}
	}
}

// A login or number that cannot be one never becomes an account.
func TestGitHubUsersThatCannotBe(t *testing.T) {
	for _, fake := range []*logintest.GitHub{
		{Login: "", ID: 1}, {Login: "a", ID: 0}, {Login: "a", ID: -1}, {Login: "../a", ID: 1}, {Login: "a\nb", ID: 1},
		{Login: "<b>", ID: 1}, {Login: "a:b", ID: 1}, {Login: "a.1", ID: 1}, {Login: strings.Repeat("a", 40), ID: 1},
		{Login: strings.Repeat("a", 39), ID: 1 << 62},
	} {
		h := open(t, "user:a@1=admin;org:acme=admin", fake)
		if _, err := h.logIn(t); !errors.Is(err, login.ErrUnavailable) {
			t.Errorf("%q %d: got %v", fake.Login, fake.ID, err)
		}
	}
}

// Few logins of a flood of forms wait for GitHub at a time; the server refuses the others.
func TestGitHubIsAskedByFewLoginsAtATime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		fake := aliceAtGitHub()
		fake.Instead = instead("/api/v3/user", func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() })
		h := open(t, "user:alice=read:**", fake)
		answers := make(chan error)
		for range 40 {
			v := begin(t, h)
			go func() {
				_, err := h.finish(v.back(h), v.cookie)
				answers <- err
			}()
		}
		busy := 0
		for range 40 {
			if err := <-answers; errors.Is(err, login.ErrBusy) {
				busy++
			} else if !errors.Is(err, login.ErrUnavailable) {
				t.Errorf("got %v", err)
			}
		}
		if busy != 24 {
			t.Errorf("%d were turned away, want 24", busy)
		}
	})
}

func TestLogOfAClientThatLeaves(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		fake := aliceAtGitHub()
		fake.Instead = instead("/api/v3/user", func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() })
		h := open(t, "user:alice=read:**", fake)
		v := begin(t, h)
		ctx, cancel := context.WithCancel(t.Context())
		time.AfterFunc(time.Second, cancel)
		_, err := h.Finish(withCookies(ctx, []*http.Cookie{v.cookie}), lock.Origin{}, v.back(h), time.Now(), nil)
		if !errors.Is(err, context.Canceled) || h.log.String() != "" {
			t.Errorf("got %v, %s", err, h.log)
		}
	})
}
