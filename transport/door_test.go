package transport

import (
	"bytes"
	"log/slog"
	"strings"
	"testing"

	"github.com/octostore/octostore/core/store/memory"
	"github.com/octostore/octostore/transport/api"
	"github.com/octostore/octostore/transport/internal/param"
)

// Any web page can make its reader's browser send a POST to localhost.
func TestOriginsOtherThanOursAreRefused(t *testing.T) {
	const post, get = "POST /v1/locks/a/acquire", "GET /v1/locks/a"
	for _, test := range []struct {
		name    string
		line    string
		options []option
		status  int
	}{
		{"not a browser", post, nil, 200},
		{"the same origin", post, []option{header("Sec-Fetch-Site", "same-origin")}, 200},
		{"typed by the user", post, []option{header("Sec-Fetch-Site", "none")}, 200},
		{"another site", post, []option{header("Sec-Fetch-Site", "cross-site")}, 403},
		{"another port of localhost", post, []option{header("Sec-Fetch-Site", "same-site")}, 403},
		{"an old browser, the same origin", post, []option{header("Origin", "http://localhost")}, 200},
		{"an old browser, another origin", post, []option{header("Origin", "https://example.com")}, 403},
		{"an old browser, a file", post, []option{header("Origin", "null")}, 403},
		{"another site, but only reading", get, []option{header("Sec-Fetch-Site", "cross-site")}, 200},
	} {
		t.Run(test.name, func(t *testing.T) {
			s := newServer(t, setup{})
			a := s.do(t, test.line, test.options...).want(test.status)
			if test.status != 200 && a.problem().Code != api.CodeForbidden {
				t.Errorf("code %q", a.problem().Code)
			}
		})
	}
}

// A page can also have its own host name point to 127.0.0.1.
func TestOriginsWithoutTokensAreLoopback(t *testing.T) {
	s := newServer(t, setup{})
	for _, host := range []string{"localhost", "LocalHost:3000", "127.0.0.1", "127.0.0.1:3000", "127.8.9.1", "[::1]", "[::1]:3000"} {
		if !loopbackHost(host) {
			t.Errorf("%q is refused", host)
		}
	}
	for _, host := range []string{
		"", "example.com", "example.com:3000", "localhost.example.com", "127.0.0.1.example.com", "127.0.0.1x", "192.0.2.1:3000",
		"[2001:db8::1]:3000", "0.0.0.0", "localhost:3000:3000", "localhost:", "localhost:x", "localhost:99999", "[::1%25eth0]", "2130706433",
	} {
		if loopbackHost(host) {
			t.Errorf("%q is answered", host)
		}
	}
	for _, line := range []string{"GET /", "GET /healthz", "GET /metrics", "GET /v1/locks", "POST /v1/locks/a/acquire"} {
		s.do(t, line, header("Host", "example.com")).want(403, api.CodeForbidden)
	}
	s.do(t, "GET /nothing", header("Host", "localhost:3000")).want(404)
}

func TestRequestsHaveIDs(t *testing.T) {
	s := newServer(t, setup{})
	for given, kept := range map[string]bool{
		"deploy-42": true, "A.b_c-9": true, long(64): true,
		long(65): false, "": false, "a b": false, "a/b": false, "é": false, "a\"b": false,
	} {
		a := s.do(t, "GET /nothing", header("X-Request-Id", given)).want(404)
		got := a.header.Get("X-Request-Id")
		if (got == given) != kept || !param.ValidRequestID(got) {
			t.Errorf("%q became %q", given, got)
		}
		if a.problem().RequestID != got {
			t.Errorf("the problem says %q, the header %q", a.problem().RequestID, got)
		}
	}
	one, two := s.do(t, "GET /healthz").header.Get("X-Request-Id"), s.do(t, "GET /healthz").header.Get("X-Request-Id")
	if one == two {
		t.Errorf("two requests are called %q", one)
	}
}

func TestAnswersAreNotCached(t *testing.T) {
	s := newServer(t, setup{})
	for _, line := range []string{"GET /", "GET /healthz", "GET /metrics", "GET /v1/locks", "GET /v1/locks/a", "POST /v1/locks/a/acquire", "POST /v1/locks/a/acquire", "GET /nothing"} {
		if got := s.do(t, line).header.Get("Cache-Control"); got != "no-store" {
			t.Errorf("%s: Cache-Control is %q", line, got)
		}
	}
}

// A query may hold a lease id, and a path never does.
func TestLogHasNoQueriesAndSecrets(t *testing.T) {
	var log bytes.Buffer
	s := newServer(t, setup{log: slog.NewTextHandler(&log, &slog.HandlerOptions{Level: slog.LevelDebug})})
	g := s.do(t, "POST /v1/locks/a/acquire?reason=canary-reason", header("Idempotency-Key", "canary-key-0123456789")).grant()
	s.do(t, "POST /v1/locks/a/renew?lease_id="+g.LeaseID).want(200)
	s.do(t, "POST /v1/locks/a/release", header("Octostore-Lease", g.LeaseID)).want(200)
	if got := strings.Count(log.String(), "msg=request"); got != 3 {
		t.Errorf("%d requests were logged at debug level, want 3:\n%s", got, log.String())
	}
	for _, secret := range []string{g.LeaseID, "canary"} {
		if strings.Contains(log.String(), secret) {
			t.Errorf("the log has %q:\n%s", secret, log.String())
		}
	}
}

func TestIndexListsThePaths(t *testing.T) {
	s := newServer(t, setup{})
	a := s.do(t, "GET /", header("Host", "127.0.0.1:3000")).want(200)
	for _, line := range []string{"http://127.0.0.1:3000/v1/locks/deploy/prod/acquire", "/openapi.yaml", "/metrics"} {
		if !strings.Contains(string(a.body), line) {
			t.Errorf("it does not say %q:\n%s", line, a.body)
		}
	}
}

// The journal says where a request came from.
func TestAuditRecordsTheOrigin(t *testing.T) {
	store := memory.New()
	s := newServer(t, setup{store: store})
	r := newRequest("POST /v1/locks/a/acquire", []option{
		header("X-Request-Id", "build-42"), header("User-Agent", "curl/8\x00\t\"é"+long(300)),
	}).http()
	r.RemoteAddr = "192.0.2.7:4711"
	serve(s, newSink(), r)
	segments, err := store.Segments(t.Context(), 0, 100)
	if err != nil || len(segments) == 0 {
		t.Fatalf("%d segments, %v", len(segments), err)
	}
	line := string(segments[len(segments)-1].Bytes)
	for _, want := range []string{"192.0.2.7:4711", "build-42", `curl/8\"aaa`, "local"} {
		if !strings.Contains(line, want) {
			t.Errorf("the record does not have %q: %s", want, line)
		}
	}
	if strings.Contains(line, long(257)) {
		t.Errorf("all of the user agent is recorded: %s", line)
	}
}
