package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// The files of the database are taken from a server that has nothing to commit: it
// stops answering what it remembers, and ends with what happened.
func TestVanishedFilesEndTheServer(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		name, pattern, want string
		kept                bool
	}{
		{"the database and all beside it", "octostore.db*", "octostore.db was deleted", false},
		{"the write-ahead log", "octostore.db-wal", "octostore.db-wal was deleted", true},
		{"the lock file", "octostore.db-lock", "octostore.db-lock was deleted", true},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			dir := t.TempDir()
			p := newProcess(t, dir)
			held := take(t, p, "a", "?ttl=1h")
			found, err := filepath.Glob(filepath.Join(dir, test.pattern))
			if err != nil || len(found) == 0 {
				t.Fatalf("%v, %v", found, err)
			}
			for _, path := range found {
				if err := os.Remove(path); err != nil {
					t.Fatal(err)
				}
			}
			gone := time.Now()
			waitUntil(t, "nothing is answered from memory", func() bool {
				got := call("GET", p.Addr, "/v1/locks/a")
				return got.err != nil || got.status >= 500
			})
			stopped := time.Since(gone)
			ended, err := p.wait(patient)
			if err != nil || ended.Success() {
				t.Fatalf("the server: %v, %v", ended, err)
			}
			if log := p.rawLog(); !strings.Contains(log, test.want) {
				t.Errorf("the log does not say %q:\n%s", test.want, log)
			}
			t.Logf("it stopped answering after %s", stopped)
			if !test.kept {
				return
			}
			expect(t, renew(newProcess(t, dir), held), 200, `"lease_id"`)
		})
	}
}

// While a server runs a second one on the same file is refused, though the lock file
// was deleted.
func TestVanishedLockLetsNoSecondServerIn(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	p := newProcess(t, dir)
	take(t, p, "a", "?ttl=1h")
	if err := os.Remove(filepath.Join(dir, "octostore.db-lock")); err != nil {
		t.Fatal(err)
	}
	second, err := startProcess(dir)
	select {
	case <-p.done: // it has noticed before the second one was there
		if err == nil {
			second.kill()
		}
		return
	default:
	}
	if err == nil {
		second.kill()
		if _, err := p.wait(time.Second); err != nil {
			t.Error("there were two servers")
		}
		return
	}
	if !strings.Contains(err.Error(), "in use by another server") {
		t.Errorf("the second server said %v", err)
	}
}
