package sqlite

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/octostore/octostore/core/store/storetest"
)

// The database file of a running server is deleted while its log stays: the next start must
// not begin with an empty database.
func TestMissingDatabaseBesideItsLogIsRefused(t *testing.T) {
	path := newPath(t)
	s := open(t, Config{Path: path, checkEvery: never})
	storetest.Load(t, s)
	var line storetest.Line
	line.Commit(t, s, 1)
	if err := os.Rename(path, path+"-kept"); err != nil {
		t.Fatal(err)
	}
	s.markFailed(s.checkFiles())
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	before := filesIn(t, filepath.Dir(path))
	for range 2 {
		_, err := Open(t.Context(), Config{Path: path})
		for _, err := range []error{err, CheckLocation(path)} {
			if !errors.Is(err, ErrMissing) || !strings.Contains(err.Error(), path) || !strings.Contains(err.Error(), "remove "+path+"-wal") {
				t.Fatalf("open = %v, want ErrMissing and the file to remove", err)
			}
		}
	}
	if after := filesIn(t, filepath.Dir(path)); after != before {
		t.Errorf("the folder had %s, and after the refused start has %s", before, after)
	}
	if err := os.Rename(path+"-kept", path); err != nil {
		t.Fatal(err)
	}
	s = open(t, Config{Path: path})
	if snap := storetest.Load(t, s); snap.Head != line.Head {
		t.Errorf("with its file back the head is %v, want %v", snap.Head, line.Head)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}

	// With the log removed too, or an empty log, a start succeeds.
	mustRemove(t, path)
	writeFile(t, path+"-wal", nil)
	open(t, Config{Path: path})
}
