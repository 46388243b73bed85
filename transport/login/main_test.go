package login_test

import (
	"bytes"
	"context"
	"log/slog"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/octostore/octostore/core/auth"
	"github.com/octostore/octostore/core/lock"
	"github.com/octostore/octostore/core/store/memory"
	"github.com/octostore/octostore/transport/login"
	"github.com/octostore/octostore/transport/login/logintest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// journal keeps what is recorded of tokens.
type journal struct {
	mu   sync.Mutex
	said []string
}

func (j *journal) Append(_ context.Context, e lock.Event) (lock.Seq, error) {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.said = append(j.said, string(e.Kind)+" "+e.Cause)
	return lock.Seq(len(j.said)), nil
}

// lines is a log for many goroutines.
type lines struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *lines) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *lines) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

// house is a server people can log in to, as far as this package knows of it.
type house struct {
	*login.GitHub
	fake   *logintest.GitHub
	tokens *auth.Tokens
	record *journal
	log    *lines
}

const githubURL = "http://127.0.0.1:1" // only the fake is there

func open(t *testing.T, allow string, fake *logintest.GitHub) *house {
	t.Helper()
	allowed, err := login.ParseAllow(allow)
	if err != nil {
		t.Fatal(err)
	}
	h := &house{fake: fake, record: &journal{}, log: &lines{}}
	h.tokens, err = auth.Open(context.Background(), auth.Config{Store: memory.New(), Recorder: h.record, TokensRequired: true})
	if err != nil {
		t.Fatal(err)
	}
	h.GitHub, err = login.Open(login.Config{
		ClientID: logintest.ClientID, ClientSecret: logintest.ClientSecret, Allow: allowed, Tokens: h.tokens,
		TokenTTL: 12 * time.Hour, PublicURL: "https://locks.example.com", URL: githubURL, Transport: fake,
		Logger: slog.New(slog.NewTextHandler(h.log, &slog.HandlerOptions{Level: slog.LevelDebug})),
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = h.Close()
		_ = h.tokens.Close()
		h.wantNoSecrets(t, "log", h.log.String())
		h.wantNoSecrets(t, "journal", strings.Join(h.record.said, "\n"))
	})
	return h
}

// wantNoSecrets looks for what must not be seen anywhere.
func (h *house) wantNoSecrets(t *testing.T, where, text string) {
	t.Helper()
	for _, canary := range []string{logintest.ClientSecret, logintest.CanaryToken, logintest.CanaryCode, logintest.CanaryDevice} {
		if strings.Contains(text, canary) {
			t.Errorf("%s is in the %s:\n%s", canary, where, text)
		}
	}
	if auth.HoldsSecret(text) {
		t.Errorf("a token is in the %s:\n%s", where, text)
	}
}

var alice = logintest.Member{ID: 9919, State: "active", Teams: map[string]string{"ops": "active", "dev": "pending"}}

func aliceAtGitHub() *logintest.GitHub {
	return &logintest.GitHub{Login: "Alice", ID: 583231, Member: map[string]logintest.Member{"acme": alice}}
}

// instead answers requests to a path.
func instead(path string, answer http.HandlerFunc) func(http.ResponseWriter, *http.Request) bool {
	return func(w http.ResponseWriter, r *http.Request) bool {
		if r.URL.Path != path {
			return false
		}
		answer(w, r)
		return true
	}
}
