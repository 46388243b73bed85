package sqlite

import (
	"os"
	"testing"

	"github.com/octostore/octostore/core/store/sqlite/internal/host"
	"github.com/octostore/octostore/core/store/storetest"
)

// A backup is copied over the database and the log is removed, as for a restore, but while
// the server runs: saving the log must not write into the copy.
func TestCloseLeavesAnOverwrittenDatabase(t *testing.T) {
	if !host.HasInodeLocks {
		t.Skip("SKIP: the log is only rescued where the file can be kept open")
	}
	s, path, backup, _ := overwritten(t, never)
	mustRemove(t, path+"-wal", path+"-shm")
	s.markFailed(s.checkFiles())
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	checkSameFile(t, path, backup)
	if snap := storetest.Load(t, open(t, Config{Path: path})); snap.Head.Seq != 1 {
		t.Errorf("head = %v, want that of the backup", snap.Head)
	}
}

// A copy of the log is put in the place of the log. The commits since are in the database,
// and the copy must not undo them.
func TestCloseRestampsIfTheLogWasReplaced(t *testing.T) {
	if !host.HasInodeLocks {
		t.Skip("SKIP: the log is only rescued where the file can be kept open")
	}
	path := newPath(t)
	s := open(t, Config{Path: path, checkEvery: never})
	storetest.Load(t, s)
	var line storetest.Line
	line.Commit(t, s, 1)
	copied := newPath(t)
	copyFile(t, path+"-wal", copied)
	line.Commit(t, s, 1)
	if err := os.Rename(copied, path+"-wal"); err != nil {
		t.Fatal(err)
	}
	s.markFailed(s.checkFiles())
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	checkRefusedForItsLog(t, path)
	mustRemove(t, path+"-wal")
	if snap := storetest.Load(t, open(t, Config{Path: path})); snap.Head != line.Head {
		t.Errorf("without the copy the head is %v, want %v", snap.Head, line.Head)
	}
}
