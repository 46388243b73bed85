package session_test

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/octostore/octostore/cmd/octostore/internal/exitcode"
	"github.com/octostore/octostore/cmd/octostore/internal/session"
)

// The file of an earlier version has tokens by server, and goes on being used.
func TestProfilesLeaveTokensOfEarlierVersions(t *testing.T) {
	home := user(t)
	a := newAsked(t)
	if err := os.Mkdir(filepath.Join(home, "octostore"), 0o700); err != nil {
		t.Fatal(err)
	}
	path := write(t, filepath.Join(home, "octostore", "credentials.json"), `{
  "servers": {
    "`+a.URL+`": {
      "token": "old",
      "account": "github:alice.1",
      "expires_at": "2030-01-02T15:04:05Z"
    }
  }
}
`, 0o600)
	if err := ask(t, session.Server{URL: a.URL}); err != nil {
		t.Fatal(err)
	}
	if _, err := session.KeepProfile("prod", session.Profile{URL: "https://x", Credential: session.Credential{Token: "new"}}); err != nil {
		t.Fatal(err)
	}
	if err := ask(t, session.Server{URL: a.URL}); err != nil {
		t.Fatal(err)
	}
	if got := fmt.Sprint(a.tokens); got != "[old old]" {
		t.Errorf("sent %s", got)
	}
	info, err := os.Stat(path)
	if err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("the file is %v, %v", info.Mode(), err)
	}
}

func TestProfilesAreListedWithoutSecrets(t *testing.T) {
	user(t)
	for name, p := range map[string]session.Profile{
		"prod": {URL: "https://user:hunter2@locks.example.com", CAFile: "/ca.pem", Credential: session.Credential{Token: "secret-1", Account: "ci"}},
		"test": {URL: "http://127.0.0.1:1", TokenFile: "/run/token"},
	} {
		if _, err := session.KeepProfile(name, p); err != nil {
			t.Fatal(err)
		}
	}
	if err := session.UseProfile("test"); err != nil {
		t.Fatal(err)
	}
	all, err := session.Profiles()
	if err != nil {
		t.Fatal(err)
	}
	text, err := json.Marshal(all)
	if err != nil {
		t.Fatal(err)
	}
	const want = `[{"name":"prod","in_use":false,"url":"https://user:xxxxx@locks.example.com","account":"ci","ca_file":"/ca.pem","logged_in":true},` +
		`{"name":"test","in_use":true,"url":"http://127.0.0.1:1","token_file":"/run/token","logged_in":false}]`
	if string(text) != want {
		t.Errorf("got  %s\nwant %s", text, want)
	}
	if got := all[0].TokenState() + ", " + all[1].TokenState(); got != "until it is revoked, in /run/token" {
		t.Error(got)
	}
	if err := session.RemoveProfile("test"); err != nil {
		t.Fatal(err)
	}
	for what, err := range map[string]error{
		"using a removed profile": session.UseProfile("test"), "removing it again": session.RemoveProfile("test"),
		"asking with it": ask(t, session.Server{Profile: "test"}),
	} {
		if exitcode.Of(err) != exitcode.Usage || !strings.Contains(err.Error(), `no profile "test"; octostore profile list`) {
			t.Errorf("%s: %v", what, err)
		}
	}
	for _, name := range []string{"", "-x", "a b", "a/b", strings.Repeat("x", 65), "x\n"} {
		if _, err := session.KeepProfile(name, session.Profile{}); exitcode.Of(err) != exitcode.Usage {
			t.Errorf("the name %q: %v", name, err)
		}
	}
}

// Logins at the same time keep all their tokens.
func TestProfilesChangeOneAfterTheOther(t *testing.T) {
	user(t)
	var all sync.WaitGroup
	const n = 20
	for i := range n {
		all.Go(func() {
			if _, err := session.KeepProfile(fmt.Sprint("p", i), session.Profile{URL: "http://x"}); err != nil {
				t.Error(err)
			}
			if _, err := session.Keep(fmt.Sprint("http://x", i), session.Credential{Token: "x"}); err != nil {
				t.Error(err)
			}
		})
	}
	all.Wait()
	kept, err := session.Profiles()
	if err != nil || len(kept) != n {
		t.Errorf("%d of %d profiles are left, %v", len(kept), n, err)
	}
}

// A file that others may read has no secrets any more, and is not used.
func TestProfilesInAFileOfOthersAreRefused(t *testing.T) {
	home := user(t)
	path, err := session.KeepProfile("p", session.Profile{URL: "http://127.0.0.1:1", Credential: session.Credential{Token: "secret"}})
	if err != nil {
		t.Fatal(err)
	}
	if !strings.HasPrefix(path, home) {
		t.Fatal(path)
	}
	if err := os.Chmod(path, 0o640); err != nil {
		t.Fatal(err)
	}
	if err := ask(t, session.Server{Profile: "p"}); err == nil || !strings.Contains(err.Error(), "can be read or changed by others") {
		t.Error(err)
	}
}
