package server

import (
	"log/slog"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/octostore/octostore/cmd/octostore/internal/config"
	"github.com/octostore/octostore/cmd/octostore/internal/octotest"
	"github.com/octostore/octostore/core/lock"
	"github.com/octostore/octostore/core/store/sqlite"
)

// A backup over HTTP is a whole database with the leases of its moment. The audit log says
// who got it, and the server knows its time, after a restart too.
func TestBackupOverHTTP(t *testing.T) {
	dir := t.TempDir()
	cfg := testConfig(t)
	cfg.DB = config.Path(filepath.Join(dir, "o.db"))
	s, err := startServer(t.Context(), cfg, slog.New(slog.DiscardHandler), openSQLite)
	if err != nil {
		t.Fatal(err)
	}
	octotest.Expect(t, s.call("POST", "/v1/locks/a/acquire?ttl=1h"), 200, "lease_id")
	got := s.call("GET", "/v1/backup")
	octotest.Expect(t, got, 200, "SQLite format 3")
	octotest.Expect(t, s.call("GET", "/v1/audit?kind=backed_up"), 200, " bytes, SHA-256 ")
	last := func() time.Time { return s.serving().store.(copier).LastBackup() }
	octotest.WaitUntil(t, "its time is known", func() bool { return !last().IsZero() })
	at := last()
	if err := s.stop(); err != nil {
		t.Error(err)
	}
	copied := filepath.Join(dir, "copy.db")
	if err := os.WriteFile(copied, []byte(got.Body), 0o600); err != nil {
		t.Fatal(err)
	}
	in, err := sqlite.Examine(t.Context(), copied, func(sqlite.Inspection) (none func(lock.Segment) error) { return nil })
	if err != nil || len(in.Leases) != 1 {
		t.Errorf("the copy: %d leases, %v", len(in.Leases), err)
	}
	s, err = startServer(t.Context(), cfg, slog.New(slog.DiscardHandler), openSQLite)
	if err != nil {
		t.Fatal(err)
	}
	if !last().Equal(at) {
		t.Errorf("after a restart the last backup was at %v, want %v", last(), at)
	}
	if err := s.stop(); err != nil {
		t.Error(err)
	}
	left, err := filepath.Glob(filepath.Join(dir, "*partial*"))
	if err != nil || len(left) > 0 {
		t.Errorf("left: %v, %v", left, err)
	}
}
