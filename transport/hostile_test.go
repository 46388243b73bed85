package transport

import (
	"bytes"
	"context"
	"io"
	"log/slog"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/octostore/octostore/core/auth"
	"github.com/octostore/octostore/core/lock"
)

// A thief must not be able to keep a request open with a stolen token, and have it done after the
// token was revoked.
func TestTokenRevokedWhileTheBodyArrives(t *testing.T) {
	for line, form := range map[string]string{
		"POST /v1/tokens":                        "account=thief&scopes=admin",
		"POST /v1/locks/a/acquire":               "holder=thief",
		"POST /v1/locks/taken/break?reason=mine": "take=1",
		"POST /v1/locks/taken/break":             "reason=mine",
	} {
		s := newServer(t, setup{})
		s.do(t, "POST /v1/locks/taken/acquire", s.as(t, "owner", "acquire:**")).want(200)
		stolen, with := s.token(t, "thief", "admin")
		r := newRequest(line, []option{with, formBody(form)}).http()
		r.Body = io.NopCloser(&trickle{text: form, before: func() {
			if _, err := s.tokens.Revoke(context.Background(), lock.Origin{}, stolen.ID); err != nil {
				t.Fatal(err)
			}
		}})
		rec := httptest.NewRecorder()
		serve(s, rec, r)
		if rec.Code != 401 {
			t.Errorf("%s: status %d: %s", line, rec.Code, rec.Body)
		}
		if n := len(s.tokens.List()); n != 2 {
			t.Errorf("%s: there are %d tokens, want 2", line, n)
		}
	}
}

// trickle is a body before whose end something happens.
type trickle struct {
	text   string
	before func()
}

func (b *trickle) Read(p []byte) (int, error) {
	if b.text == "" {
		b.before()
		return 0, io.EOF
	}
	n := copy(p, b.text[:1])
	b.text = b.text[1:]
	return n, nil
}

// An invalid token does not evade the limit for addresses, where
// no token is needed either.
func TestLimitsCountABadTokenForItsAddress(t *testing.T) {
	for _, line := range []string{
		"GET /openapi.yaml", "GET /metrics", "POST /v1/login/device", "GET /auth/github",
		"GET /nothing", "GET /v1/locks/a//b", "PUT /v1/locks/a", "POST /v1/locks/a", "GET /v1/locks",
	} {
		synctest.Test(t, func(t *testing.T) {
			s := newServer(t, setup{limits: Limits{AddressRate: 4}})
			_ = s.as(t, "one", "admin")
			for _, lines := range [][]option{{bearer("nonsense")}, {bearer(auth.NewSecret())}, {bearer("one"), bearer("two")}} {
				status := 0
				for range 5 {
					rec := httptest.NewRecorder()
					serve(s, rec, newRequest(line, append(lines, from("192.0.2.1:1"))).http())
					status = rec.Code
				}
				if status != 429 {
					t.Errorf("%s with %d tokens: the fifth answer is %d, want 429", line, len(lines), status)
				}
			}
		})
	}
}

// A request with a valid token counts for its account, also where no token is needed.
func TestLimitsCountAValidTokenOnPublicRoutes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newServer(t, setup{limits: Limits{AddressRate: 1, Rate: 3}})
		one := s.as(t, "one", "read:**")
		for range 3 {
			s.do(t, "GET /openapi.yaml", one).want(200)
		}
		s.do(t, "GET /openapi.yaml", one).want(429)
		s.do(t, "GET /healthz", one).want(200)
		s.do(t, "GET /openapi.yaml", s.as(t, "two", "read:**")).want(200)
	})
}

// A token is refused wherever it does not belong, and the answer says where it was.
func TestTokenInAParameterIsRefused(t *testing.T) {
	s := newServer(t, setup{})
	one := s.as(t, "one", "admin")
	secret := auth.NewSecret()
	for _, tt := range []struct {
		line    string
		body    option
		problem string
	}{
		{"GET /v1/locks?whatever=" + secret, from(""), "is in the URL"},
		{"GET /auth/github?whatever=" + secret, from(""), "is in the URL"},
		{"GET /auth/github/callback?code=a&state=b&next=" + secret, from(""), "is in the URL"},
		{"POST /v1/locks/a/acquire", formBody("token=" + secret), "is in the body"},
		{"POST /v1/locks/a/acquire", formBody("whatever=" + secret), "is in the body"},
		{"POST /v1/locks/a/acquire", jsonBody(`{"token":"` + secret + `"}`), "is in the body"},
	} {
		rec := httptest.NewRecorder()
		serve(s, rec, newRequest(tt.line, []option{one, tt.body}).http())
		if got := rec.Body.String(); rec.Code != 400 || !strings.Contains(got, tt.problem) || strings.Contains(got, secret) {
			t.Errorf("%s: status %d, want 400 and that it %s: %s", tt.line, rec.Code, tt.problem, got)
		}
	}
}

// Neither a panic nor what a client calls itself gets a token into the log or the journal.
func TestTokenInAPanicOrUserAgentIsHidden(t *testing.T) {
	var log bytes.Buffer
	s := newServer(t, setup{log: slog.NewTextHandler(&log, &slog.HandlerOptions{Level: slog.LevelDebug})})
	secret := auth.NewSecret()
	for i := range s.routes {
		if s.routes[i].id == "health" {
			s.routes[i].serve = func(x *exchange) error { panic("no good: " + x.r.Header.Get("Authorization")) }
		}
	}
	rec := httptest.NewRecorder()
	serve(s, rec, newRequest("GET /healthz", []option{bearer(secret)}).http())
	if got := log.String(); rec.Code != 500 || !strings.Contains(got, "a handler panicked") || auth.HoldsSecret(got+rec.Body.String()) {
		t.Errorf("status %d, logged: %s", rec.Code, got)
	}
	for _, agent := range []string{secret, "x " + secret, secret[:9] + "\t" + secret[9:], secret[:9] + "\xff" + secret[9:]} {
		if got := printable(agent); auth.HoldsSecret(got) || got == "" {
			t.Errorf("%q is kept as %q", agent, got)
		}
	}
	if got := printable(strings.Repeat("é", 200) + strings.Repeat("a", 300)); got != strings.Repeat("a", 256) {
		t.Errorf("kept as %q", got)
	}
}

// A client that reaches the port can fail any number of handshakes, and must not fill the log.
func TestLogOfFailedHandshakes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		log := new(lines)
		s := newServer(t, setup{log: slog.NewTextHandler(log, nil)})
		to := s.Server().ErrorLog
		for n := range 100 {
			to.Printf("http: TLS handshake error from 192.0.2.%d:1: EOF", n)
		}
		to.Print("http: something else")
		to.Print("http: something else")
		if n, other := strings.Count(log.String(), "handshake"), strings.Count(log.String(), "something else"); n != 1 || other != 1 {
			t.Errorf("%d about handshakes and %d others:\n%s", n, other, log)
		}
		time.Sleep(time.Minute)
		synctest.Wait()
		to.Print("http: TLS handshake error from 192.0.2.1:1: EOF")
		if n := strings.Count(log.String(), "handshake"); n != 2 || !strings.Contains(log.String(), "times=99") {
			t.Errorf("%d about handshakes after a minute:\n%s", n, log)
		}
	})
}

// Every request can be answered that there were too many, be it at the door.
func TestDescriptionHasLimitsOnEveryRoute(t *testing.T) {
	for _, rt := range routeTable() {
		op := spec().Paths.Value(rt.pattern).GetOperation(rt.method)
		if op.Responses.Status(429) == nil {
			t.Errorf("%s %s has no answer 429", rt.method, rt.pattern)
		}
	}
}
