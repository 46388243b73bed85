package transport

import (
	"bufio"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/octostore/octostore/transport/api"
	"github.com/octostore/octostore/transport/internal/param"
)

// lineOf returns method and path of a request a route answers to.
func (rt *route) lineOf(method string) string {
	return method + " " + strings.NewReplacer("{name}", "some/lock", "{file}", "app.js").Replace(rt.pattern)
}

// All routes have the same rules.
func TestRoutesAreStrict(t *testing.T) {
	s := newServer(t, setup{})
	for _, rt := range routeTable() {
		if rt.browser {
			continue // see TestLoginPagesAreForPeople
		}
		t.Run(rt.id, func(t *testing.T) {
			line := rt.lineOf(rt.method)
			s.do(t, line+"?colour=red", onPurpose).wantInvalid("colour")
			s.do(t, line+"?colour", onPurpose).wantInvalid("colour")
			s.do(t, line+"?=x", onPurpose).wantInvalid("")
			s.do(t, line+"?a=%zz", onPurpose).wantInvalid("query")
			if rt.method == http.MethodGet {
				s.do(t, line, formBody("limit=5"), onPurpose).wantInvalid("body")
				s.do(t, line, jsonBody("{}"), onPurpose).wantInvalid("body")
				s.do(t, line, body("text/plain", "   "), onPurpose).wantInvalid("body")
			}
			for f := range param.NumFields {
				if name := f.String(); rt.fields.Has(f) && f != param.Metadata {
					s.do(t, line+"?"+name+"=7&"+name+"=7", onPurpose).wantInvalid(name)
				} else if f != param.Metadata {
					s.do(t, line+"?"+name+"=7", onPurpose).wantInvalid(name)
				}
			}
		})
	}
}

func TestRoutesKnowTheirMethods(t *testing.T) {
	s := newServer(t, setup{})
	for _, rt := range routeTable() {
		var methods []string
		for _, other := range routeTable() {
			if other.pattern == rt.pattern {
				methods = append(methods, other.methods()...)
			}
		}
		allow := strings.Join(methods, ", ")
		for _, method := range []string{"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "CONNECT", "QUERY"} {
			if slices.Contains(methods, method) {
				continue
			}
			line := rt.lineOf(method)
			if got := s.do(t, line).want(405, api.CodeMethodNotAllowed).header.Get("Allow"); got != allow {
				t.Errorf("%s: Allow is %q, want %q", line, got, allow)
			}
		}
	}
}

// HEAD is told what GET is told, without the body.
func TestRoutesOfAGETAnswerToHEAD(t *testing.T) { byBothDoors(t, testRoutesOfAGETAnswerToHEAD) }

func testRoutesOfAGETAnswerToHEAD(t *testing.T) {
	s := newServer(t, setup{backups: &copies{}, cluster: threeNodes()})
	addr := listening(t, s)
	for _, rt := range routeTable() {
		if rt.method != http.MethodGet || rt.browser {
			continue
		}
		needs := ""
		if rt.fields.Has(param.Name) {
			needs = "?name=a"
		}
		w := dial(t, s, addr)
		w.raw(rt.lineOf("HEAD") + needs + " HTTP/1.1\r\nHost: localhost\r\n\r\n" + rt.lineOf("HEAD") + "?x=y HTTP/1.1\r\nHost: localhost\r\n\r\n")
		for _, want := range []int{200, 400} {
			resp, err := http.ReadResponse(w.r, &http.Request{Method: http.MethodHead})
			if err != nil {
				t.Fatalf("%s: %v", rt.id, err)
			}
			if resp.StatusCode != want || resp.Header.Get("Content-Type") == "" || resp.Header.Get("X-Request-Id") == "" {
				t.Errorf("HEAD of %s: %d %v, want %d", rt.id, resp.StatusCode, resp.Header, want)
			}
		}
	}
}

// The last segment of a POST is its verb, however it is written, and all that is before it is
// the name: want is that name, empty if it is none.
func TestNameAtItsBorders(t *testing.T) {
	for line, want := range map[string]string{
		"POST /v1/locks/a/acquire/acquire":           "a/acquire",
		"POST /v1/locks/a/release/acquire":           "a/release",
		"POST /v1/locks/release/acquire":             "release",
		"POST /v1/locks/a/watch/acquire":             "a/watch",
		"POST /v1/locks/a/%61cquire/acquire":         "a/acquire",
		"POST /v1/locks/a%2Facquire%2Facquire":       "a/acquire",
		"POST /v1/locks/a%2F/acquire":                "",
		"POST /v1/locks/%2Fa/acquire":                "",
		"POST /v1/locks/a%252Fb/acquire":             "",
		"POST /v1/locks/%2e%2e/a/acquire":            "",
		"POST /v1/locks/a/%2E/acquire":               "",
		"POST /v1/locks/a/../acquire":                "",
		"POST /v1/locks/./acquire":                   "",
		"POST /v1/locks/a%3Fttl=5/acquire":           "",
		"POST /v1/locks/a%00/acquire":                "",
		"POST /v1/locks/a;v=1/acquire":               "",
		"POST /v1/locks/a,b/acquire":                 "",
		"POST /v1/locks/k=v/acquire":                 "",
		"POST /v1/locks/a%23b/acquire":               "",
		"POST /v1/locks/a%2Ab/acquire":               "",
		"POST /v1/locks/!a/acquire":                  "",
		"POST /v1/locks/caf%C3%A9/acquire":           "",
		"POST /v1/locks//acquire":                    "",
		"POST /v1/locks/" + long(201) + "/acquire":   "",
		"POST /v1/locks/" + nested(513) + "/acquire": "",
		"POST /v1/locks/.../acquire":                 "...",
		"POST /v1/locks/.env/acquire":                ".env",
		"POST /v1/locks/a./acquire":                  "a.",
		"POST /v1/locks/a/..b/acquire":               "a/..b",
		"POST /v1/locks/ACQUIRE/acquire":             "ACQUIRE",
		"POST /v1/locks/acquire/release/x%2Facquire": "acquire/release/x",
		"POST /v1/locks/x/%61%63quire":               "x",
		"POST /v1/locks/a+b/acquire":                 "a+b",
		"POST /v1/locks/a%2Bb/acquire":               "a+b",
		"POST /v1/locks/a%3Ab%40c%7Ed/acquire":       "a:b@c~d",
		"POST /v1/locks/" + long(200) + "/acquire":   long(200),
		"POST /v1/locks/" + nested(511) + "/acquire": nested(511),
	} {
		s := newServer(t, setup{})
		if want == "" {
			s.do(t, line, onPurpose).wantInvalid("name")
			continue
		}
		if got := s.do(t, line).grant().Name; got != want {
			t.Errorf("%s: the lock %s, want %s", line, got, want)
		}
	}
}

// What a body is called does not matter, unless it is called something that it is not.
func TestContentTypes(t *testing.T) {
	for _, test := range []struct {
		contentType, content string
		field                string // empty: fine
	}{
		{"application/x-www-form-urlencoded", "ttl=5", ""},
		{"APPLICATION/JSON; charset=utf-8", `{"ttl":5}`, ""},
		{"application/xml", `{"ttl":5}`, ""},
		{"text/plain", "ttl=5", ""},
		{"", "ttl=5", ""},
		{"no type at all", "ttl=5", ""},
		{"application/json", "ttl=5", "body"},
		{"application/json", "[]", "body"},
		{"application/json", `"ttl"`, "body"},
		{"application/json", "null", "body"},
		{"multipart/form-data; boundary=x", "--x\r\n\r\n--x--", "body"},
		{"application/xml", "<ttl>5</ttl>", "<ttl>5</ttl>"},
		{"application/x-www-form-urlencoded", "5", "5"},
		{"application/x-www-form-urlencoded", "ttl=5\nwait=5", "ttl"},
		{"application/x-www-form-urlencoded", "\xef\xbb\xbf{\"ttl\":5}", "\ufeff{\"ttl\":5}"},
	} {
		s := newServer(t, setup{})
		got := s.do(t, "POST /v1/locks/a/acquire", body(test.contentType, test.content), onPurpose)
		if test.field != "" {
			got.wantInvalid(test.field)
			continue
		}
		if g := got.grant(); g.TTLMS != 5000 {
			t.Errorf("%q %q: ttl_ms is %d", test.contentType, test.content, g.TTLMS)
		}
	}
}

// What is no request is answered before there is one: without a problem document and
// without a request id.
func TestRequestsThatAreMalformedHaveNoID(t *testing.T) {
	byBothDoors(t, testRequestsThatAreMalformedHaveNoID)
}

func testRequestsThatAreMalformedHaveNoID(t *testing.T) {
	s := newServer(t, setup{})
	addr := listening(t, s)
	for request, want := range map[string]int{
		"GET /healthz HTTP/1.1\r\n\r\n":                                       400, // no host
		"GET /healthz HTTP/1.1\r\nHost: localhost\r\nHost: localhost\r\n\r\n": 400,
		"GET /healthz HTTP/1.1\r\nHost: localhost\r\na b: c\r\n\r\n":          400,
		"GET /a%zz HTTP/1.1\r\nHost: localhost\r\n\r\n":                       400,
		"hello\r\n\r\n": 400,
		"GET /healthz HTTP/1.1\r\nHost: localhost\r\nX: " + strings.Repeat("x", 32<<10) + "\r\n\r\n": 431,
		"GET /healthz HTTP/3.0\r\nHost: localhost\r\n\r\n":                                           505,
		"GET /healthz HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: gzip\r\n\r\n":                501,
		"GET /healthz HTTP/1.1\r\nHost: localhost\r\nExpect: a miracle\r\n\r\n":                      417,
	} {
		w := dial(t, s, addr)
		w.raw(request)
		_ = w.conn.SetReadDeadline(time.Now().Add(soon))
		resp, err := http.ReadResponse(bufio.NewReader(w.conn), nil)
		if err != nil {
			t.Errorf("%.60q: %v", request, err)
			continue
		}
		_ = resp.Body.Close()
		if resp.StatusCode != want || resp.Header.Get("X-Request-Id") != "" || resp.Header.Get("Content-Type") == "application/problem+json" {
			t.Errorf("%.60q: %d %v, want %d", request, resp.StatusCode, resp.Header, want)
		}
	}
}
