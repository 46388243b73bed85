package transport

import (
	"bytes"
	"context"
	"fmt"
	"maps"
	"net/http"
	"net/http/httptest"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
)

// recorded are requests to every route, and to each kind of failure, in the order in which
// they are sent. The conversations hold the bodies of the lock routes in more detail; this
// recording holds every header and the order of every body's members.
var recorded = []struct {
	line    string
	headers []string // NAME: VALUE
	body    string
}{
	{line: "GET /"},
	{line: "HEAD /"},
	{line: "GET /healthz"},
	{line: "GET /readyz"},
	{line: "GET /readyz?grants=1"},
	{line: "GET /readyz?grants=perhaps"},
	{line: "GET /metrics"},
	{line: "GET /openapi.yaml"},
	{line: "GET /nothing"},
	{line: "POST /healthz"},
	{line: "GET /", headers: []string{"Host: example.com"}},
	{line: "POST /v1/locks/a/acquire", headers: []string{"Sec-Fetch-Site: cross-site"}},
	{line: "GET /v1/locks/octo_aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"},
	{line: "GET /v1/locks/a"},
	{line: "POST /v1/locks/a/acquire?ttl=60s&holder=h&reason=r&meta.k=v", headers: []string{"X-Request-Id: chosen"}},
	{line: "POST /v1/locks/b/acquire", headers: []string{"Accept: text/plain"}, body: `{"ttl": 90, "metadata": {"x": "y"}}`},
	{line: "POST /v1/locks/c/acquire?confirm=5s"},
	{line: "POST /v1/locks/a/acquire"},
	{line: "POST /v1/locks/a/acquire?wait=1s"},
	{line: "POST /v1/locks/a/acquire?ttl=no"},
	{line: "POST /v1/locks/a/acquire", body: strings.Repeat("x", 17<<10)},
	{line: "GET /v1/locks/a/acquire"},
	{line: "POST /v1/locks/a/aquire"},
	{line: "PATCH /v1/locks/a"},
	{line: "GET /v1/locks/a"},
	{line: "HEAD /v1/locks/a"},
	{line: "GET /v1/locks/a?waiters=10"},
	{line: "GET /v1/locks/a..//b"},
	{line: "GET /v1/locks"},
	{line: "GET /v1/locks?prefix=a&limit=1"},
	{line: "GET /v1/locks?name=a"},
	{line: "GET /v1/locks?waiters=3"},
	{line: "POST /v1/locks/a/renew?ttl=2m", headers: []string{"Octostore-Lease: <lease 1>"}},
	{line: "POST /v1/locks/a/renew", headers: []string{"Octostore-Lease: wrong"}},
	{line: "POST /v1/locks/a/renew"},
	{line: "POST /v1/locks/a/release", headers: []string{"Octostore-Lease: <lease 1>"}},
	{line: "POST /v1/locks/a/release", headers: []string{"Octostore-Lease: <lease 1>"}},
	{line: "POST /v1/locks/b/break"},
	{line: "POST /v1/locks/b/break?reason=stuck&ttl=60s"},
	{line: "POST /v1/locks/b/break?reason=stuck&take=1&ttl=60s"},
	{line: "POST /v1/locks/b/break?reason=stuck"},
	{line: "LOCK /v1/terraform/t?ttl=1h&wait=1s", headers: []string{"Content-Type: application/json"}, body: terraformInfo("9dadb095-532f-80fa-7a3e-387cfc948a26")},
	{line: "POST /v1/terraform/t", headers: []string{"Content-Type: application/json"}, body: terraformInfo("ffe913f3-359c-8bcf-89ac-49a62bf0d4b4")},
	{line: "GET /v1/locks/t"},
	{line: "DELETE /v1/terraform/t", headers: []string{"Content-Type: application/json"}, body: terraformInfo("ffe913f3-359c-8bcf-89ac-49a62bf0d4b4")},
	{line: "UNLOCK /v1/terraform/t", headers: []string{"Content-Type: application/json"}, body: terraformInfo("9dadb095-532f-80fa-7a3e-387cfc948a26")},
	{line: "LOCK /v1/terraform/t"},
	{line: "UNLOCK /v1/terraform/t"},
	{line: "GET /v1/terraform/t"},
	{line: "PUT /v1/terraform/t..//b"},
	{line: "LOCK /v1/terraform/t..//b"},
	{line: "LOCK /v1/locks/t/acquire"},
	{line: "GET /v1/events"},
	{line: "HEAD /v1/events"},
	{line: "GET /v1/events", headers: []string{"Last-Event-Id: 2"}},
	{line: "GET /v1/events", headers: []string{"Last-Event-Id: junk"}},
	{line: "GET /v1/audit?limit=2"},
	{line: "HEAD /v1/audit"},
	{line: "GET /v1/audit?limit=2", headers: []string{"Accept-Encoding: gzip"}},
	{line: "GET /v1/audit?format=csv&limit=1"},
	{line: "GET /v1/audit?after=9999"},
	{line: "GET /v1/audit?kind=granted,wrong"},
	{line: "GET /v1/audit?follow=1"},
	{line: "GET /v1/policies"},
	{line: "GET /v1/policies/explain?name=a"},
	{line: "GET /v1/policies/explain?name=a&hook=renew&holder=x"},
	{line: "POST /v1/policies/reload"},
	{line: "GET /auth/github"},
	{line: "GET /auth/github/callback?code=x"},
	{line: "POST /auth/github/callback"},
	{line: "POST /v1/login/device"},
	{line: "POST /v1/login/device/poll?device_id=x"},
	{line: "POST /v1/logout"},
	{line: "POST /v1/tokens?account=x&scopes=read:**"},
	{line: "POST /v1/tokens?account=x&scopes=admin"},
	{line: "GET /v1/locks"},
	{line: "GET /v1/locks", headers: []string{"Authorization: Bearer octo_wrong"}},
	{line: "GET /v1/locks?token=x"},
	{line: "GET /v1/tokens", headers: []string{"Authorization: Bearer <secret 1>"}},
	{line: "POST /v1/tokens?account=y&scopes=read:a/**&expires=1h", headers: []string{"Authorization: Bearer <secret 1>"}},
	{line: "POST /v1/tokens/<id 2>/rotate?grace=1m", headers: []string{"Authorization: Bearer <secret 1>"}},
	{line: "DELETE /v1/tokens/<id 2>", headers: []string{"Authorization: Bearer <secret 1>"}},
	{line: "DELETE /v1/tokens/nothing", headers: []string{"Authorization: Bearer <secret 1>"}},
	{line: "DRAIN"},
	{line: "GET /healthz"},
	{line: "GET /readyz"},
	{line: "POST /v1/locks/z/acquire", headers: []string{"Authorization: Bearer <secret 1>"}},
	{line: "POST /v1/logout", headers: []string{"Authorization: Bearer <secret 1>"}},
	{line: "ADMIN GET /"},
	{line: "ADMIN GET /healthz"},
	{line: "ADMIN GET /v1/locks/a"},
	{line: "ADMIN GET /debug/pprof/cmdline"},
	{line: "GET /v1/whoami"},
	{line: "GET /ui/theme.js"},
	{line: "GET /ui/nothing"},
}

// terraformInfo is the lock info that Terraform sends.
func terraformInfo(id string) string {
	return `{"ID":"` + id + `","Operation":"OperationTypeApply","Info":"","Who":"root@vm","Version":"1.11.4",` +
		`"Created":"2026-11-27T17:11:09.152019424Z","Path":""}`
}

// TestWireIsAsRecorded holds the status, all headers and the body of every route to
// testdata/wire/routes.txt. Run it with -update to record what the server answers now.
func TestWireIsAsRecorded(t *testing.T) {
	const file = "testdata/wire/routes.txt"
	var got string
	synctest.Test(t, func(t *testing.T) { got = recordWire(t) })
	if *update {
		if err := os.WriteFile(file, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	want, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), got); diff != "" {
		t.Errorf("%s: recorded (-), answered (+):\n%s", file, diff)
	}
}

// recordWire sends the requests and returns the answers as text.
func recordWire(t *testing.T) string {
	s := newServer(t, setup{})
	known := placeholders{map[string]string{}, map[string]int{}}
	var out bytes.Buffer
	for _, r := range recorded {
		fmt.Fprintf(&out, "## %s\n", strings.TrimSpace(r.line+" "+strings.Join(r.headers, ", ")))
		if r.line == "DRAIN" {
			s.table.Drain()
			continue
		}
		line, admin := strings.CutPrefix(known.fillIn(r.line), "ADMIN ")
		handler := http.Handler(s)
		if admin {
			handler = s.AdminServer().Handler
		}
		ctx, leave := context.WithTimeout(t.Context(), 2*time.Second) // for those that do not end
		options := []option{during(ctx)}
		for _, h := range r.headers {
			name, value, _ := strings.Cut(h, ": ")
			options = append(options, header(name, known.fillIn(value)))
		}
		request := newRequest(line, options)
		request.body = r.body
		rec := httptest.NewRecorder()
		if serve(handler, rec, request.http()) {
			out.WriteString("(the connection is cut)\n")
		}
		leave()
		out.WriteString(known.writeDown(rec))
	}
	return out.String()
}

// placeholders are the names of what differs from run to run, by its value.
type placeholders struct {
	names map[string]string // by value
	count map[string]int    // by kind
}

func (p placeholders) fillIn(text string) string {
	for value, name := range p.names {
		text = strings.ReplaceAll(text, name, value)
	}
	return text
}

var differing = []struct {
	name string
	in   *regexp.Regexp
}{
	{"lease", regexp.MustCompile(`"lease_id":"([^"]+)"`)},
	{"lease", regexp.MustCompile(`(?m)^([A-Za-z0-9_-]{20,}) \d+$`)},
	{"secret", regexp.MustCompile(`"token":"(octo_[^"]+)"`)},
	{"id", regexp.MustCompile(`"id":"([a-z2-7]{12})"`)},
	{"request", regexp.MustCompile(`\b([a-z0-9]{6}-\d+)\b`)},
	{"digest", regexp.MustCompile(`"([A-Za-z0-9_-]{43}|[A-Za-z0-9_-]{86})"`)},
}

// writeDown returns an answer as text, without what differs from run to run.
func (p placeholders) writeDown(rec *httptest.ResponseRecorder) string {
	const most = 2000
	answer, content := rec.Result(), rec.Body.String()
	kind := answer.Header.Get("Content-Type")
	switch {
	case strings.Contains(kind, "version=0.0.4"), strings.Contains(content, "testing"): // metrics, and the command line of the test
		content = "(measured)\n"
	case answer.Header.Get("Content-Encoding") != "":
		content = "(compressed)\n"
	}
	if kind == "application/yaml" {
		content = "(openapi.yaml)\n"
	}
	content = content[:min(len(content), most)]
	var out strings.Builder
	fmt.Fprintf(&out, "%d\n", answer.StatusCode)
	for _, name := range slices.Sorted(maps.Keys(answer.Header)) {
		if value := strings.Join(answer.Header[name], " | "); kind == "application/yaml" && name == "Content-Length" {
			fmt.Fprintf(&out, "%s: (of openapi.yaml)\n", name)
		} else {
			fmt.Fprintf(&out, "%s: %s\n", name, value)
		}
	}
	out.WriteString("\n" + content + "\n")
	text := out.String()
	for _, d := range differing {
		for _, m := range d.in.FindAllStringSubmatch(text, -1) {
			if p.names[m[1]] == "" {
				p.count[d.name]++
				p.names[m[1]] = fmt.Sprintf("<%s %d>", d.name, p.count[d.name])
			}
			text = strings.ReplaceAll(text, m[1], p.names[m[1]])
		}
	}
	return text
}
