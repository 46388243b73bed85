package server

import (
	"bytes"
	"context"
	"encoding/json"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/octostore/octostore/cmd/octostore/internal/config"
	"github.com/octostore/octostore/cmd/octostore/internal/octotest"
	"github.com/octostore/octostore/cmd/octostore/internal/offline"
	"github.com/octostore/octostore/core/auth"
	"github.com/octostore/octostore/core/store/memory"
	"github.com/octostore/octostore/core/store/sqlite"
	"github.com/octostore/octostore/transport/api"
	"github.com/octostore/octostore/transport/client"
)

// as sends a request with a token.
func (s *server) as(secret, method, path string) octotest.Answer {
	return octotest.CallAs(secret, method, s.listener.Addr().String(), path)
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
	octotest.Expect(t, s.call("GET", "/v1/locks"), 401, "unauthenticated")
	octotest.Expect(t, s.as(alice, "POST", "/v1/locks/a/acquire?ttl=1h"), 200, `"account":"alice"`)
	waits := make(chan octotest.Answer, 1)
	go func() { waits <- s.as(bob, "POST", "/v1/locks/a/acquire?wait=1m") }()
	octotest.WaitUntil(t, "bob waits", func() bool { return s.serving().table.Stats().Waiters == 1 })

	write("nonsense")
	if err := hangUp(); err != nil {
		t.Fatal(err)
	}
	octotest.WaitUntil(t, "the file is refused", func() bool { return strings.Contains(log.String(), "the tokens file cannot be used") })
	octotest.Expect(t, s.as(bob, "GET", "/v1/locks"), 200, "")
	write("alice:" + alice + "\n")
	if err := hangUp(); err != nil {
		t.Fatal(err)
	}
	octotest.Expect(t, <-waits, 401, "has been revoked")
	octotest.Expect(t, s.as(bob, "GET", "/v1/locks"), 401, "is not known")
	octotest.Expect(t, s.as(alice, "GET", "/v1/locks"), 200, "")
	if err := s.stop(); err != nil {
		t.Error(err)
	}
}

// The secrets of tokens are in no file of a server, nor in a backup, nor in its log.
func TestSecretsAreInNoFile(t *testing.T) {
	dir := t.TempDir()
	cfg := testConfig(t)
	cfg.DB = config.Path(filepath.Join(dir, "o.db"))
	var log syncedBuilder
	s, err := startServer(t.Context(), cfg, slog.New(slog.NewTextHandler(&log, &slog.HandlerOptions{Level: slog.LevelDebug})), openSQLite)
	if err != nil {
		t.Fatal(err)
	}
	created := func(got octotest.Answer) api.NewToken {
		t.Helper()
		var made api.NewToken
		if err := json.Unmarshal([]byte(got.Body), &made); err != nil || !strings.HasPrefix(made.Secret, "octo_") {
			t.Fatalf("%d %s", got.Status, got.Body)
		}
		return made
	}
	root := created(s.call("POST", "/v1/tokens?account=root&scopes=admin"))
	ci := created(s.as(root.Secret, "POST", "/v1/tokens?account=ci&scopes=acquire,read:**"))
	next := created(s.as(root.Secret, "POST", "/v1/tokens/"+ci.ID+"/rotate?grace=1h"))
	stranger := auth.NewSecret()
	octotest.Expect(t, s.as(ci.Secret, "POST", "/v1/locks/a/acquire"), 200, "lease_id")
	octotest.Expect(t, s.as(next.Secret, "POST", "/v1/locks/a/break?reason=x"), 403, "")
	octotest.Expect(t, s.as(stranger, "POST", "/v1/locks/a/acquire"), 401, "")
	octotest.Expect(t, s.as(root.Secret, "POST", "/v1/locks/a/acquire?token="+next.Secret), 400, "is in the URL")
	if err := sqlite.Backup(t.Context(), string(cfg.DB), filepath.Join(dir, "copy.db"), nil); err != nil {
		t.Fatal(err)
	}
	running := readAll(t, dir) // with the write-ahead log
	if err := s.stop(); err != nil {
		t.Fatal(err)
	}
	places := map[string][]byte{"the log": []byte(log.String()), "the files while it ran": running, "the files after it": readAll(t, dir)}
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
	db, err := offline.OpenFile(t.Context(), string(cfg.DB))
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
	octotest.Expect(t, s.as(made.Secret, "GET", "/v1/audit?kind=token_created"), 200, `octostore token, on the database`)
	if err := s.stop(); err != nil {
		t.Error(err)
	}
}
