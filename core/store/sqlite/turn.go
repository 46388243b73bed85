package sqlite

import (
	"context"
	"fmt"
	"time"

	"github.com/octostore/octostore/core/store/sqlite/internal/conn"
)

// beginTimeout is how long SQLite waits for the lock of another process at a time.
const beginTimeout = 100 * time.Millisecond

// begin begins the transaction of a commit. Somebody's sqlite3 may keep the database
// locked. Nothing has been written then, so it is safe to wait for as long as that
// takes, until ctx ends or the store is closed. Callers do not wait as long: the table
// answers them.
func (s *Store) begin(ctx context.Context) error {
	err := s.w.Begin.Run()
	if !conn.FailedWith(err, conn.CodeBusy) {
		return err
	}
	since := time.Now()
	s.log.Warn("another process keeps the database locked; changes wait for it", "path", s.path)
	for conn.FailedWith(err, conn.CodeBusy) {
		select {
		case <-ctx.Done():
			return fmt.Errorf("gave up waiting for another process: %w", err)
		case <-s.failed:
			return fmt.Errorf("stopped while waiting for another process: %w", s.stopped())
		case <-s.stop:
			return fmt.Errorf("closed while waiting for another process: %w", err)
		case <-time.After(beginTimeout / 10): // where SQLite does not wait by itself
		}
		err = s.w.Begin.Run()
	}
	if err == nil {
		s.log.Info("the database is not locked any more; changes go on", "path", s.path, "waited", time.Since(since).Round(time.Millisecond))
	}
	return err
}
