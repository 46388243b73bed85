package sqlite

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"

	"github.com/octostore/octostore/core/files"
	"github.com/octostore/octostore/core/store/sqlite/internal/conn"
	"github.com/octostore/octostore/core/store/sqlite/internal/dbfile"
	"github.com/octostore/octostore/core/store/sqlite/internal/host"
	"github.com/octostore/octostore/core/store/sqlite/internal/rows"
)

// A write-ahead log does not say which database file it was written for, and SQLite
// reads it together with any. A backup that is put in the place of a database whose log
// is still there is undone by the log, in part or as a whole.
//
// So each start stamps the database: it sets SQLite's schema cookie, four bytes on the
// first page that otherwise change with the schema, to a random number. A backup has
// another one, for VACUUM INTO and SQLite's own backups count it up. The first commit
// of a log has the first page in it, and so the stamp of the database it was written
// for. The stamp lies in one sector, and all versions of the page between two stamps
// have the same, so a page that power cut in two has it, too.

// ErrOtherLog says that the write-ahead log beside a database was written for another
// database file.
var ErrOtherLog = errors.New("the write-ahead log beside the database was written for another database file")

// stampDatabase gives the database a new stamp, and leaves no log with the old one. It does
// nothing while another process reads the log, for then the log goes on; a full disk
// is no reason not to start.
func stampDatabase(w *rows.Writer, path string) error {
	w.BusyTimeout(insistFor)
	defer w.BusyTimeout(rows.BusyTimeout)
	if err := w.Checkpoint(conn.Truncate); err != nil {
		return ignoreRetryable(err)
	}
	if host.SizeOf(path+"-wal") > 0 {
		return nil
	}
	if err := newStamp(w); err != nil {
		return errors.Join(ignoreRetryable(err), w.Undo())
	}
	return ignoreRetryable(w.Checkpoint(conn.Truncate))
}

func newStamp(w *rows.Writer) error {
	return w.Exec(fmt.Sprintf("PRAGMA schema_version = %d", rand.Int32()))
}

// restamp puts a new stamp into the database file, through the log that is open.
func restamp(w *rows.Writer) error {
	if err := newStamp(w); err != nil {
		return err
	}
	return w.Checkpoint(conn.Full)
}

func ignoreRetryable(err error) error {
	if retryable(err) || conn.NoSpace(err) {
		return nil
	}
	return err
}

// stampLog puts the first page into the log with the transaction that is open, unless
// it is there. It changes nothing on the page. The caller has mu.
func (s *Store) stampLog() error {
	if s.logStamped.Load() {
		return nil
	}
	return s.w.TouchFirstPage.Run()
}

// checkWAL looks for damage in the write-ahead log of the database at path, which no
// process has open, and returns an [ErrOtherLog] if what was committed to it was surely
// written for another file.
func checkWAL(path string) error {
	wal := path + "-wal"
	log, err := dbfile.CheckLog(wal)
	if d, ok := errors.AsType[dbfile.Damage](err); ok {
		return rows.Damaged("%s", d)
	}
	if err != nil || log == nil {
		return err
	}
	f, _, err := files.Open(path)
	if err != nil {
		return err
	}
	defer f.Close()
	file, ok, err := dbfile.ReadFirstPage(f)
	if err != nil || !ok || log.Fits(file) {
		return err
	}
	return fmt.Errorf("%w. If a backup was put in the place of the database, remove %s and start again; if not, put back the database file that belongs to %s",
		ErrOtherLog, wal, filepath.Base(wal))
}

// checkLog is checkWAL for a database that is only read, unless a server runs on it,
// which changes the log while it is looked at.
func checkLog(path string) error {
	if _, running, err := Running(path); err != nil || running {
		return err
	}
	err := checkWAL(path)
	if err == nil {
		return nil
	}
	if _, running, _ := Running(path); running {
		return nil // it has just been started
	}
	return err
}

// adviseAboutLog adds to an [ErrDamaged] what else may be the cause, if it may be.
func adviseAboutLog(path string, err error) error {
	if !errors.Is(err, ErrDamaged) || host.SizeOf(path+"-wal") == 0 {
		return err
	}
	return fmt.Errorf("%w. If a backup was put in its place already, the write-ahead log is that of the old database: remove %s-wal and start again", err, path)
}

// defaultWAL is the size the WAL file is kept at. It holds 4,060 frames: two short
// of where SQLite's index of the WAL needs a second block, so that on a full disk it
// is the WAL that has no room, which is a clean refusal, and not its index.
const defaultWAL = 32 + 4060*(24+4096)

// extendWAL gives the WAL file its full size before the first commit: overwriting a
// file is much cheaper to make durable than lengthening it.
//
// SQLite takes zeros for the end of the log. The log must be empty when they are
// written, so it is emptied first, and the write lock keeps it so.
func extendWAL(w *rows.Writer, path string, size int64) error {
	if size <= 0 {
		return nil
	}
	w.BusyTimeout(insistFor) // a start does not wait for a backup
	defer w.BusyTimeout(rows.BusyTimeout)
	if err := w.Checkpoint(conn.Truncate); err != nil {
		return err
	}
	if err := w.Begin.Run(); err != nil {
		return err
	}
	defer w.Rollback.Run()
	fi, err := os.Stat(path)
	if err != nil {
		return err
	}
	if fi.Size() != 0 {
		return fmt.Errorf("%s is not empty", path)
	}
	return writeZeros(path, size)
}

// writeZeros writes real zeros, which a hole or space reserved without writing
// would not replace: the file system had to record at each commit that they are
// written now. It writes them page by page. After large writes Linux caches the file
// in large pieces, and each small write of a commit costs more.
func writeZeros(path string, size int64) error {
	f, err := os.OpenFile(path, os.O_WRONLY, 0)
	if err != nil {
		return err
	}
	defer f.Close()
	// The file was cut just now. Were that not on the disk yet when power goes, zeros
	// could lie among what was in it before, which looks like damage.
	err = f.Sync()
	zeros := make([]byte, 4096)
	for left := size; left > 0 && err == nil; left -= int64(len(zeros)) {
		_, err = f.Write(zeros[:min(left, int64(len(zeros)))])
	}
	if err == nil {
		err = f.Sync()
	}
	if err != nil {
		f.Truncate(0) // leave the space to the commits
	}
	return err
}
