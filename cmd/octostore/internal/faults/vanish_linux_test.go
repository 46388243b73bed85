package faults_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/octostore/octostore/cmd/octostore/internal/octotest"
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
			p := octotest.Start(t, dir)
			held := p.Take(t, "a", "?ttl=1h")
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
			octotest.WaitUntil(t, "nothing is answered from memory", func() bool {
				got := octotest.Call("GET", p.Addr, "/v1/locks/a")
				return got.Err != nil || got.Status >= 500
			})
			stopped := time.Since(gone)
			ended, err := p.Wait(octotest.Patient)
			if err != nil || ended.Success() {
				t.Fatalf("the server: %v, %v", ended, err)
			}
			if log := p.RawLog(); !strings.Contains(log, test.want) {
				t.Errorf("the log does not say %q:\n%s", test.want, log)
			}
			t.Logf("it stopped answering after %s", stopped)
			if !test.kept {
				return
			}
			octotest.Expect(t, octotest.Start(t, dir).Renew(held), 200, `"lease_id"`)
		})
	}
}

// While a server runs a second one on the same file is refused, though the lock file
// was deleted.
func TestVanishedLockLetsNoSecondServerIn(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	p := octotest.Start(t, dir)
	p.Take(t, "a", "?ttl=1h")
	if err := os.Remove(filepath.Join(dir, "octostore.db-lock")); err != nil {
		t.Fatal(err)
	}
	second, err := octotest.TryStart(dir)
	select {
	case <-p.Done: // it has noticed before the second one was there
		if err == nil {
			second.Kill()
		}
		return
	default:
	}
	if err == nil {
		second.Kill()
		if _, err := p.Wait(time.Second); err != nil {
			t.Error("there were two servers")
		}
		return
	}
	if !strings.Contains(err.Error(), "in use by another server") {
		t.Errorf("the second server said %v", err)
	}
}
