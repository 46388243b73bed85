// Package logintest is a GitHub in miniature, for tests: both flows of OAuth and the few
// questions of its API that a login asks. It is stricter than the real one, and says what
// it was asked.
package logintest

import (
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync"
)

// What this GitHub knows an app by, and what it begins its tokens, codes and device codes
// with. None of them may ever be seen outside of OctoStore.
const (
	ClientID     = "Iv1.0123456789abcdef"
	ClientSecret = "canary-client-secret"
	CanaryToken  = "gho_canary"
	CanaryCode   = "canarycode"
	CanaryDevice = "canarydevice"
)

// Member is the membership of a user in an organisation.
type Member struct {
	ID    int64             // of the organisation
	State string            // active or pending
	Teams map[string]string // state in each
}

// GitHub is one, with one user. Members may be set before it is used.
type GitHub struct {
	Login  string
	ID     int64
	Member map[string]Member // by organisation
	Deny   bool              // the user turns logins down in the browser
	// Polls is what the polls of a device are answered, one after the other: the code of an
	// error, or "" for a token. The last one stands for all that follow.
	Polls    []string
	Interval int // of devices, in seconds; 0: it does not say
	Life     int // of devices, in seconds; 0: it does not say
	// Instead answers a request, if it returns true.
	Instead func(w http.ResponseWriter, r *http.Request) bool

	mu    sync.Mutex
	asked []string
	codes map[string]url.Values // not redeemed yet: what each was asked for with
	polls int
	given int
}

// Asked returns the method and path of each request.
func (g *GitHub) Asked() []string {
	g.mu.Lock()
	defer g.mu.Unlock()
	return append([]string(nil), g.asked...)
}

// RoundTrip makes it a way to get there without a network.
func (g *GitHub) RoundTrip(r *http.Request) (*http.Response, error) {
	answer := make(chan *http.Response, 1)
	go func() {
		rec := httptest.NewRecorder()
		g.ServeHTTP(rec, r)
		answer <- rec.Result()
	}()
	select {
	case resp := <-answer:
		return resp, nil
	case <-r.Context().Done():
		return nil, r.Context().Err()
	}
}

// ServeHTTP implements [http.Handler].
func (g *GitHub) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	g.mu.Lock()
	g.asked = append(g.asked, r.Method+" "+r.URL.Path)
	g.mu.Unlock()
	if g.Instead != nil && g.Instead(w, r) {
		return
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	switch r.Method + " " + r.URL.Path {
	case "GET /login/oauth/authorize":
		g.authorize(w, r)
	case "POST /login/oauth/access_token":
		g.token(w, r)
	case "POST /login/device/code":
		g.device(w, r)
	default:
		g.api(w, r)
	}
}

// authorize is where the user says yes, or no.
func (g *GitHub) authorize(w http.ResponseWriter, r *http.Request) {
	q := r.URL.Query()
	if q.Get("client_id") != ClientID || len(q.Get("state")) < 32 || q.Get("code_challenge_method") != "S256" || q.Get("code_challenge") == "" {
		http.Error(w, "a bad request to authorize: "+r.URL.RawQuery, http.StatusBadRequest)
		return
	}
	back := url.Values{"state": {q.Get("state")}, "iss": {"https://github.com/login/oauth"}}
	if g.Deny {
		back.Set("error", "access_denied")
		back.Set("error_description", "The user has denied your application access.")
	} else {
		back.Set("code", g.newCode(q))
	}
	http.Redirect(w, r, q.Get("redirect_uri")+"?"+back.Encode(), http.StatusFound)
}

// NewCode is a code this user would get for what was asked for with these parameters.
func (g *GitHub) NewCode(asked url.Values) string {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.newCode(asked)
}

func (g *GitHub) newCode(asked url.Values) string {
	g.given++
	code := fmt.Sprint(CanaryCode, g.given)
	if g.codes == nil {
		g.codes = map[string]url.Values{}
	}
	g.codes[code] = asked
	return code
}

func (g *GitHub) token(w http.ResponseWriter, r *http.Request) {
	if err := r.ParseForm(); err != nil || r.PostForm.Get("client_id") != ClientID || r.URL.RawQuery != "" {
		http.Error(w, "a bad request for a token", http.StatusBadRequest)
		return
	}
	problem := ""
	if r.PostForm.Get("grant_type") == "authorization_code" {
		problem = g.redeem(r.PostForm)
	} else {
		problem = g.poll(r.PostForm)
	}
	// It answers as a form, and errors with 200 too.
	answer := url.Values{"access_token": {CanaryToken}, "token_type": {"bearer"}, "scope": {""}}
	if problem != "" {
		answer = url.Values{"error": {problem}, "error_description": {"about " + r.PostForm.Encode()}} // secrets and all
	}
	w.Header().Set("Content-Type", "application/x-www-form-urlencoded; charset=utf-8")
	fmt.Fprint(w, answer.Encode())
}

func (g *GitHub) redeem(form url.Values) (problem string) {
	asked, known := g.codes[form.Get("code")]
	delete(g.codes, form.Get("code"))
	sum := sha256.Sum256([]byte(form.Get("code_verifier")))
	switch {
	case form.Get("client_secret") != ClientSecret:
		return "incorrect_client_credentials"
	case !known, asked.Get("code_challenge") != base64.RawURLEncoding.EncodeToString(sum[:]):
		return "bad_verification_code"
	case form.Get("redirect_uri") != asked.Get("redirect_uri"):
		return "redirect_uri_mismatch"
	}
	return ""
}

func (g *GitHub) poll(form url.Values) (problem string) {
	if form.Get("grant_type") != "urn:ietf:params:oauth:grant-type:device_code" || form.Get("client_secret") != "" {
		return "unsupported_grant_type"
	}
	if form.Get("device_code") != CanaryDevice {
		return "incorrect_device_code"
	}
	if len(g.Polls) == 0 {
		return ""
	}
	g.polls++
	return g.Polls[min(g.polls, len(g.Polls))-1]
}

func (g *GitHub) device(w http.ResponseWriter, r *http.Request) {
	if r.FormValue("client_id") != ClientID || !strings.Contains(r.Header.Get("Accept"), "json") {
		http.Error(w, "a bad request for a device code", http.StatusBadRequest)
		return
	}
	answer := map[string]any{"device_code": CanaryDevice, "user_code": "WDJB-MJHT", "verification_uri": "http://127.0.0.1/login/device"}
	if g.Interval != 0 {
		answer["interval"] = g.Interval
	}
	if g.Life != 0 {
		answer["expires_in"] = g.Life
	}
	send(w, answer)
}

// api is what is asked with a token.
func (g *GitHub) api(w http.ResponseWriter, r *http.Request) {
	path, ok := strings.CutPrefix(r.URL.Path, "/api/v3/")
	if !ok || r.Header.Get("Authorization") != "Bearer "+CanaryToken || r.Header.Get("User-Agent") == "" {
		http.Error(w, `{"message":"Bad credentials"}`, http.StatusUnauthorized)
		return
	}
	at := strings.Split(path, "/")
	switch {
	case path == "user":
		send(w, map[string]any{"login": g.Login, "id": g.ID, "name": "<script>alert(1)</script>"})
		return
	case len(at) == 4 && strings.HasPrefix(path, "user/memberships/orgs/"):
		if m, is := g.Member[at[3]]; is {
			send(w, map[string]any{"state": m.State, "organization": map[string]any{"login": at[3], "id": m.ID}})
			return
		}
	case len(at) == 6 && at[0] == "orgs" && at[2] == "teams" && at[4] == "memberships" && at[5] == g.Login:
		if state := g.Member[at[1]].Teams[at[3]]; state != "" {
			send(w, map[string]any{"state": state})
			return
		}
	}
	http.Error(w, `{"message":"Not Found"}`, http.StatusNotFound)
}

func send(w http.ResponseWriter, v any) {
	w.Header().Set("Content-Type", "application/json; charset=utf-8")
	_ = json.NewEncoder(w).Encode(v)
}
