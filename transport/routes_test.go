package transport

import (
	"fmt"
	"strings"
	"testing"

	"github.com/octostore/octostore/transport/api"
)

// The router has /v1/locks beside everything below it, and everything else beside
// names that look the same.
func TestRoutesBesideTheWildcard(t *testing.T) {
	s := newServer(t, setup{})
	for _, name := range []string{"v1", "locks", "healthz", "metrics", "openapi.yaml", "v1/locks", "acquired", "release.sh"} {
		if got := s.acquire(t, name).Name; got != name {
			t.Errorf("acquired %q, want %q", got, name)
		}
	}
	if n := len(decode[api.List](s.do(t, "GET /v1/locks").want(200)).Locks); n != 8 {
		t.Errorf("%d locks are listed, want 8", n)
	}
}

func TestRoutesTellTheRightMethods(t *testing.T) {
	s := newServer(t, setup{})
	for line, allow := range map[string]string{
		"POST /":                        "GET, HEAD",
		"POST /metrics":                 "GET, HEAD",
		"DELETE /v1/locks":              "GET, HEAD",
		"OPTIONS /v1/locks":             "GET, HEAD",
		"POST /v1/locks/a":              "GET, HEAD",
		"PUT /v1/locks/a/b":             "GET, HEAD",
		"POST /v1/locks/a/aquire":       "GET, HEAD",
		"GET /v1/locks/a/acquire":       "POST",
		"HEAD /v1/locks/a/release":      "POST",
		"DELETE /v1/locks/a/renew":      "POST",
		"ACQUIRE /v1/locks/a%2Facquire": "POST",
		"GET /v1/locks/acquire":         "POST",
	} {
		if got := s.do(t, line).want(405, api.CodeMethodNotAllowed).header.Get("Allow"); got != allow {
			t.Errorf("%s: Allow is %q, want %q", line, got, allow)
		}
	}
}

// A POST to the lock itself is most likely a verb misspelt, or forgotten.
func TestRoutesHintAtAMisspeltVerb(t *testing.T) {
	s := newServer(t, setup{})
	const verbs = "to do something to a lock, end the path in /acquire, /renew, /release or /break"
	for line, want := range map[string]string{
		"POST /v1/locks/a/b/aquire":   verbs + "; did you mean /acquire?",
		"POST /v1/locks/a/b%2Faquire": verbs + "; did you mean /acquire?",
		"POST /v1/locks/a/Acquire":    verbs + "; did you mean /acquire?",
		"POST /v1/locks/a/acqiure":    verbs + "; did you mean /acquire?",
		"POST /v1/locks/a/relase":     verbs + "; did you mean /release?",
		"POST /v1/locks/a/brake":      verbs + "; did you mean /break?",
		"POST /v1/locks/renw":         verbs + "; did you mean /renew?",
		"POST /v1/locks/a/extend":     verbs,
		"POST /v1/locks/a/lock":       verbs,
		"POST /v1/locks/deploy/prod":  verbs,
		"POST /v1/locks/a/acquire/":   verbs,
		"POST /v1/locks/" + long(300): verbs,
		"DELETE /v1/locks/a/aquire":   "",
		"GET /v1/locks/a/acquire":     "acquire is a POST: curl needs -X POST; the lock whose name is a/acquire is read with GET /v1/locks?name=a/acquire",
		"GET /v1/locks//acquire":      "acquire is a POST: curl needs -X POST",
		"POST /v1/locks":              "",
	} {
		detail := s.do(t, line).want(405, api.CodeMethodNotAllowed).problem().Detail
		_, hint, _ := strings.Cut(detail, "; ")
		if hint != want {
			t.Errorf("%s: %q, want the hint %q", line, detail, want)
		}
	}
}

func TestListsComeInPages(t *testing.T) {
	s := newServer(t, setup{})
	const all = 105
	for i := range all {
		if cut := serve(s, newSink(), newRequest(fmt.Sprintf("POST /v1/locks/page/%03d/acquire", i), nil).http()); cut {
			t.Fatal("cut")
		}
	}
	var names []string
	after := ""
	for pages := 1; ; pages++ {
		page := decode[api.List](s.do(t, "GET /v1/locks?prefix=page/&after="+after).want(200))
		for _, l := range page.Locks {
			names = append(names, l.Name)
		}
		if after = page.Next; after == "" {
			if pages != 2 {
				t.Errorf("%d pages, want 2", pages)
			}
			break
		}
		if len(page.Locks) != 100 {
			t.Fatalf("a page has %d locks, want 100", len(page.Locks))
		}
	}
	if len(names) != all || names[0] != "page/000" || names[all-1] != "page/104" {
		t.Errorf("%d names, from %s to %s", len(names), names[0], names[len(names)-1])
	}
}

func TestGrantAsText(t *testing.T) {
	s := newServer(t, setup{})
	for i, test := range []struct {
		accept []option
		want   string
	}{
		{nil, "application/json"},
		{[]option{header("Accept", "*/*")}, "application/json"},
		{[]option{header("Accept", "application/json, text/plain")}, "application/json"},
		{[]option{header("Accept", "text/html")}, "application/json"},
		{[]option{header("Accept", "text/plain")}, "text/plain; charset=utf-8"},
		{[]option{header("Accept", "Text/Plain;q=0.9, */*;q=0.1")}, "text/plain; charset=utf-8"},
		{[]option{header("Accept", "text/html"), header("Accept", "text/*")}, "text/plain; charset=utf-8"},
	} {
		a := s.do(t, fmt.Sprintf("POST /v1/locks/text%d/acquire", i), test.accept...).want(200)
		if got := a.header.Get("Content-Type"); got != test.want {
			t.Errorf("%d: Content-Type is %q, want %q", i, got, test.want)
		}
	}
	s.do(t, "POST /v1/locks/text0/acquire", header("Accept", "text/plain")).want(409, api.CodeHeld)
}
