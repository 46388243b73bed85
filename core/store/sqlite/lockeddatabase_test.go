package sqlite

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/octostore/octostore/core/auth"
	"github.com/octostore/octostore/core/journal"
	"github.com/octostore/octostore/core/lock"
	"github.com/octostore/octostore/core/store/sqlite/internal/conn"
	"github.com/octostore/octostore/core/store/storetest"
)

// intruder is another process, such as a sqlite3, that keeps the database locked.
type intruder struct {
	t *testing.T
	c *conn.Conn
}

func newIntruder(t *testing.T, s *Store) *intruder {
	t.Helper()
	c, err := conn.Open(s.path, conn.ReadWrite)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	i := &intruder{t, c}
	i.exec("BEGIN IMMEDIATE")
	return i
}

func (i *intruder) exec(sql string) {
	i.t.Helper()
	if err := i.c.Exec(sql); err != nil {
		i.t.Fatal(err)
	}
}

// If another process keeps the database locked, commits wait and do not fail: nothing was
// written. The log says once when that begins, and once when it is over.
func TestLockedDatabaseDelaysCommits(t *testing.T) {
	t.Parallel()
	var log told
	s := open(t, Config{Path: newPath(t), Logger: log.logger()})
	storetest.Load(t, s)
	var line storetest.Line
	line.Commit(t, s, 1)
	other := newIntruder(t, s)

	b := line.Batch(1, storetest.Row("a", line.Head.Seq+1, time.Minute))
	committed := make(chan error, 1)
	go func() { committed <- s.Commit(t.Context(), b) }()
	eventually(t, "it says that it waits", func() bool { return strings.Contains(log.String(), "keeps the database locked") })
	time.Sleep(5 * beginTimeout) // several of the times SQLite waits by itself
	select {
	case err := <-committed:
		t.Fatalf("commit = %v while another process keeps the database locked", err)
	default:
	}
	if _, err := s.Segments(t.Context(), 0, 10); err != nil {
		t.Errorf("reading meanwhile: %v", err)
	}
	if s.Full() {
		t.Error("Full() = true")
	}

	other.exec("ROLLBACK")
	if err := <-committed; err != nil {
		t.Fatalf("commit = %v after the database was let go", err)
	}
	line.Head = b.Next
	line.Commit(t, s, 1)
	for _, part := range []string{"level=WARN", "level=INFO", "keeps the database locked", "no longer locked"} {
		if n := strings.Count(log.String(), part); n != 1 {
			t.Errorf("%q is told %d times:\n%s", part, n, log.String())
		}
	}
}

// A waiting commit ends with its context, or with Close. It was certainly not made.
func TestLockedDatabaseWaitCanBeCancelled(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		name   string
		giveUp func(*testing.T, *Store, func())
	}{
		{"by its context", func(_ *testing.T, _ *Store, cancel func()) { cancel() }},
		{"by closing the store", func(t *testing.T, s *Store, _ func()) {
			if err := s.Close(); err != nil {
				t.Errorf("close: %v", err)
			}
		}},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			var log told
			cfg := Config{Path: newPath(t), Logger: log.logger()}
			s := open(t, cfg)
			storetest.Load(t, s)
			var line storetest.Line
			line.Commit(t, s, 1)
			other := newIntruder(t, s)
			ctx, cancel := context.WithCancel(t.Context())
			defer cancel()

			b := line.Batch(1, storetest.Row("a", line.Head.Seq+1, time.Minute))
			committed := make(chan error, 1)
			go func() { committed <- s.Commit(ctx, b) }()
			eventually(t, "it says that it waits", func() bool { return strings.Contains(log.String(), "keeps the database locked") })
			test.giveUp(t, s, cancel)
			if err := <-committed; err == nil || errors.Is(err, lock.ErrFull) || !strings.Contains(err.Error(), "waiting for another process") {
				t.Errorf("commit = %v", err)
			}
			if err := s.Commit(t.Context(), b); err == nil {
				t.Error("the store goes on after a commit that was given up")
			}
			other.exec("ROLLBACK")
			s.Close() // again, maybe
			if got := storetest.Load(t, open(t, cfg)).Head; got != line.Head {
				t.Errorf("head = %v, want %v", got, line.Head)
			}
		})
	}
}

// Writes other than commits need not happen now. While another process keeps the database
// locked they fail without a change, and commits go on afterwards.
func TestLockedDatabaseFailsOtherWrites(t *testing.T) {
	s := open(t, Config{Path: newPath(t)})
	storetest.Load(t, s)
	var line storetest.Line
	line.Commit(t, s, 1)
	cut := line.Head
	line.Commit(t, s, 1)
	for name, change := range map[string]func() error{
		"pruning": func() error { return s.Prune(t.Context(), cut) },
		"places": func() error {
			return s.SetObserverCursors(t.Context(), []journal.ObserverCursor{{Observer: "o", After: cut.Seq}}, nil)
		},
		"tokens": func() error { return s.PutTokens(t.Context(), auth.Token{ID: "t"}) },
	} {
		other := newIntruder(t, s)
		if err := change(); err == nil || !strings.Contains(err.Error(), "another process keeps") {
			t.Errorf("%s: %v", name, err)
		}
		other.exec("ROLLBACK")
		line.Commit(t, s, 1)
		if err := change(); err != nil {
			t.Errorf("%s after the database was let go: %v", name, err)
		}
	}
}
