package sqlite

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/octostore/octostore/core/lock"
	"github.com/octostore/octostore/core/store/storetest"
)

// filesBeside lists the folder of a database.
func filesBeside(t *testing.T, path string) []string {
	t.Helper()
	entries, err := os.ReadDir(filepath.Dir(path))
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, e := range entries {
		names = append(names, e.Name())
	}
	return names
}

// A copy is a database of one moment, and nothing of it stays in the folder.
func TestCopyOfAnOpenStore(t *testing.T) {
	s := open(t, Config{Path: newPath(t)})
	secret := storetest.Load(t, s).Secret
	var line storetest.Line
	for n := range 200 {
		line.Commit(t, s, 1, storetest.Row(lock.Name(fmt.Sprintf("l/%d", n)), line.Head.Seq+1, time.Minute))
	}
	before := filesBeside(t, s.path)
	c, err := s.Copy(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	at := line.Head
	line.Commit(t, s, 1) // not in the copy
	if now := filesBeside(t, s.path); !slices.Equal(now, before) {
		t.Errorf("the folder has %v, and had %v", now, before)
	}
	if _, err := s.Copy(t.Context()); !errors.Is(err, ErrCopying) {
		t.Errorf("a second copy: %v", err)
	}
	content, err := io.ReadAll(c)
	if err != nil {
		t.Fatal(err)
	}
	if int64(len(content)) != c.Size || sha256.Sum256(content) != c.SHA256 {
		t.Errorf("%d bytes were read, size and digest are those of others (%d)", len(content), c.Size)
	}
	if err := c.Close(); err != nil {
		t.Error(err)
	}
	again, err := s.Copy(t.Context())
	if err != nil {
		t.Fatalf("after the first is closed: %v", err)
	}
	_ = again.Close()
	_ = c.Close() // closing twice does not let two copies be made
	target := newPath(t)
	if err := os.WriteFile(target, content, 0o600); err != nil {
		t.Fatal(err)
	}
	snap := storetest.Load(t, open(t, Config{Path: target}))
	if snap.Head != at || string(snap.Secret) != string(secret) || len(snap.Leases) != 200 {
		t.Errorf("the copy ends at %v with %d leases, want %v with 200", snap.Head, len(snap.Leases), at)
	}
}

// A copy does not fill the disk: it does not begin without space, and is given up when the
// space gets short. Then there is none of it left, and the next may be made.
func TestCopyLeavesSpace(t *testing.T) {
	left := func() (int64, bool) { return 1 << 30, true }
	s := open(t, Config{Path: newPath(t), freeSpace: func() (int64, bool) { return left() }})
	storetest.Load(t, s)
	var line storetest.Line
	line.Commit(t, s, 1)
	before := filesBeside(t, s.path)
	refused := func(name string) {
		t.Helper()
		if _, err := s.Copy(t.Context()); !errors.Is(err, lock.ErrFull) {
			t.Errorf("%s: %v, want that the disk is full", name, err)
		}
		if now := filesBeside(t, s.path); !slices.Equal(now, before) {
			t.Errorf("%s: the folder has %v, and had %v", name, now, before)
		}
	}
	left = func() (int64, bool) { return spareBefore, true }
	refused("as much space as has to be spared")
	left = func() (int64, bool) { return 1 << 30, true }
	s.reserve.full.Store(true)
	refused("a full disk")
	s.reserve.full.Store(false)
	c, err := s.Copy(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	_ = c.Close()
	ctx, cancel := context.WithCancelCause(t.Context())
	left = func() (int64, bool) { return spareDuring - 1, true }
	s.watchSpace(ctx, cancel)()
	if !errors.Is(context.Cause(ctx), lock.ErrFull) {
		t.Errorf("while it is written: %v", context.Cause(ctx))
	}
}

// What a crash leaves of a copy is gone after the next start.
func TestCopyLeftByACrashIsRemoved(t *testing.T) {
	path := newPath(t)
	for _, name := range []string{path + draftSuffix, path + draftSuffix + "-journal"} {
		if err := os.WriteFile(name, []byte("a part"), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	s := open(t, Config{Path: path})
	for _, name := range []string{path + draftSuffix, path + draftSuffix + "-journal"} {
		if _, err := os.Stat(name); !errors.Is(err, os.ErrNotExist) {
			t.Errorf("%s: %v", name, err)
		}
	}
	storetest.Load(t, s)
	new(storetest.Line).Commit(t, s, 1)
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := s.Copy(ended); !errors.Is(err, context.Canceled) {
		t.Errorf("with a context that has ended: %v", err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Copy(t.Context()); !errors.Is(err, ErrClosed) {
		t.Errorf("of a closed store: %v", err)
	}
}

// The time of the newest backup is known after a restart.
func TestCopyIsOnRecord(t *testing.T) {
	path := newPath(t)
	s := open(t, Config{Path: path})
	storetest.Load(t, s)
	if !s.LastBackup().IsZero() {
		t.Errorf("before any: %v", s.LastBackup())
	}
	at := time.Date(2026, 11, 27, 20, 0, 0, 7, time.UTC)
	if err := s.RecordBackup(at); err != nil {
		t.Fatal(err)
	}
	if got := s.LastBackup(); !got.Equal(at) {
		t.Errorf("LastBackup = %v, want %v", got, at)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	if got := open(t, Config{Path: path}).LastBackup(); !got.Equal(at) {
		t.Errorf("after a restart: %v, want %v", got, at)
	}
}
