package session_test

import (
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/octostore/octostore/cmd/octostore/internal/exitcode"
	"github.com/octostore/octostore/cmd/octostore/internal/session"
	"github.com/octostore/octostore/transport/client"
)

// asked is a server that remembers the tokens it was sent.
type asked struct {
	URL    string
	tokens []string
}

func newAsked(t *testing.T) *asked {
	a := new(asked)
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		a.tokens = append(a.tokens, strings.TrimPrefix(r.Header.Get("Authorization"), "Bearer "))
		w.Header().Set("Content-Type", "application/json")
		_, _ = io.WriteString(w, `{"locks":[],"next":""}`)
	}))
	t.Cleanup(server.Close)
	a.URL = server.URL
	return a
}

// user gives a test a home directory, and an environment that chooses no server.
func user(t *testing.T) (home string) {
	t.Helper()
	home = t.TempDir()
	for _, name := range session.Variables() {
		t.Setenv(name, "")
	}
	t.Setenv("HOME", home)
	t.Setenv("XDG_CONFIG_HOME", home)
	return home
}

func write(t *testing.T, path, content string, mode os.FileMode) string {
	t.Helper()
	if err := os.WriteFile(path, []byte(content), mode); err != nil {
		t.Fatal(err)
	}
	return path
}

func ask(t *testing.T, s session.Server) error {
	t.Helper()
	c, err := s.NewClient()
	if err != nil {
		return err
	}
	_, err = c.Locks(t.Context(), client.LocksQuery{})
	return err
}

// The order is: flags, a profile named by its flag, the environment, the profile that the
// environment names or that is in use, the token of a login, the defaults.
func TestServerPrecedence(t *testing.T) {
	a, b, c := newAsked(t), newAsked(t), newAsked(t)
	servers := map[string]*asked{"a": a, "b": b, "c": c}
	for _, tt := range []struct {
		name    string
		flags   session.Server
		environ map[string]string
		use     string // profile in use
		server  string // that is asked
		token   string
	}{
		{"the environment", session.Server{}, map[string]string{"URL": "a", "TOKEN": "env"}, "", "a", "env"},
		{"the token of a login", session.Server{}, map[string]string{"URL": "a"}, "", "a", "login-a"},
		{"a variable goes before a login", session.Server{}, map[string]string{"URL": "a", "TOKEN": "env"}, "", "a", "env"},
		{"a token before a token file", session.Server{}, map[string]string{"URL": "a", "TOKEN": "env", "TOKEN_FILE": "file"}, "", "a", "env"},
		{"a token file", session.Server{}, map[string]string{"URL": "a", "TOKEN_FILE": "file"}, "", "a", "from-file"},
		{"flags go first", session.Server{URL: "b", TokenFile: "file"}, map[string]string{"URL": "a", "TOKEN": "env", "PROFILE": "pa"}, "pc", "b", "from-file"},
		{"the token of the environment for the URL of a flag", session.Server{URL: "b"}, map[string]string{"URL": "a", "TOKEN": "env"}, "", "b", "env"},
		{"a profile by its flag", session.Server{Profile: "pb"}, nil, "", "b", "profile-b"},
		{"a profile by its flag goes before the environment", session.Server{Profile: "pb"}, map[string]string{"URL": "a", "TOKEN": "env"}, "", "b", "profile-b"},
		{"a profile without a token, and a token for another server", session.Server{Profile: "bare"}, map[string]string{"URL": "a", "TOKEN": "env"}, "", "c", ""},
		{"a profile without a token, and a token for any server", session.Server{Profile: "bare"}, map[string]string{"TOKEN": "env"}, "", "c", "env"},
		{"a profile with a token file", session.Server{Profile: "filed"}, nil, "", "c", "from-file"},
		{"a profile by the environment", session.Server{}, map[string]string{"PROFILE": "pb"}, "pc", "b", "profile-b"},
		{"URL and token of the environment go before its profile", session.Server{}, map[string]string{"URL": "a", "TOKEN": "env", "PROFILE": "pb"}, "", "a", "env"},
		{"the token of a profile for its own URL only", session.Server{}, map[string]string{"URL": "c", "PROFILE": "pb"}, "", "c", ""},
		{"the token of a profile for its own URL only, by a flag", session.Server{URL: "c", Profile: "pb"}, nil, "", "c", ""},
		{"a profile whose URL is given, too", session.Server{URL: "b", Profile: "pb"}, nil, "", "b", "profile-b"},
		{"the profile in use", session.Server{}, nil, "pb", "b", "profile-b"},
		{"the environment goes before the profile in use", session.Server{}, map[string]string{"URL": "a"}, "pb", "a", "login-a"},
		{"a token of the environment, and the profile in use", session.Server{}, map[string]string{"TOKEN": "env"}, "pb", "b", "env"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			home := user(t)
			file := write(t, filepath.Join(home, "file"), "from-file\n", 0o600)
			if _, err := session.Keep(a.URL, session.Credential{Token: "login-a"}); err != nil {
				t.Fatal(err)
			}
			for name, p := range map[string]session.Profile{
				"pb":    {URL: b.URL, Credential: session.Credential{Token: "profile-b"}},
				"pc":    {URL: c.URL, Credential: session.Credential{Token: "profile-c"}},
				"pa":    {URL: a.URL, Credential: session.Credential{Token: "profile-a"}},
				"bare":  {URL: c.URL},
				"filed": {URL: c.URL, TokenFile: file},
			} {
				if _, err := session.KeepProfile(name, p); err != nil {
					t.Fatal(err)
				}
			}
			if err := session.UseProfile(tt.use); err != nil {
				t.Fatal(err)
			}
			for name, value := range tt.environ {
				switch name {
				case "URL":
					value = servers[value].URL
				case "TOKEN_FILE":
					value = file
				}
				t.Setenv("OCTOSTORE_"+name, value)
			}
			if tt.flags.URL != "" {
				tt.flags.URL = servers[tt.flags.URL].URL
			}
			if tt.flags.TokenFile != "" {
				tt.flags.TokenFile = file
			}
			for _, s := range servers {
				s.tokens = nil
			}
			if err := ask(t, tt.flags); err != nil {
				t.Fatal(err)
			}
			for name, s := range servers {
				want := fmt.Sprint([]string(nil))
				if name == tt.server {
					want = fmt.Sprint([]string{tt.token})
				}
				if got := fmt.Sprint(s.tokens); got != want {
					t.Errorf("server %s was sent the tokens %s, want %s", name, got, want)
				}
			}
		})
	}
}

func TestServerTokenFileModes(t *testing.T) {
	home := user(t)
	a := newAsked(t)
	for _, tt := range []struct {
		mode    os.FileMode
		content string
		want    string // error; empty: none
		code    exitcode.Code
	}{
		{0o600, "secret-token\n", "", 0},
		{0o640, "  secret-token", "", 0},
		{0o644, "secret-token", "can be read or changed by everybody", 1},
		{0o600, "", "does not have a token alone", 64},
		{0o600, "secret-token\nsecret-other\n", "does not have a token alone", 64},
		{0o600, "secret-tökén", "does not have a token alone", 64},
	} {
		path := filepath.Join(home, "token")
		write(t, path, tt.content, 0o600)
		if err := os.Chmod(path, tt.mode); err != nil {
			t.Fatal(err)
		}
		a.tokens = nil
		err := ask(t, session.Server{URL: a.URL, TokenFile: path})
		if tt.want == "" {
			if err != nil || len(a.tokens) != 1 || a.tokens[0] != "secret-token" {
				t.Errorf("%04o %q: sent %q, %v", tt.mode, tt.content, a.tokens, err)
			}
			continue
		}
		if err == nil || !strings.Contains(err.Error(), "--token-file: ") || !strings.Contains(err.Error(), tt.want) ||
			strings.Contains(err.Error(), "secret-") || exitcode.Of(err) != tt.code || len(a.tokens) != 0 {
			t.Errorf("%04o %q: sent %q, %v (exit %d)", tt.mode, tt.content, a.tokens, err, exitcode.Of(err))
		}
	}
	if err := ask(t, session.Server{URL: a.URL, TokenFile: filepath.Join(home, "none")}); exitcode.Of(err) != exitcode.Missing {
		t.Errorf("no such file: %v", err)
	}
}

func TestServerTimeout(t *testing.T) {
	user(t)
	release := make(chan struct{})
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if strings.HasPrefix(r.URL.Path, "/v1/audit") { // a stream that has begun
			w.Header().Set("Content-Type", "application/x-ndjson")
			w.(http.Flusher).Flush()
			time.Sleep(300 * time.Millisecond) // more than the timeout
			_, _ = io.WriteString(w, "{}\n")
			return
		}
		if r.URL.Query().Get("prefix") == "half" {
			w.Header().Set("Content-Type", "application/json")
			_, _ = io.WriteString(w, `{"locks":`)
			w.(http.Flusher).Flush()
		}
		<-release
	}))
	defer server.Close()
	defer close(release)
	c, err := session.Server{URL: server.URL, Timeout: 100 * time.Millisecond}.NewClient()
	if err != nil {
		t.Fatal(err)
	}
	for _, prefix := range []string{"none", "half"} {
		_, err := c.Locks(t.Context(), client.LocksQuery{Prefix: prefix})
		if err == nil || !strings.Contains(err.Error(), "no complete answer") {
			t.Errorf("%s of an answer: %v", prefix, err)
		}
	}
	body, err := c.Audit(t.Context(), client.AuditQuery{})
	if err != nil {
		t.Fatal(err)
	}
	defer body.Close()
	if text, err := io.ReadAll(body); string(text) != "{}\n" || err != nil {
		t.Errorf("a stream that takes longer: %q, %v", text, err)
	}
	for _, wrong := range []string{"x", "0", "-1s"} {
		t.Setenv("OCTOSTORE_TIMEOUT", wrong)
		if _, err := (session.Server{URL: server.URL}).NewClient(); exitcode.Of(err) != exitcode.Usage {
			t.Errorf("OCTOSTORE_TIMEOUT=%s: %v", wrong, err)
		}
	}
}

// CI systems keep the line break that was pasted with a secret. What no header can have is a
// mistake to tell at once, not an outage to wait out.
func TestServerTrimsVariables(t *testing.T) {
	user(t)
	a := newAsked(t)
	t.Setenv("OCTOSTORE_URL", a.URL+"\n")
	t.Setenv("OCTOSTORE_TOKEN", " octo_pasted\r\n")
	if err := ask(t, session.Server{}); err != nil || len(a.tokens) != 1 || a.tokens[0] != "octo_pasted" {
		t.Errorf("got %v, and the token %q", err, a.tokens)
	}
	t.Setenv("OCTOSTORE_TOKEN", "octo_one\nocto_two")
	err := ask(t, session.Server{})
	if exitcode.Of(err) != exitcode.Usage || strings.Contains(err.Error(), "octo_") || len(a.tokens) != 1 {
		t.Errorf("got %v (%d)", err, exitcode.Of(err))
	}
	t.Setenv("OCTOSTORE_URL", "localhost")
	if err := ask(t, session.Server{URL: "localhost"}); exitcode.Of(err) != exitcode.Usage {
		t.Errorf("got %v (%d)", err, exitcode.Of(err))
	}
}

func TestLoginWarnsOfATokenThatOthersMayRead(t *testing.T) {
	user(t)
	a := newAsked(t)
	for url, want := range map[string]bool{"http://octostore.invalid": true, "https://octostore.invalid": false, a.URL: false} {
		var told strings.Builder
		err := session.Server{URL: url}.LogInWith(t.Context(), &told, "secret-token") // none of the three has a lock server
		if got := strings.Contains(told.String(), "as it is, where others may read it"); got != want || err == nil {
			t.Errorf("%s: %v, says %q", url, err, told.String())
		}
	}
}
