package rows

import (
	"cmp"
	"context"
	"fmt"
	"time"

	"github.com/octostore/octostore/core/lock"
	"github.com/octostore/octostore/core/store/sqlite/internal/conn"
	"github.com/octostore/octostore/core/store/sqlite/internal/host"
)

// Writer is the one connection that changes the database, with the statements of a commit
// prepared.
type Writer struct {
	*DB
	attempt                 []byte // of the row being written, used again
	Begin, commit, Rollback *conn.Stmt
	newestSegment, segment  *conn.Stmt
	put, drop               *conn.Stmt
	TouchFirstPage          *conn.Stmt // adds the first page to a transaction
	stmts                   []*conn.Stmt
}

// BusyTimeout is how long a start waits for another process to unlock the database, such as
// a backup or a sqlite3.
const BusyTimeout = 10 * time.Second

// OpenWriter opens the database at path for writing, migrates it and checks it. It leaves a
// database that it refuses as it is.
func OpenWriter(ctx context.Context, path string, walSize int64) (_ *Writer, err error) {
	d, err := Open(path, conn.ReadWrite)
	if err != nil {
		return nil, err
	}
	w := &Writer{DB: d}
	defer func() {
		if err != nil {
			w.closeRefused(path)
		}
	}()
	if d.ReadOnly() {
		return nil, ErrReadOnly
	}
	d.BusyTimeout(BusyTimeout)
	if err := w.configure(walSize); err != nil {
		return nil, err
	}
	if err := migrate(d); err != nil {
		return nil, err
	}
	if err := cmp.Or(w.ReadSecret(), w.verify(ctx, host.SizeOf(path))); err != nil {
		return nil, err
	}
	w.WatchWAL()
	return w, w.prepareAll()
}

func (w *Writer) configure(walSize int64) error {
	// Refuse the file of another program before writing to it.
	if err := cmp.Or(checkOrigin(w.DB), checkVersion(w.DB)); err != nil {
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
		fmt.Sprintf("PRAGMA journal_size_limit = %d", walSize),
	} {
		if err := w.Exec(p); err != nil {
			return err
		}
	}
	return nil
}

func (w *Writer) prepareAll() error {
	for _, p := range []struct {
		to  **conn.Stmt
		sql string
	}{
		{&w.Begin, "BEGIN IMMEDIATE"},
		{&w.commit, "COMMIT"},
		{&w.Rollback, "ROLLBACK"},
		{&w.newestSegment, "SELECT first + span FROM segments ORDER BY first DESC LIMIT 1"},
		{&w.segment, "INSERT INTO segments (first, span, count, time, bytes, sum) VALUES (?1, ?2 - ?1, ?3, ?4, ?5, ?6)"},
		{&w.put, `REPLACE INTO leases (name, token, account, holder, reason, metadata, ttl, granted,
			remaining, wall_end, boot_end, attempt, sum, confirm)
			VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14)`},
		{&w.drop, "DELETE FROM leases WHERE name = ?1"},
		{&w.TouchFirstPage, fmt.Sprintf("PRAGMA user_version = %d", len(migrations))},
	} {
		s, err := w.Prepare(p.sql)
		if err != nil {
			return err
		}
		*p.to, w.stmts = s, append(w.stmts, s)
	}
	return nil
}

// Close closes the statements and the connection.
func (w *Writer) Close() error {
	for _, s := range w.stmts {
		s.Close()
	}
	w.stmts = nil
	return w.DB.Close()
}

// closeRefused leaves a refused database as it is. SQLite creates a WAL to read with if
// there is none, and removes that one again.
func (w *Writer) closeRefused(path string) {
	if host.SizeOf(path+"-wal") > 0 {
		w.LeaveWAL()
	}
	w.Close()
}

// Apply adds the segment and the final rows of a batch to the open transaction, and commits
// it.
func (w *Writer) Apply(b *lock.Batch, now host.Instant) error {
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

// Undo rolls a failed transaction back, and returns an error if that fails. Some failures,
// such as a full disk at COMMIT, have rolled it back already.
func (w *Writer) Undo() error {
	if w.Idle() {
		return nil
	}
	return w.Rollback.Run()
}

// checkHead compares the head in the file with the one the batch builds on. The side lock
// keeps other processes out; this check is for the case that it did not, as on a network
// file system that only pretends to lock.
func (w *Writer) checkHead(want lock.Seq) error {
	head, err := w.Head()
	if err != nil {
		return fmt.Errorf("read head: %w", err)
	}
	if head != want {
		return lock.ErrDeposed
	}
	return nil
}

// Head returns the number of the newest event.
func (w *Writer) Head() (lock.Seq, error) {
	defer w.newestSegment.Reset()
	more, err := w.newestSegment.Step()
	if err != nil || !more {
		return 0, err
	}
	return lock.Seq(w.newestSegment.Int(0)), nil
}

func (w *Writer) addSegment(g *lock.Segment) error {
	s := w.segment
	s.Reserve(len(g.Bytes))
	s.BindInt(1, int64(g.First))
	s.BindInt(2, int64(g.Last))
	s.BindInt(3, int64(g.Count))
	s.BindInt(4, g.Time.UnixNano())
	s.BindBlob(5, g.Bytes)
	s.BindInt(6, w.checksums.segment(g))
	return s.Run()
}

func (w *Writer) setRow(r *lock.Row, now host.Instant) error {
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
	s.BindInt(13, w.checksums.lease(l, metadata, int64(remaining), w.attempt))
	s.BindInt(14, int64(l.ConfirmWithin))
	return s.Run()
}
