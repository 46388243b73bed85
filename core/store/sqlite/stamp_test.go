package sqlite

import (
	"errors"
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/octostore/octostore/core/lock"
	"github.com/octostore/octostore/core/store/sqlite/internal/conn"
	"github.com/octostore/octostore/core/store/sqlite/internal/host"
	"github.com/octostore/octostore/core/store/storetest"
)

// crashed returns the path of a killed server: the database file, and a log with commits of
// the present cycle.
func crashed(t *testing.T, s *Store) (path string) {
	t.Helper()
	path = newPath(t)
	for _, suffix := range []string{"", "-wal"} {
		copyFile(t, s.path+suffix, path+suffix)
	}
	return path
}

// commitUntil commits until the log has started over the given number of times.
func commitUntil(t *testing.T, s *Store, line *storetest.Line, restarts int) {
	t.Helper()
	for before, n := 0, 0; n < restarts; {
		seq := line.Head.Seq + 1
		line.Commit(t, s, 1, bulkyRow(seq%20))
		s.mu.Lock()
		now := s.w.WALFrames()
		if seq%10 == 0 {
			s.checkpointNow() // or it takes a thousand commits
		}
		s.mu.Unlock()
		if now < before {
			n++
		}
		before = now
	}
}

// A backup is put in the place of the database while the write-ahead log stays. The store
// notices it, whenever and however the copy was made, and however short the log is.
func TestStampFindsALogOfAnotherDatabase(t *testing.T) {
	for _, commits := range []int{1, 20} {
		for _, restarts := range []int{0, 2} {
			t.Run(fmt.Sprintf("%d restarts and %d commits", restarts, commits), func(t *testing.T) {
				cfg := Config{Path: newPath(t), walSize: 64 << 10}
				s := open(t, cfg)
				storetest.Load(t, s)
				var line storetest.Line
				line.Commit(t, s, 1)
				s = reopen(t, s, cfg)
				storetest.Load(t, s)
				if err := s.Close(); err != nil {
					t.Fatal(err)
				}
				copied := newPath(t) // as cp makes it after a clean stop
				copyFile(t, cfg.Path, copied)

				s = open(t, cfg)
				storetest.Load(t, s)
				commitUntil(t, s, &line, restarts)
				backup := newPath(t)
				if err := Backup(t.Context(), cfg.Path, backup, nil); err != nil {
					t.Fatal(err)
				}
				for range commits {
					line.Commit(t, s, 1)
				}
				for _, source := range []string{copied, backup} {
					path := crashed(t, s)
					copyFile(t, source, path)
					checkRefusedForItsLog(t, path)
					mustRemove(t, path+"-wal")
					open(t, Config{Path: path})
				}
			})
		}
	}
}

func checkRefusedForItsLog(t *testing.T, path string) {
	t.Helper()
	_, err := Open(t.Context(), Config{Path: path})
	if !errors.Is(err, ErrOtherLog) || !strings.Contains(err.Error(), "remove "+path+"-wal") {
		t.Errorf("open = %v, want ErrOtherLog and the file to remove", err)
	}
	if err := Backup(t.Context(), path, path+"-copy", nil); !errors.Is(err, ErrOtherLog) {
		t.Errorf("backup = %v, want ErrOtherLog", err)
	}
	if _, err := Inspect(t.Context(), path, 0, nil); !errors.Is(err, ErrOtherLog) {
		t.Errorf("inspect = %v, want ErrOtherLog", err)
	}
	_, err = Examine(t.Context(), path, func(Inspection) func(lock.Segment) error { return nil })
	if !errors.Is(err, ErrOtherLog) {
		t.Errorf("examine = %v, want ErrOtherLog", err)
	}
}

// A start accepts what its own killed server left, in every state of the log and of the
// checkpoint.
func TestStampIsThatOfACrash(t *testing.T) {
	cfg := Config{Path: newPath(t), walSize: 64 << 10}
	s := open(t, cfg)
	storetest.Load(t, s)
	var line storetest.Line
	for round := range 12 {
		for range 1 + round%3 {
			line.Commit(t, s, 1, bulkyRow(line.Head.Seq%50))
		}
		switch round % 4 {
		case 1:
			commitUntil(t, s, &line, 1)
		case 2:
			s.mu.Lock()
			s.checkpointNow()
			s.mu.Unlock()
		case 3:
			if err := s.Close(); err != nil {
				t.Fatal(err)
			}
			s = open(t, cfg)
			storetest.Load(t, s)
		}
		path := crashed(t, s)
		left := open(t, Config{Path: path})
		if snap := storetest.Load(t, left); snap.Head != line.Head {
			t.Fatalf("round %d: head = %v, want %v", round, snap.Head, line.Head)
		}
		if err := left.Close(); err != nil {
			t.Fatal(err)
		}
	}
}

// A start that was killed right after its stamp leaves the old stamp in the file.
func TestStampOfAStartThatWasKilled(t *testing.T) {
	path := newPath(t)
	s := open(t, Config{Path: path})
	storetest.Load(t, s)
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	c, err := conn.Open(path, conn.ReadWrite)
	if err != nil {
		t.Fatal(err)
	}
	c.LeaveWAL()
	if err := c.Exec("PRAGMA schema_version = 12345"); err != nil {
		t.Fatal(err)
	}
	if err := c.Close(); err != nil {
		t.Fatal(err)
	}
	if host.SizeOf(path+"-wal") == 0 {
		t.Fatal("there is no log")
	}
	open(t, Config{Path: path})
}

// overwritten opens a database over which an older backup of it is copied while it is open.
func overwritten(t *testing.T, look time.Duration) (s *Store, path, backup string, line *storetest.Line) {
	t.Helper()
	path, backup, line = newPath(t), newPath(t), new(storetest.Line)
	s = open(t, Config{Path: path, checkEvery: look})
	storetest.Load(t, s)
	line.Commit(t, s, 1)
	if err := Backup(t.Context(), path, backup, nil); err != nil {
		t.Fatal(err)
	}
	line.Commit(t, s, 1)
	copyFile(t, backup, path)
	return s, path, backup, line
}

// checkSameFile fails unless a copy is still equal to its original.
func checkSameFile(t *testing.T, copied, from string) {
	t.Helper()
	want, err := os.ReadFile(from)
	if err != nil {
		t.Fatal(err)
	}
	if got, err := os.ReadFile(copied); err != nil || string(got) != string(want) {
		t.Errorf("the copy was changed (%v)", err)
	}
}

// A backup is copied over the database of a running server: the server notices, and leaves
// the copy as it is.
func TestStampIsLookedAtWhileAServerRuns(t *testing.T) {
	if !host.HasInodeLocks {
		t.Skip("the file is only looked into where it can be kept open")
	}
	s, path, backup, line := overwritten(t, time.Millisecond)
	select {
	case <-s.Failed():
	case <-time.After(10 * time.Second):
		t.Fatal("not noticed")
	}
	if err := s.Commit(t.Context(), line.Batch(1)); !errors.Is(err, ErrReplaced) || !strings.Contains(err.Error(), "was overwritten") {
		t.Errorf("commit = %v, want ErrReplaced", err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	checkSameFile(t, path, backup)
	checkRefusedForItsLog(t, path)
}

// Another program may change the schema cookie, as VACUUM does.
func TestStampMayBeChangedThroughTheLog(t *testing.T) {
	s := open(t, Config{Path: newPath(t), checkEvery: time.Millisecond})
	storetest.Load(t, s)
	var line storetest.Line
	line.Commit(t, s, 1)
	other, err := conn.Open(s.path, conn.ReadWrite)
	if err != nil {
		t.Fatal(err)
	}
	defer other.Close()
	if err := other.Exec("VACUUM"); err != nil {
		t.Fatal(err)
	}
	for range 3 {
		line.Commit(t, s, 1)
		s.mu.Lock()
		s.checkpointNow()
		err := s.checkStamp()
		s.mu.Unlock()
		if err != nil {
			t.Fatal(err)
		}
	}
	if snap := storetest.Load(t, open(t, Config{Path: crashed(t, s)})); snap.Head != line.Head {
		t.Errorf("head = %v, want %v", snap.Head, line.Head)
	}
}
