package stories_test

import (
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/octostore/octostore/cmd/octostore/internal/octotest"
	"github.com/octostore/octostore/core/auth"
	"github.com/octostore/octostore/transport/login/logintest"
)

func TestLoginAndLogout(t *testing.T) {
	t.Parallel()
	fake := &logintest.GitHub{Login: "alice", ID: 583231, Interval: 1}
	var asked atomic.Int32
	fake.Instead = func(w http.ResponseWriter, r *http.Request) bool { // which does not end a login
		fails := r.URL.Path == "/api/v3/user" && asked.Add(1) == 1
		if fails {
			w.WriteHeader(http.StatusBadGateway)
		}
		return fails
	}
	server := octotest.Start(t, t.TempDir(), octotest.GitHubSettings(t, fake)...)
	url := "http://" + server.Addr

	// The door is closed though there is no token yet.
	octotest.Expect(t, octotest.Call("POST", server.Addr, "/v1/locks/a/acquire"), 401, "unauthenticated")

	p := octotest.NewPerson(t, "OCTOSTORE_URL="+url)
	p.Fails("not logged in to "+url, "logout")
	p.Fails("this server wants a token", "audit", "export")
	out := p.Runs("type in this code: WDJB-MJHT", "login")
	if !strings.Contains(out, "as github:alice.583231, until ") || auth.HoldsSecret(out) {
		t.Errorf("login says %s", out)
	}
	info, err := os.Stat(p.File())
	if err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("the file is %v, %v", info, err)
	}
	kept, err := os.ReadFile(p.File())
	if err != nil || !auth.HoldsSecret(string(kept)) {
		t.Errorf("it holds %s, %v", kept, err)
	}
	p.Runs(`"kind":"token_created"`, "audit", "export")

	// The environment goes before the file, and another server is sent nothing.
	with := *p
	with.Environ = append(p.Environ, "OCTOSTORE_TOKEN="+auth.NewSecret())
	with.Fails("this token is not known here", "audit", "export")
	other := octotest.Start(t, t.TempDir(), octotest.GitHubSettings(t, fake)...)
	with.Environ = append(p.Environ, "OCTOSTORE_URL=http://"+other.Addr)
	with.Fails("this server wants a token", "audit", "export")

	// Logging in again ends the token of before.
	p.Runs("Logged in", "login")
	audit := p.Runs(`"kind":"token_revoked"`, "audit", "export")

	if err := os.Chmod(p.File(), 0o640); err != nil {
		t.Fatal(err)
	}
	p.Fails("can be read or changed by others (mode 0640)", "audit", "export")
	if err := os.Chmod(p.File(), 0o600); err != nil {
		t.Fatal(err)
	}
	before, err := os.ReadFile(p.File())
	if err != nil {
		t.Fatal(err)
	}
	p.Runs("The token is revoked", "logout")
	p.Fails("this server wants a token", "audit", "export")
	if err := os.WriteFile(p.File(), before, 0o600); err != nil { // a copy that was kept
		t.Fatal(err)
	}
	p.Fails("this token has been revoked", "audit", "export")
	p.Runs("was of no use any more", "logout")

	// A profile has its server and token under a name, and sends them nowhere else.
	p.Runs("Use it with --profile work", "login", "--profile", "work")
	named := *p
	named.Environ = p.Environ[:len(p.Environ)-1] // without OCTOSTORE_URL
	named.Runs("granted", "acquire", "a", "--profile", "work", "--json")
	named.Runs("github:alice.583231", "profile", "list")
	named.Fails("this server wants a token", "list", "--profile", "work", "--url", "http://"+other.Addr)
	named.Runs("The token is revoked", "logout", "--profile", "work")
	named.Fails("this server wants a token", "list", "--profile", "work")

	for _, text := range []string{audit, server.RawLog(), other.RawLog(), octotest.Call("GET", server.Addr, "/metrics").Body} {
		for _, canary := range []string{logintest.ClientSecret, logintest.CanaryToken, logintest.CanaryDevice} {
			if strings.Contains(text, canary) {
				t.Errorf("%s is in %s", canary, text)
			}
		}
		if auth.HoldsSecret(text) {
			t.Errorf("a token is in %s", text)
		}
	}
	if !strings.Contains(server.RawLog(), "user:bob") {
		t.Error("the log does not warn of a name without a number")
	}
}

func TestLoginThatFails(t *testing.T) {
	t.Parallel()
	fake := &logintest.GitHub{Login: "mallory", ID: 666, Interval: 1}
	server := octotest.Start(t, t.TempDir(), octotest.GitHubSettings(t, fake)...)
	p := octotest.NewPerson(t, "OCTOSTORE_URL=http://"+server.Addr)
	p.Fails("this GitHub account may not log in here", "login")
	if _, err := os.Stat(p.File()); err == nil {
		t.Error("something is kept")
	}
	plain := octotest.Start(t, t.TempDir())
	p = octotest.NewPerson(t, "OCTOSTORE_URL=http://"+plain.Addr)
	p.Fails("logins are not set up on this server", "login")
}

// A server that cannot let people log in as configured does not start.
func TestLoginThatCannotBeConfigured(t *testing.T) {
	right := octotest.GitHubSettings(t, &logintest.GitHub{})
	open := filepath.Join(t.TempDir(), "open")
	if err := os.WriteFile(open, []byte(logintest.ClientSecret), 0o644); err != nil {
		t.Fatal(err)
	}
	for change, want := range map[string]string{
		"OCTOSTORE_GITHUB_CLIENT_SECRET_FILE=" + open:       "can be read or changed by everybody",
		"OCTOSTORE_GITHUB_CLIENT_SECRET_FILE=absent":        "absent: no such file",
		"OCTOSTORE_GITHUB_CLIENT_SECRET_FILE=" + os.DevNull: "not a regular file",
		"OCTOSTORE_ADDR=0.0.0.0:0":                          "OCTOSTORE_PUBLIC_URL is missing",
	} {
		p, err := octotest.TryStart(t.TempDir(), append(right, change)...)
		if err == nil {
			p.Kill()
		}
		if err == nil || !strings.Contains(err.Error(), want) || strings.Contains(err.Error(), logintest.ClientSecret) {
			t.Errorf("%s: got %v", change, err)
		}
	}
	// Others may reach it, though there is no token yet: a login is the only way in.
	exposed := octotest.Start(t, t.TempDir(), append(right, "OCTOSTORE_ADDR=0.0.0.0:0", "OCTOSTORE_PUBLIC_URL=https://locks.example.com")...)
	_, port, _ := net.SplitHostPort(exposed.Addr)
	octotest.Expect(t, octotest.Call("POST", "127.0.0.1:"+port, "/v1/locks/a/acquire"), 401, "unauthenticated")
}
