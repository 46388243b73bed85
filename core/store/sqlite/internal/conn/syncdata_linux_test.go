package conn

import (
	"path/filepath"
	"testing"

	sqlite3 "modernc.org/sqlite/lib"
)

// The first sync of a log makes its name durable as well and is left to SQLite; later ones
// are of the data only, and a failure of one fails the commit.
func TestWALFileSyncsItsDataOnly(t *testing.T) {
	c, err := Open(filepath.Join(t.TempDir(), "sync.db"), ReadWrite|Create)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if _, err := c.TextOf("PRAGMA journal_mode = WAL"); err != nil {
		t.Fatal(err)
	}
	if _, err := c.IntOf("PRAGMA schema_version"); err != nil {
		t.Fatal(err)
	}
	if err := c.JoinWALWrites(); err != nil {
		t.Fatal(err)
	}
	w := theWALFile(t)
	if w.named {
		t.Error("the name of the log counts as durable before a sync")
	}
	if err := c.Exec("CREATE TABLE t (v)"); err != nil {
		t.Fatal(err)
	}
	if !w.named {
		t.Error("the first commit did not sync the log with its name")
	}
	if rc, done := syncData(c.tls, w.address); rc != sqlite3.SQLITE_OK || !done {
		t.Errorf("sync of the data = %d, %v", rc, done)
	}
	file := (*sqlite3.TunixFile)(at(w.address))
	fd := file.Fh
	file.Fh = -1
	rc := walSync(c.tls, w.address, 0)
	file.Fh = fd
	if rc != sqlite3.SQLITE_IOERR_FSYNC {
		t.Errorf("a sync that fails = %d, want %d", rc, sqlite3.SQLITE_IOERR_FSYNC)
	}
}

func theWALFile(t *testing.T) (w *walFile) {
	t.Helper()
	walFiles.Range(func(_, v any) bool { w = v.(*walFile); return true })
	if w == nil {
		t.Fatal("no log is open")
	}
	return w
}
