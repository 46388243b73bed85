package server

import (
	"log/slog"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/octostore/octostore/cmd/octostore/internal/config"
	"github.com/octostore/octostore/cmd/octostore/internal/octotest"
	"github.com/octostore/octostore/cmd/octostore/internal/offline"
	"github.com/octostore/octostore/core/store/sqlite"
	"github.com/octostore/octostore/transport/client"
)

// A server with a database deletes tokens that have ended, and keeps the leases of their
// accounts. A restart does not open it again, and a backup from before has them as ended.
func TestTokensPrunedByAServer(t *testing.T) {
	cfg := testConfig(t)
	dir := t.TempDir()
	cfg.DB = config.Path(filepath.Join(dir, "o.db"))
	cfg.TokenRetention = time.Second
	db, err := offline.OpenFile(t.Context(), string(cfg.DB))
	if err != nil {
		t.Fatal(err)
	}
	var secrets, ids []string
	for range 2 {
		made, err := db.CreateToken(t.Context(), client.TokenSpec{Account: "ops", Scopes: "admin acquire,read,audit:**"})
		if err != nil {
			t.Fatal(err)
		}
		secrets, ids = append(secrets, made.Secret), append(ids, made.ID)
	}
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
	start := func() *server {
		t.Helper()
		s, err := startServer(t.Context(), cfg, slog.New(slog.DiscardHandler), openSQLite)
		if err != nil {
			t.Fatal(err)
		}
		return s
	}
	s := start()
	octotest.Expect(t, s.as(secrets[0], "POST", "/v1/locks/a/acquire?ttl=1h"), 200, "")
	octotest.Expect(t, s.as(secrets[1], "DELETE", "/v1/tokens/"+ids[0]), 200, "")
	copied := filepath.Join(dir, "copy.db")
	if err := sqlite.Backup(t.Context(), string(cfg.DB), copied, nil); err != nil {
		t.Fatal(err)
	}
	octotest.WaitUntil(t, "the token is deleted", func() bool {
		return strings.Contains(s.as(secrets[0], "GET", "/v1/locks").Body, "is not known")
	})
	octotest.Expect(t, s.as(secrets[1], "GET", "/v1/audit?kind=tokens_pruned"), 200, ids[0])
	octotest.Expect(t, s.as(secrets[1], "GET", "/v1/locks/a"), 200, `"account":"ops"`)
	octotest.Expect(t, s.as(secrets[1], "DELETE", "/v1/tokens/"+ids[1]), 200, "")
	if err := s.stop(); err != nil {
		t.Fatal(err)
	}
	s = start()
	octotest.Expect(t, s.as(secrets[0], "GET", "/v1/locks"), 401, "is not known")
	octotest.Expect(t, s.call("GET", "/v1/locks"), 401, "unauthenticated")
	if err := s.stop(); err != nil {
		t.Fatal(err)
	}
	cfg.DB, cfg.TokenRetention = config.Path(copied), time.Hour
	s = start()
	octotest.Expect(t, s.as(secrets[0], "GET", "/v1/locks"), 401, "has been revoked")
	if err := s.stop(); err != nil {
		t.Fatal(err)
	}
}
