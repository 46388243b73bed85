package top_test

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/octostore/octostore/cmd/octostore/internal/octotest"
	"github.com/octostore/octostore/cmd/octostore/internal/top"
)

func TestMain(m *testing.M) { octotest.Main(m) }

// waitedFor is a server with three locks, two of which are waited for.
func waitedFor(t *testing.T) *octotest.Server {
	p := octotest.Start(t, t.TempDir())
	for _, name := range []string{"deploy/a", "deploy/b", "other"} {
		p.Take(t, name, "?ttl=10m&holder=ci-1")
	}
	for name, n := range map[string]int{"deploy/a": 1, "deploy/b": 2} {
		for range n {
			p.Enqueue(t, name, "&holder=next", p.Look(name).WaitersTotal+1)
		}
	}
	return p
}

func TestTopWithoutATerminalPrintsATable(t *testing.T) {
	t.Parallel()
	p := waitedFor(t)
	out := octotest.Run(t, "top", "--url", "http://"+p.Addr)
	if out.Code != 0 || !inOrder(out.Stdout, "WAITERS", "deploy/b", "ci-1", "deploy/a") || strings.Contains(out.Stdout, "other") || strings.Contains(out.Stdout, "\x1b") {
		t.Errorf("%+v", out)
	}
	out = octotest.Run(t, "top", "--once", "--sort", "name", "--prefix", "o", "--url", "http://"+p.Addr)
	if out.Code != 0 || !strings.Contains(out.Stdout, "other") || strings.Contains(out.Stdout, "deploy") {
		t.Errorf("%+v", out)
	}
	out = octotest.Run(t, "top", "--prefix", "o", "--url", "http://"+p.Addr)
	if out.Code != 0 || !strings.Contains(out.Stdout, "No lock has waiters whose name begins with o.") {
		t.Errorf("%+v", out)
	}
	out = octotest.Run(t, "top", "--json", "--sort", "wait", "--limit", "1", "--url", "http://"+p.Addr)
	var s top.State
	if err := json.Unmarshal([]byte(out.Stdout), &s); err != nil || len(s.Locks) != 1 || s.Locks[0].WaitersTotal == 0 {
		t.Errorf("%v: %+v", err, out)
	}
}

func inOrder(text string, parts ...string) bool {
	for _, part := range parts {
		_, after, found := strings.Cut(text, part)
		if !found {
			return false
		}
		text = after
	}
	return true
}

func TestTopRefusesWhatItDoesNotKnow(t *testing.T) {
	t.Parallel()
	for _, args := range [][]string{{"--sort", "age"}, {"--limit", "0"}, {"deploy/"}} {
		if out := octotest.Run(t, append([]string{"top"}, args...)...); out.Code != 64 {
			t.Errorf("%v: %+v", args, out)
		}
	}
	if out := octotest.Run(t, "top", "--url", "http://127.0.0.1:1"); out.Code == 0 || !strings.Contains(out.Stderr, "octostore: ") {
		t.Errorf("%+v", out)
	}
}

// withToken are the settings of a client whose account may read the locks of team b only.
func withToken(t *testing.T, p *octotest.Server) []string {
	t.Helper()
	url := "OCTOSTORE_URL=http://" + p.Addr
	create := func(environ []string, args ...string) []string {
		out := octotest.RunWith(t, environ, append([]string{"token", "create"}, args...)...)
		if out.Code != 0 {
			t.Fatalf("%+v", out)
		}
		return []string{url, "OCTOSTORE_TOKEN=" + strings.TrimSpace(out.Stdout)}
	}
	return create(create([]string{url}, "--admin"), "--account", "bob", "--scope", "read:team-b/**")
}

// teams is a server with a lock of each of two teams.
func teams(t *testing.T) *octotest.Server {
	p := octotest.Start(t, t.TempDir())
	p.Take(t, "team-a/x", "?ttl=10m&holder=alices-job")
	p.Take(t, "team-b/y", "?ttl=10m&holder=bobs-job")
	return p
}

// Without the scope admin all is shown but the version of the server, and no name that may not
// be read.
func TestTopShowsWhatTheTokenMaySee(t *testing.T) {
	t.Parallel()
	out := octotest.RunWith(t, withToken(t, teams(t)), "top", "--sort", "name")
	if out.Code != 0 || !strings.Contains(out.Stdout, "bobs-job") || strings.Contains(out.Stdout, "alice") || strings.Contains(out.Stdout, ", up ") {
		t.Errorf("%+v", out)
	}
}
