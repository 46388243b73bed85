package sqlite

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"go.uber.org/goleak"

	"github.com/octostore/octostore/core/journal"
	"github.com/octostore/octostore/core/store/storetest"
)

func TestMain(m *testing.M) {
	if path := os.Getenv(childEnv); path != "" {
		child(path)
	}
	goleak.VerifyTestMain(m)
}

// open opens a store that is closed with the test.
func open(t testing.TB, cfg Config) *Store {
	t.Helper()
	if cfg.walSize == 0 {
		cfg.walSize = 64 << 10
	}
	if cfg.Reserve == 0 {
		cfg.Reserve = 256 << 10
	}
	s, err := Open(t.Context(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil && !errors.Is(err, ErrClosed) {
			t.Errorf("close: %v", err)
		}
	})
	return s
}

// reopen closes the store and opens its database again.
func reopen(t testing.TB, s *Store, cfg Config) *Store {
	t.Helper()
	if err := s.Close(); err != nil {
		t.Fatalf("close: %v", err)
	}
	return open(t, cfg)
}

// newPath returns the path of a database that does not exist yet.
func newPath(t testing.TB) string { return filepath.Join(t.TempDir(), "octostore.db") }

func TestStore(t *testing.T) {
	storetest.Run(t, func(t *testing.T) storetest.Fixture {
		cfg := Config{Path: newPath(t)}
		s := open(t, cfg)
		return storetest.Fixture{
			Store:  s,
			Reopen: func() journal.Store { s = reopen(t, s, cfg); return s },
			Fill:   func(full bool) { limitPages(t, s, full) },
		}
	})
}

// limitPages stops the database file from growing, or lets it grow again.
func limitPages(t testing.TB, s *Store, full bool) {
	t.Helper()
	s.mu.Lock()
	defer s.mu.Unlock()
	most := int64(1 << 30)
	if full {
		var err error
		if most, err = s.w.IntOf("PRAGMA page_count"); err != nil {
			t.Fatal(err)
		}
	}
	if err := s.w.Exec(fmt.Sprintf("PRAGMA max_page_count = %d", most)); err != nil {
		t.Fatal(err)
	}
}
