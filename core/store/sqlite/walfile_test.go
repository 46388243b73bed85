package sqlite

import (
	"fmt"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/octostore/octostore/core/store/sqlite/internal/conn"
	"github.com/octostore/octostore/core/store/storetest"
)

// All pages of a commit go to the log in one write, which is followed by one sync.
func TestWALFileGetsACommitInOneWrite(t *testing.T) {
	d := newDisk(t)
	s := open(t, Config{Path: newPath(t)})
	storetest.Load(t, s)
	var line storetest.Line
	line.Commit(t, s, 1) // the first commit of a log writes its header, too
	d.record(t, s.path)
	line.Commit(t, s, 3, storetest.Row("a", 2, time.Minute), storetest.Row("b", 3, time.Minute))
	var kinds []string
	for _, op := range d.ops {
		kinds = append(kinds, op.kind)
	}
	if want := []string{"write", "sync"}; !slices.Equal(kinds, want) {
		t.Errorf("a commit did %q, want %q", kinds, want)
	}
}

// A transaction that does not fit into the memory of SQLite goes to the log before its
// commit, in part more than once, and is read back meanwhile. Other connections see all of
// it after the commit, and nothing of what is rolled back.
func TestWALFileOfALargeTransaction(t *testing.T) {
	const rows = 3000 // of a page, with a cache of 10 pages
	path := filepath.Join(t.TempDir(), "large.db")
	w := openJoined(t, path)
	runAll(t, w, "CREATE TABLE t (n INTEGER PRIMARY KEY, v INTEGER, pad BLOB)")
	fill := "WITH RECURSIVE c(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM c WHERE n < 3000) INSERT INTO t SELECT n, 1, zeroblob(3000) FROM c"
	runAll(t, w, "BEGIN", fill, "UPDATE t SET v = 2", "UPDATE t SET v = 3 WHERE n % 7 = 0")
	want := int64(2*rows + rows/7)
	checkSum(t, w, want)
	runAll(t, w, "COMMIT")
	runAll(t, w, "BEGIN", "UPDATE t SET v = 9, pad = zeroblob(3500)", "ROLLBACK")
	checkSum(t, w, want)
	other, err := conn.Open(path, conn.ReadOnly)
	if err != nil {
		t.Fatal(err)
	}
	defer other.Close()
	checkSum(t, other, want)
	if said, err := other.TextOf("PRAGMA integrity_check"); err != nil || said != "ok" {
		t.Errorf("integrity check: %q, %v", said, err)
	}
}

// A commit that does not sync is in the file, too: other connections read it.
func TestWALFileOfACommitWithoutSync(t *testing.T) {
	path := filepath.Join(t.TempDir(), "careless.db")
	w := openJoined(t, path)
	runAll(t, w, "CREATE TABLE t (v INTEGER)", "PRAGMA synchronous = NORMAL", "INSERT INTO t VALUES (7)")
	other, err := conn.Open(path, conn.ReadOnly)
	if err != nil {
		t.Fatal(err)
	}
	defer other.Close()
	checkSum(t, other, 7)
}

// What a transaction that was rolled back has not written yet is forgotten: the place of its
// pages in the log may belong to a commit of another process by then.
func TestWALFileForgetsWhatIsRolledBack(t *testing.T) {
	path := filepath.Join(t.TempDir(), "shared.db")
	w := openJoined(t, path)
	runAll(t, w, "CREATE TABLE t (v INTEGER, pad BLOB)")
	fill := "WITH RECURSIVE c(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM c WHERE n < 20) INSERT INTO t SELECT %d, zeroblob(3000) FROM c"
	if err := w.Checkpoint(conn.Passive); err != nil { // a rollback now reads the database, not the log
		t.Fatal(err)
	}
	runAll(t, w, "BEGIN", fmt.Sprintf(fill, 1), "ROLLBACK")
	other, err := conn.Open(path, conn.ReadWrite)
	if err != nil {
		t.Fatal(err)
	}
	defer other.Close()
	runAll(t, other, fmt.Sprintf(fill, 2))
	runAll(t, w, fmt.Sprintf(fill, 3))
	for _, c := range []*conn.Conn{w, other} {
		checkSum(t, c, 20*2+20*3)
		if said, err := c.TextOf("PRAGMA integrity_check"); err != nil || said != "ok" {
			t.Errorf("integrity check: %q, %v", said, err)
		}
	}
}

func openJoined(t *testing.T, path string) *conn.Conn {
	t.Helper()
	w, err := conn.Open(path, conn.ReadWrite|conn.Create)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := w.Close(); err != nil {
			t.Error(err)
		}
	})
	runAll(t, w, "PRAGMA cache_size = 10", "PRAGMA synchronous = FULL")
	if _, err := w.TextOf("PRAGMA journal_mode = WAL"); err != nil {
		t.Fatal(err)
	}
	if _, err := w.IntOf("PRAGMA schema_version"); err != nil {
		t.Fatal(err)
	}
	if err := w.JoinWALWrites(); err != nil {
		t.Fatal(err)
	}
	return w
}

func runAll(t *testing.T, c *conn.Conn, statements ...string) {
	t.Helper()
	for _, s := range statements {
		if err := c.Exec(s); err != nil {
			t.Fatal(err)
		}
	}
}

func checkSum(t *testing.T, c *conn.Conn, want int64) {
	t.Helper()
	if got, err := c.IntOf("SELECT sum(v) FROM t"); err != nil || got != want {
		t.Errorf("sum = %d, %v, want %d", got, err, want)
	}
}
