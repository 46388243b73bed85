package sqlite

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"time"

	"github.com/octostore/octostore/core/lock"
	"github.com/octostore/octostore/core/store/sqlite/internal/conn"
	"github.com/octostore/octostore/core/store/sqlite/internal/host"
)

// writer is the one connection that changes the database, with the statements of a
// commit prepared.
type writer struct {
	*database
	attempt                 []byte // of the row being set, used again
	begin, commit, rollback *conn.Stmt
	newest, segment         *conn.Stmt
	put, drop               *conn.Stmt
	touch                   *conn.Stmt // makes the first page part of a transaction
	stmts                   []*conn.Stmt
}

// defaultWAL is the size the WAL file is kept at. It holds 4,060 frames: two short
// of where SQLite's index of the WAL needs a second block, so that on a full disk it
// is the WAL that has no room, which is a clean refusal, and not its index.
const defaultWAL = 32 + 4060*(24+4096)

var errReadOnly = errors.New("this process may read the file, but not write to it")

// How long a start waits for the lock of another process: its backup, or somebody's
// sqlite3.
const busyTimeout = 10 * time.Second

func openWriter(ctx context.Context, path string, cfg Config) (_ *writer, err error) {
	d, err := openDatabase(path, conn.ReadWrite)
	if err != nil {
		return nil, err
	}
	w := &writer{database: d}
	defer func() {
		if err != nil {
			w.closeRefused(path)
		}
	}()
	if d.ReadOnly() {
		return nil, errReadOnly
	}
	d.BusyTimeout(busyTimeout)
	if err := w.configure(cfg); err != nil {
		return nil, err
	}
	if err := migrate(d); err != nil {
		return nil, err
	}
	if err := cmp.Or(w.readSums(), w.verify(ctx, path)); err != nil {
		return nil, err
	}
	w.WatchWAL()
	return w, w.prepareAll()
}

func (w *writer) configure(cfg Config) error {
	// A file that is not ours is refused before anything is written to it.
	if err := cmp.Or(checkOrigin(w.database), checkVersion(w.database)); err != nil {
		return err
	}
	if mode, err := w.TextOf("PRAGMA journal_mode = WAL"); err != nil || mode != "wal" {
		return cmp.Or(err, fmt.Errorf("the file system does not allow a write-ahead log: SQLite stays in mode %q", mode))
	}
	for _, p := range []string{
		"PRAGMA synchronous = FULL",
		"PRAGMA fullfsync = ON",            // macOS: else a sync ends in the cache of the drive
		"PRAGMA checkpoint_fullfsync = ON", // other systems know neither
		"PRAGMA temp_store = MEMORY",
		"PRAGMA cache_size = -16384", // KiB: some 100,000 leases
		fmt.Sprintf("PRAGMA journal_size_limit = %d", cfg.walSize),
	} {
		if err := w.Exec(p); err != nil {
			return err
		}
	}
	return nil
}

func (w *writer) prepareAll() error {
	for _, p := range []struct {
		to  **conn.Stmt
		sql string
	}{
		{&w.begin, "BEGIN IMMEDIATE"},
		{&w.commit, "COMMIT"},
		{&w.rollback, "ROLLBACK"},
		{&w.newest, "SELECT first + span FROM segments ORDER BY first DESC LIMIT 1"},
		{&w.segment, "INSERT INTO segments (first, span, count, time, bytes, sum) VALUES (?1, ?2 - ?1, ?3, ?4, ?5, ?6)"},
		{&w.put, `REPLACE INTO leases (name, token, account, holder, reason, metadata, ttl, granted,
			remaining, wall_end, boot_end, attempt, sum, confirm)
			VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14)`},
		{&w.drop, "DELETE FROM leases WHERE name = ?1"},
		{&w.touch, fmt.Sprintf("PRAGMA user_version = %d", len(migrations))},
	} {
		s, err := w.Prepare(p.sql)
		if err != nil {
			return err
		}
		*p.to, w.stmts = s, append(w.stmts, s)
	}
	return nil
}

func (w *writer) close() error {
	for _, s := range w.stmts {
		s.Close()
	}
	w.stmts = nil
	return w.database.Close()
}

// closeRefused leaves a refused database as it is. SQLite makes a WAL to read with
// where there is none, and takes that one away again.
func (w *writer) closeRefused(path string) {
	if host.SizeOf(path+"-wal") > 0 {
		w.LeaveWAL()
	}
	w.close()
}

// ending is how the writing connection is closed.
type ending int

const (
	// complete moves the WAL into the database and deletes it.
	complete ending = iota
	// asItIs leaves the WAL for the next start, which knows best what of it counts.
	asItIs
	// saved moves what is in the WAL that is open into the database that is open, but
	// deletes nothing: their names may lead to files of another database. It is what
	// saves the commits that are in a WAL that was deleted.
	saved
	// savedApart is saved for a WAL that has lost its name. The database gets a new stamp,
	// so that a WAL that is put there, a copy of the old one for one, does not count.
	savedApart
)

// finish closes the connection. The WAL is also left where another process is still
// reading or the disk is full; then left says so.
func (w *writer) finish(how ending) (left, err error) {
	switch how {
	case asItIs:
		w.LeaveWAL()
		return nil, w.close()
	case saved, savedApart:
		w.LeaveWAL()
		left = w.Checkpoint(conn.Full)
		if left == nil && how == savedApart {
			left = w.restamp()
		}
		return left, w.close()
	}
	w.BusyTimeout(time.Second) // for a backup that is still reading
	err = w.Checkpoint(conn.Truncate)
	if err != nil && passing(err) {
		left, err = err, nil
	}
	return left, cmp.Or(err, w.close())
}

// apply adds the batch to the transaction that has begun, its segment and the final
// rows, and commits it.
func (w *writer) apply(b *lock.Batch, now host.Instant) error {
	if err := w.checkHead(b.Prev.Seq); err != nil {
		return err
	}
	if err := w.addSegment(&b.Segment); err != nil {
		return fmt.Errorf("add segment %d: %w", b.Segment.First, err)
	}
	for i := range b.Rows {
		if err := w.setRow(&b.Rows[i], now); err != nil {
			return fmt.Errorf("set row of %s: %w", b.Rows[i].Name, err)
		}
	}
	if err := w.commit.Run(); err != nil {
		return fmt.Errorf("commit: %w", err)
	}
	return nil
}

// undo takes back a transaction that failed, and reports an error if that cannot be
// done. Some failures, a full disk at COMMIT for one, have taken it back already.
func (w *writer) undo() error {
	if w.Idle() {
		return nil
	}
	return w.rollback.Run()
}

// checkHead looks into the file whether the batch builds on what is there. The side
// lock keeps other processes out; this is for the case that it did not, as on a
// network file system that only pretends to lock.
func (w *writer) checkHead(want lock.Seq) error {
	head, err := w.head()
	if err != nil {
		return fmt.Errorf("read head: %w", err)
	}
	if head != want {
		return lock.ErrDeposed
	}
	return nil
}

// head reads the number of the newest event.
func (w *writer) head() (lock.Seq, error) {
	defer w.newest.Reset()
	more, err := w.newest.Step()
	if err != nil || !more {
		return 0, err
	}
	return lock.Seq(w.newest.Int(0)), nil
}

func (w *writer) addSegment(g *lock.Segment) error {
	s := w.segment
	s.Reserve(len(g.Bytes))
	s.BindInt(1, int64(g.First))
	s.BindInt(2, int64(g.Last))
	s.BindInt(3, int64(g.Count))
	s.BindInt(4, g.Time.UnixNano())
	s.BindBlob(5, g.Bytes)
	s.BindInt(6, w.sums.segment(g))
	return s.Run()
}

func (w *writer) setRow(r *lock.Row, now host.Instant) error {
	if r.Lease == nil {
		w.drop.Reserve(len(r.Name))
		w.drop.BindText(1, string(r.Name))
		return w.drop.Run()
	}
	l, s := r.Lease, w.put
	metadata, err := encodeMetadata(l.Metadata)
	if err != nil {
		return err
	}
	remaining := l.ExpiresAt.Sub(now.Time)
	s.Reserve(len(r.Name) + len(l.Account) + len(l.Holder) + len(l.Reason) + len(metadata) + attemptSize)
	s.BindText(1, string(r.Name))
	s.BindInt(2, int64(l.Token))
	s.BindText(3, l.Account)
	s.BindText(4, l.Holder)
	s.BindText(5, l.Reason)
	if metadata == nil {
		s.BindNull(6)
	} else {
		s.BindText(6, string(metadata))
	}
	s.BindInt(7, int64(l.TTL))
	s.BindInt(8, l.GrantedAt.UnixNano())
	s.BindInt(9, int64(remaining))
	s.BindInt(10, now.Wall+int64(remaining))
	s.BindInt(11, now.Boot+int64(remaining))
	w.attempt = appendAttempt(w.attempt[:0], r.Attempt)
	if len(w.attempt) == 0 {
		s.BindNull(12)
	} else {
		s.BindBlob(12, w.attempt)
	}
	s.BindInt(13, w.sums.lease(l, metadata, int64(remaining), w.attempt))
	s.BindInt(14, int64(l.ConfirmWithin))
	return s.Run()
}

// encodeMetadata returns nil for no metadata, else a JSON object.
func encodeMetadata(m map[string]string) ([]byte, error) {
	if len(m) == 0 {
		return nil, nil
	}
	return json.Marshal(m)
}

const attemptSize = 32 + 16

// appendAttempt appends nothing for the zero Attempt.
func appendAttempt(b []byte, a lock.Attempt) []byte {
	if a.IsZero() {
		return b
	}
	return append(append(b, a.Key[:]...), a.Params[:]...)
}

func decodeAttempt(b []byte) (a lock.Attempt) {
	copy(a.Params[:], b[copy(a.Key[:], b):])
	return a
}

// extendWAL gives the WAL file its full size before the first commit: overwriting a
// file is much cheaper to make durable than lengthening it.
//
// SQLite takes zeros for the end of the log. The log must be empty when they are
// written, so it is emptied first, and the write lock keeps it so.
func (w *writer) extendWAL(path string, size int64) error {
	if size <= 0 {
		return nil
	}
	w.BusyTimeout(insistFor) // a start does not wait for a backup
	defer w.BusyTimeout(busyTimeout)
	if err := w.Checkpoint(conn.Truncate); err != nil {
		return err
	}
	if err := w.begin.Run(); err != nil {
		return err
	}
	defer w.rollback.Run()
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
