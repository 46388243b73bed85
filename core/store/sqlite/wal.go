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

// A write-ahead log does not say which database file it belongs to, and SQLite applies it
// to any. A log that was left behind would undo a backup put in the place of its database,
// in part or as a whole.
//
// So each start stamps the database: it sets SQLite's schema cookie, four bytes on the
// first page that otherwise change with the schema, to a random number. A backup has
// another stamp, because VACUUM INTO and SQLite's own backups increment the cookie. The
// first commit of a log contains the first page, and with it the stamp of its database. The
// stamp lies in one sector, and all versions of the page between two stamps have the same,
// so a page torn by a power cut has it, too.

// ErrOtherLog says that the write-ahead log beside a database belongs to another database
// file.
var ErrOtherLog = errors.New("the write-ahead log beside the database was written for another database file")

// stampDatabase gives the database a new stamp, and leaves no log with the old one. It does
// nothing while another process reads the log, which then goes on. A full disk does not
// prevent a start.
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

// restamp puts a new stamp into the database file, through the open log.
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

// stampLog adds the first page to the open transaction, unless the log has it already. It
// changes nothing on the page. The caller holds mu.
func (s *Store) stampLog() error {
	if s.logStamped.Load() {
		return nil
	}
	return s.w.TouchFirstPage.Run()
}

// checkWAL looks for damage in the write-ahead log of the database at path, which no
// process has open. It returns an [ErrOtherLog] if the log certainly belongs to another
// file.
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
	return fmt.Errorf(
		"%w. If a backup was put in the place of the database, remove %s and start again; if not, put back the database file that belongs to %s",
		ErrOtherLog,
		wal,
		filepath.Base(wal),
	)
}

// checkLog is checkWAL for a database that is only read. It skips the check while a server
// runs on the database, because that server changes the log meanwhile.
func checkLog(path string) error {
	if _, running, err := Running(path); err != nil || running {
		return err
	}
	err := checkWAL(path)
	if err == nil {
		return nil
	}
	if _, running, _ := Running(path); running {
		return nil // a server has just started
	}
	return err
}

// adviseAboutLog adds to an [ErrDamaged] that the log may be the cause, if there is one.
func adviseAboutLog(path string, err error) error {
	if !errors.Is(err, ErrDamaged) || host.SizeOf(path+"-wal") == 0 {
		return err
	}
	return fmt.Errorf(
		"%w. If a backup was put in its place already, the write-ahead log is that of the old database: remove %s-wal and start again",
		err,
		path,
	)
}

// defaultWAL is the usual size of the WAL file. It holds 4,060 frames, two short of where
// SQLite's index of the WAL needs a second block. So on a full disk the WAL runs out of
// space first, which is a clean refusal, and not its index.
const defaultWAL = 32 + 4060*(24+4096)

// extendWAL gives the WAL file its full size before the first commit: making an overwrite
// durable is much cheaper than making a longer file durable.
//
// SQLite takes zeros for the end of the log. The log must be empty when they are written,
// so a checkpoint empties it first, and the write lock keeps it empty.
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

// writeZeros writes real zeros. With a hole, or space reserved without writing, the file
// system would have to record at each commit which blocks are written now. It writes page
// by page: after large writes Linux caches the file in large pieces, and each small write
// of a commit costs more.
func writeZeros(path string, size int64) error {
	f, err := os.OpenFile(path, os.O_WRONLY, 0)
	if err != nil {
		return err
	}
	defer f.Close()
	// The file was truncated just now. If that is not on the disk yet when power fails,
	// zeros could lie among its old content, which looks like damage.
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
