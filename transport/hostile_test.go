package transport

import (
	"context"
	"io"
	"net/http/httptest"
	"testing"
	"testing/synctest"

	"github.com/octostore/octostore/core/auth"
	"github.com/octostore/octostore/core/lock"
)

// Whoever has stolen a token must not be able to keep a request open by it, and have it
// done after the token was revoked.
func TestATokenThatIsRevokedWhileTheBodyComesDoesNothing(t *testing.T) {
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

// What looks like a token, and is none, gets nobody around the limit of strangers, where
// no token is needed either.
func TestABadTokenIsNoWayAroundTheLimitOfStrangers(t *testing.T) {
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

// Who has a good token is counted for the account, also where none is needed.
func TestAGoodTokenCountsWhereNoneIsNeeded(t *testing.T) {
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
