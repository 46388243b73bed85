package sqlite

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"path/filepath"

	"github.com/octostore/octostore/core/files"
	"github.com/octostore/octostore/core/store/sqlite/internal/conn"
	"github.com/octostore/octostore/core/store/sqlite/internal/dbfile"
	"github.com/octostore/octostore/core/store/sqlite/internal/host"
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

// checkWAL looks for damage in the write-ahead log of the database at path, which no
// process has open, and returns an [ErrOtherLog] if what was committed to it was surely
// written for another file.
func checkWAL(path string) error {
	wal := path + "-wal"
	log, err := dbfile.CheckLog(wal)
	if d, ok := errors.AsType[dbfile.Damage](err); ok {
		return damaged("%s", d)
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

// stamp gives the database a new stamp, and leaves no log with the old one. It does
// nothing while another process reads the log, for then the log goes on; a full disk
// is no reason not to start.
func (w *writer) stamp(path string) error {
	w.BusyTimeout(insistFor)
	defer w.BusyTimeout(busyTimeout)
	if err := w.Checkpoint(conn.Truncate); err != nil {
		return ignorePassing(err)
	}
	if host.SizeOf(path+"-wal") > 0 {
		return nil
	}
	if err := w.newStamp(); err != nil {
		return errors.Join(ignorePassing(err), w.undo())
	}
	return ignorePassing(w.Checkpoint(conn.Truncate))
}

func (w *writer) newStamp() error {
	return w.Exec(fmt.Sprintf("PRAGMA schema_version = %d", rand.Int32()))
}

// restamp puts a new stamp into the database file, through the log that is open.
func (w *writer) restamp() error {
	if err := w.newStamp(); err != nil {
		return err
	}
	return w.Checkpoint(conn.Full)
}

func ignorePassing(err error) error {
	if passing(err) || conn.NoSpace(err) {
		return nil
	}
	return err
}

// stampLog puts the first page into the log with the transaction that is open, unless
// it is there. It changes nothing on the page. The caller has mu.
func (s *Store) stampLog() error {
	if s.stamped.Load() {
		return nil
	}
	return s.w.touch.Run()
}

// lookAtStamp returns an [ErrReplaced] if the database file was overwritten, as cp does
// with a backup: then it has another stamp than it had, and another than SQLite sees in
// the log, which it would have after somebody changed the schema. The caller has mu.
func (s *Store) lookAtStamp() error {
	if !s.inode.Held() {
		return nil // no descriptor to read with, and a new one could not be closed
	}
	file, ok, err := dbfile.ReadFirstPage(s.inode.File())
	if err != nil || ok && file.Stamp == s.stamp {
		return err
	}
	present, err := s.w.IntOf("PRAGMA schema_version")
	if err != nil {
		return err
	}
	if !ok || file.Stamp != uint32(present) {
		return fmt.Errorf("%w: %w: %s was overwritten", ErrReplaced, errWritten, filepath.Base(s.path))
	}
	s.stamp = file.Stamp
	return nil
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

// adviseOfLog adds to an [ErrDamaged] what else may be the cause, if it may be.
func adviseOfLog(path string, err error) error {
	if !errors.Is(err, ErrDamaged) || host.SizeOf(path+"-wal") == 0 {
		return err
	}
	return fmt.Errorf("%w. If a backup was put in its place already, the write-ahead log is that of the old database: remove %s-wal and start again", err, path)
}
