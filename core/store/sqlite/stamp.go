package sqlite

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"path/filepath"

	"github.com/octostore/octostore/core/files"
	"github.com/octostore/octostore/core/store/sqlite/internal/conn"
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

// Places on the first page of a database.
const (
	pageMagic   = "SQLite format 3\x00"
	stampAt     = 40
	versionAt   = 60
	programAt   = 68
	firstNeeded = programAt + 4
)

// firstPage is what the first page of a database says of its stamp.
type firstPage struct {
	stamp   uint32
	version uint32 // of the schema; a migration changes the stamp, too
}

// readFirstPage reads the beginning of a page or of a file, if it is one of ours.
func readFirstPage(b []byte) (p firstPage, ok bool) {
	if len(b) < firstNeeded || string(b[:len(pageMagic)]) != pageMagic || binary.BigEndian.Uint32(b[programAt:]) != applicationID {
		return p, false
	}
	return firstPage{binary.BigEndian.Uint32(b[stampAt:]), binary.BigEndian.Uint32(b[versionAt:])}, true
}

// fileStamp reads the first page of a database file, without its log; ok is false if
// the file has none.
func fileStamp(f io.ReaderAt) (p firstPage, ok bool, err error) {
	var b [firstNeeded]byte
	n, err := f.ReadAt(b[:], 0)
	if err != nil && !errors.Is(err, io.EOF) {
		return p, false, err
	}
	p, ok = readFirstPage(b[:n])
	return p, ok, nil
}

// checkStamp returns an [ErrOtherLog] if what was committed to the log of the database
// at path was surely written for another file.
func checkStamp(path string, log *walStamps) error {
	f, _, err := files.Open(path)
	if err != nil {
		return err
	}
	defer f.Close()
	file, ok, err := fileStamp(f)
	if err != nil || !ok || log.fits(file) {
		return err
	}
	wal := path + "-wal"
	return fmt.Errorf("%w. If a backup was put in the place of the database, remove %s and start again; if not, put back the database file that belongs to %s",
		ErrOtherLog, wal, filepath.Base(wal))
}

// walStamps gathers the first pages that were committed to a log.
type walStamps struct {
	committed, pending []firstPage
	commits, frames    int  // frames: of the commit that is being read
	stamping           bool // the first commit is nothing but a first page: a start that stamped
}

// frame takes note of the next frame.
func (s *walStamps) frame(page uint32, content []byte, commit bool) {
	s.frames++
	if page == 1 {
		if p, ok := readFirstPage(content); ok {
			s.pending = append(s.pending, p)
		}
	}
	if !commit {
		return
	}
	if s.commits == 0 && s.frames == 1 && page == 1 {
		s.stamping = true
	}
	s.commits++
	s.frames = 0
	s.committed = append(s.committed, s.pending...)
	s.pending = s.pending[:0]
}

// fits reports whether the log may have been written for the file: it has the stamp of
// the file, or none to compare.
func (s *walStamps) fits(file firstPage) bool {
	if s.stamping || len(s.committed) == 0 {
		return true
	}
	for _, p := range s.committed {
		if p.stamp == file.stamp || p.version != file.version {
			return true
		}
	}
	return false
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
	file, ok, err := fileStamp(s.inode.File())
	if err != nil || ok && file.stamp == s.stamp {
		return err
	}
	present, err := s.w.IntOf("PRAGMA schema_version")
	if err != nil {
		return err
	}
	if !ok || file.stamp != uint32(present) {
		return fmt.Errorf("%w: %w: %s was overwritten", ErrReplaced, errWritten, filepath.Base(s.path))
	}
	s.stamp = file.stamp
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
