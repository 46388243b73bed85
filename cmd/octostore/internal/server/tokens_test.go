package server

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"log/slog"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/octostore/octostore/cmd/octostore/internal/config"
	"github.com/octostore/octostore/cmd/octostore/internal/offline"
	"github.com/octostore/octostore/core/auth"
	"github.com/octostore/octostore/core/store/memory"
	"github.com/octostore/octostore/core/store/sqlite"
	"github.com/octostore/octostore/transport/api"
	"github.com/octostore/octostore/transport/client"
)

// as sends a request with a token.
func (s *server) as(t *testing.T, secret, method, path string) answer {
	t.Helper()
	request, err := http.NewRequest(method, "http://"+s.listener.Addr().String()+path, nil)
	if err != nil {
		t.Fatal(err)
	}
	request.Close = true
	request.Header.Set("Authorization", "Bearer "+secret)
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	return answer{status: response.StatusCode, body: string(body), err: err}
}

// A token that is taken out of the file stops working at the next SIGHUP, and a request
// that waits with it is refused.
func TestSIGHUPReadsTheTokensFileAgain(t *testing.T) {
	path := filepath.Join(t.TempDir(), "tokens")
	alice, bob := auth.NewSecret(), auth.NewSecret()
	write := func(text string) {
		t.Helper()
		// Replaced in one step: a reload that is still under way must not read half a file.
		if err := os.WriteFile(path+".new", []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		if err := os.Rename(path+".new", path); err != nil {
			t.Fatal(err)
		}
	}
	write("alice:" + alice + "\nbob:" + bob + "\n")
	var log syncedBuilder
	cfg := testConfig(t)
	cfg.TokensFile = config.File(path)
	s, err := startServer(t.Context(), cfg, slog.New(slog.NewTextHandler(&log, nil)),
		func(context.Context, string, *slog.Logger) (storage, error) { return &shelf{Store: memory.New()}, nil })
	if err != nil {
		t.Fatal(err)
	}
	expect(t, s.call("GET", "/v1/locks"), 401, "unauthenticated")
	expect(t, s.as(t, alice, "POST", "/v1/locks/a/acquire?ttl=1h"), 200, `"account":"alice"`)
	waits := make(chan answer, 1)
	go func() { waits <- s.as(t, bob, "POST", "/v1/locks/a/acquire?wait=1m") }()
	waitUntil(t, "bob waits", func() bool { return s.table.Stats().Waiters == 1 })

	write("nonsense")
	if err := hangUp(); err != nil {
		t.Fatal(err)
	}
	waitUntil(t, "the file is refused", func() bool { return strings.Contains(log.String(), "the tokens file cannot be used") })
	expect(t, s.as(t, bob, "GET", "/v1/locks"), 200, "")
	write("alice:" + alice + "\n")
	if err := hangUp(); err != nil {
		t.Fatal(err)
	}
	expect(t, <-waits, 401, "has been revoked")
	expect(t, s.as(t, bob, "GET", "/v1/locks"), 401, "is not known")
	expect(t, s.as(t, alice, "GET", "/v1/locks"), 200, "")
	if err := s.stop(); err != nil {
		t.Error(err)
	}
}

// lines is a log several goroutines write to.
type lines struct {
	mu sync.Mutex
	bytes.Buffer
}

func (l *lines) Write(b []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.Buffer.Write(b)
}

// The secrets of tokens are in no file of a server, nor in a backup, nor in its log.
func TestSecretsAreInNoFile(t *testing.T) {
	dir := t.TempDir()
	cfg := testConfig(t)
	cfg.DB = config.Path(filepath.Join(dir, "o.db"))
	var log lines
	s, err := startServer(t.Context(), cfg, slog.New(slog.NewTextHandler(&log, &slog.HandlerOptions{Level: slog.LevelDebug})), openSQLite)
	if err != nil {
		t.Fatal(err)
	}
	created := func(got answer) api.NewToken {
		t.Helper()
		var made api.NewToken
		if err := json.Unmarshal([]byte(got.body), &made); err != nil || !strings.HasPrefix(made.Secret, "octo_") {
			t.Fatalf("%d %s", got.status, got.body)
		}
		return made
	}
	root := created(s.call("POST", "/v1/tokens?account=root&scopes=admin"))
	ci := created(s.as(t, root.Secret, "POST", "/v1/tokens?account=ci&scopes=acquire,read:**"))
	next := created(s.as(t, root.Secret, "POST", "/v1/tokens/"+ci.ID+"/rotate?grace=1h"))
	stranger := auth.NewSecret()
	expect(t, s.as(t, ci.Secret, "POST", "/v1/locks/a/acquire"), 200, "lease_id")
	expect(t, s.as(t, next.Secret, "POST", "/v1/locks/a/break?reason=x"), 403, "")
	expect(t, s.as(t, stranger, "POST", "/v1/locks/a/acquire"), 401, "")
	expect(t, s.as(t, root.Secret, "POST", "/v1/locks/a/acquire?token="+next.Secret), 400, "is in the URL")
	if err := sqlite.Backup(t.Context(), string(cfg.DB), filepath.Join(dir, "copy.db")); err != nil {
		t.Fatal(err)
	}
	running := readAll(t, dir) // with the write-ahead log
	if err := s.stop(); err != nil {
		t.Fatal(err)
	}
	places := map[string][]byte{"the log": log.Bytes(), "the files while it ran": running, "the files after it": readAll(t, dir)}
	for where, text := range places {
		if len(text) == 0 {
			t.Errorf("%s: nothing was looked at", where)
		}
		for i, secret := range []string{root.Secret, ci.Secret, next.Secret, stranger} {
			if bytes.Contains(text, []byte(secret[5:30])) {
				t.Errorf("secret %d is in %s", i, where)
			}
		}
	}
}

// readAll returns what all files of a folder hold, but for the reserve.
func readAll(t *testing.T, dir string) (all []byte) {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(dir, "*"))
	if err != nil {
		t.Fatal(err)
	}
	for _, file := range files {
		if strings.HasSuffix(file, "-ballast") {
			continue
		}
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, text...)
	}
	return all
}

// Offline changes of tokens are in the audit log like all others.
func TestOfflineChangesAreRecorded(t *testing.T) {
	cfg := testConfig(t)
	cfg.DB = config.Path(filepath.Join(t.TempDir(), "o.db"))
	db, err := offline.Open(t.Context(), string(cfg.DB))
	if err != nil {
		t.Fatal(err)
	}
	made, err := db.CreateToken(t.Context(), client.TokenSpec{Account: "root", Scopes: "admin"})
	if err != nil {
		t.Fatal(err)
	}
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
	s, err := startServer(t.Context(), cfg, slog.New(slog.DiscardHandler), openSQLite)
	if err != nil {
		t.Fatal(err)
	}
	expect(t, s.as(t, made.Secret, "GET", "/v1/audit?kind=token_created"), 200, `octostore token, on the database`)
	if err := s.stop(); err != nil {
		t.Error(err)
	}
}
