package httplocktest

import (
	"context"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/octostore/octostore/core/lock/locktest"
	"github.com/octostore/octostore/transport/api"
)

var errBroken = errors.New("the connection broke")

// What an answer means decides how much the check of a history can find: one that is taken for
// unknown explains nearly everything.
func TestLocksReadAnswers(t *testing.T) {
	const held = `{"code":"held","lease":{"fencing_token":7,"holder":"a-1"}}`
	for _, tt := range []struct {
		name       string
		status     int
		body       string
		err        error
		want       locktest.Result
		unexpected int
	}{
		{"done", 200, "{}", nil, locktest.Done, 0},
		{"held", 409, held, nil, locktest.Held, 0},
		{"held by nobody", 409, `{"code":"held"}`, nil, locktest.Refused, 0},
		{"not held", 409, `{"code":"not_held"}`, nil, locktest.NotHeld, 0},
		{"attempt over", 409, `{"code":"attempt_over"}`, nil, locktest.AttemptOver, 0},
		{"too late", 503, `{"code":"too_late"}`, nil, locktest.Unknown, 0},
		{"outcome unknown", 503, `{"code":"outcome_unknown"}`, nil, locktest.Unknown, 0},
		{"superseded", 409, `{"code":"superseded"}`, nil, locktest.Refused, 0},
		{"no answer", 0, "", errBroken, locktest.Unknown, 0},
		{"moved", 503, `{"code":"moved"}`, nil, locktest.Unknown, 1},
		{"full", 507, `{"code":"storage_full"}`, nil, locktest.Unknown, 1},
		{"invalid", 400, `{"code":"invalid"}`, nil, locktest.Unknown, 1},
		{"no JSON", 502, "Bad Gateway", nil, locktest.Unknown, 1},
	} {
		t.Run(strings.ReplaceAll(tt.name, " ", "-"), func(t *testing.T) {
			unexpected := 0
			l := Locks{
				Ask: func(ctx context.Context, method, path string, headers ...string) (Answer, error) {
					if tt.err != nil {
						return Answer{}, tt.err
					}
					return over(ctx, t, tt.status, tt.body, method, path, headers...)
				},
				Unexpected: func(Answer) { unexpected++ },
			}
			for verb, got := range map[string]locktest.Outcome{
				"acquire": l.Acquire(t.Context(), locktest.Ask{Lock: "l", Attempt: "a-2", TTL: time.Second}),
				"renew":   l.Renew(t.Context(), "l", "id", 0),
				"release": l.Release(t.Context(), "l", "id"),
				"break":   l.Break(t.Context(), "l", 7),
			} {
				if got.Result != tt.want {
					t.Errorf("%s: %q, want %q", verb, got.Result, tt.want)
				}
				if got.Result == locktest.Held && (got.Token != 7 || got.Attempt != "a-1") {
					t.Errorf("%s: held under token %d of %q", verb, got.Token, got.Attempt)
				}
			}
			if unexpected != 4*tt.unexpected {
				t.Errorf("%d unexpected answers to four requests, want %d to each", unexpected, tt.unexpected)
			}
			l.Refused = func(Answer, error) bool { return true }
			if got := l.Release(t.Context(), "l", "id"); got.Result != locktest.Refused {
				t.Errorf("surely not done: %q", got.Result)
			}
		})
	}
}

// over has a server give an answer.
func over(ctx context.Context, t *testing.T, status int, body, method, path string, headers ...string) (Answer, error) {
	t.Helper()
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(status)
		_, _ = io.WriteString(w, body)
	}))
	defer server.Close()
	return Send(ctx, server.Client(), "", strings.TrimPrefix(server.URL, "http://"), method, path, headers...)
}

// A request says all that was asked for, and the bounds of the deadline enclose what the answer
// says.
func TestLocksAskAndAreGranted(t *testing.T) {
	var path string
	var headers []string
	sent := time.Now()
	l := Locks{Prefix: "p/", Ask: func(_ context.Context, _, to string, with ...string) (Answer, error) {
		path, headers = to, with
		return Answer{
			From: "n-1", Status: 200, Sent: sent, Received: sent.Add(time.Second),
			Body: []byte(`{"fencing_token":7,"lease_id":"id","expires_in_ms":5000,"server_ms":300,"confirm_ms":1}`),
		}, nil
	}}
	ask := locktest.Ask{Lock: "l", Attempt: "a-1", Key: "k", TTL: 2 * time.Second, Confirm: time.Second, Wait: time.Microsecond}
	got := l.Acquire(t.Context(), ask)
	if want := "/v1/locks/p/l/acquire?confirm=1s&holder=a-1&ttl=2s&wait=1ms"; path != want {
		t.Errorf("asked for %s, want %s", path, want)
	}
	if want := []string{api.HeaderKey, "k"}; !reflect.DeepEqual(headers, want) {
		t.Errorf("with the headers %q, want %q", headers, want)
	}
	want := locktest.Outcome{
		Result: locktest.Done, Token: 7, LeaseID: "id", Unconfirmed: true, Detail: "n-1",
		Earliest: sent.Add(5300 * time.Millisecond), Latest: sent.Add(6001 * time.Millisecond),
	}
	if got != want {
		t.Errorf("granted %+v, want %+v", got, want)
	}
	for body, want := range map[string]locktest.Result{
		"{}":                            locktest.Free,
		`{"lease":{"fencing_token":1}}`: locktest.Held,
		`{"lease":null,"waiters":[{"holder":"w"}]}`: locktest.Free,
	} {
		l.Ask = func(context.Context, string, string, ...string) (Answer, error) {
			return Answer{Status: 200, Body: []byte(body)}, nil
		}
		if got := l.Look(t.Context(), "l"); got.Result != want {
			t.Errorf("%s: %q, want %q", body, got.Result, want)
		}
	}
}
