// Package conn speaks SQLite's C interface: connections, prepared statements,
// checkpoints and result codes. It knows none of our tables.
//
// It is the only production package of the server that imports unsafe, and the only one
// that imports SQLite. A commit is most of what a server does, so statements are
// prepared once and their values bound from memory that is used again.
//
// C memory is addressed by uintptr. It comes from libc.Xmalloc, which the garbage
// collector neither sees nor moves.
package conn

import (
	"context"
	"fmt"
	"sync"
	"time"
	"unsafe"

	"modernc.org/libc"
	driver "modernc.org/sqlite"
	sqlite3 "modernc.org/sqlite/lib"
)

// Flags of [Open]: what a connection may do with its file.
const (
	ReadOnly  = sqlite3.SQLITE_OPEN_READONLY
	ReadWrite = sqlite3.SQLITE_OPEN_READWRITE
	Create    = sqlite3.SQLITE_OPEN_CREATE // with ReadWrite
	URI       = sqlite3.SQLITE_OPEN_URI
)

// Modes of [Conn.Checkpoint]; see SQLite's sqlite3_wal_checkpoint_v2.
const (
	Passive  = sqlite3.SQLITE_CHECKPOINT_PASSIVE
	Full     = sqlite3.SQLITE_CHECKPOINT_FULL
	Restart  = sqlite3.SQLITE_CHECKPOINT_RESTART
	Truncate = sqlite3.SQLITE_CHECKPOINT_TRUNCATE
)

// Conn is one connection. It and its statements are used by one goroutine at a
// time.
type Conn struct {
	tls *libc.TLS
	db  uintptr
	out uintptr // C memory for what a call returns through a pointer
	wal uintptr // C memory, after out, where onWAL leaves the length of the WAL
}

// UseOFDLocks asks SQLite for locks that survive the closing of another descriptor of the
// same file. It works once per process, before the first file is opened; otherwise SQLite
// uses its usual locks. [Open] calls it. A test that puts a VFS of its own under SQLite
// calls it first.
var UseOFDLocks = sync.OnceFunc(func() { driver.OFDLocking(true) })

// Open connects to the database file at path, which it creates if flags say so.
func Open(path string, flags int32) (*Conn, error) {
	UseOFDLocks()
	const word = 8
	c := &Conn{tls: libc.NewTLS()}
	c.out = libc.Xcalloc(c.tls, 2, word)
	c.wal = c.out + word
	name, err := libc.CString(path)
	if err != nil {
		c.free()
		return nil, err
	}
	defer libc.Xfree(c.tls, name)
	// One goroutine at a time: SQLite need not lock the connection at each call.
	rc := sqlite3.Xsqlite3_open_v2(c.tls, name, c.out, flags|sqlite3.SQLITE_OPEN_NOMUTEX, 0)
	c.db = *(*uintptr)(at(c.out))
	if rc != sqlite3.SQLITE_OK {
		err := c.error(rc)
		c.Close()
		return nil, err
	}
	sqlite3.Xsqlite3_extended_result_codes(c.tls, c.db, 1)
	return c, nil
}

// Close closes the connection. All statements must have been closed.
func (c *Conn) Close() error {
	if c.db != 0 {
		if rc := sqlite3.Xsqlite3_close(c.tls, c.db); rc != sqlite3.SQLITE_OK {
			return c.error(rc)
		}
		c.db = 0
	}
	c.free()
	return nil
}

func (c *Conn) free() {
	if c.tls == nil {
		return
	}
	libc.Xfree(c.tls, c.out)
	c.tls.Close()
	c.tls = nil
}

// Exec runs statements that take no parameters, and drops what they return.
func (c *Conn) Exec(sql string) error {
	s, err := libc.CString(sql)
	if err != nil {
		return err
	}
	defer libc.Xfree(c.tls, s)
	if rc := sqlite3.Xsqlite3_exec(c.tls, c.db, s, 0, 0, 0); rc != sqlite3.SQLITE_OK {
		return fmt.Errorf("%s: %w", sql, c.error(rc))
	}
	return nil
}

// BusyTimeout sets how long a statement waits for another connection to unlock the
// database.
func (c *Conn) BusyTimeout(d time.Duration) {
	sqlite3.Xsqlite3_busy_timeout(c.tls, c.db, int32(d.Milliseconds()))
}

// ReadOnly reports whether the file can only be read although writing was asked for.
func (c *Conn) ReadOnly() bool { return sqlite3.Xsqlite3_db_readonly(c.tls, c.db, 0) == 1 }

// Idle reports whether no transaction is open.
func (c *Conn) Idle() bool { return sqlite3.Xsqlite3_get_autocommit(c.tls, c.db) != 0 }

// LeaveWAL makes [Conn.Close] leave the WAL as it is, for the next open to recover.
func (c *Conn) LeaveWAL() {
	args := libc.Xcalloc(c.tls, 2, 8)
	defer libc.Xfree(c.tls, args)
	sqlite3.Xsqlite3_db_config(c.tls, c.db, sqlite3.SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, libc.VaList(args, int32(1), uintptr(0)))
}

// InterruptedBy interrupts the running statement when ctx ends. The caller calls stop when
// the statement has ended.
func (c *Conn) InterruptedBy(ctx context.Context) (stop func()) {
	done := make(chan struct{})
	end := context.AfterFunc(ctx, func() {
		defer close(done)
		tls := libc.NewTLS() // that of the connection is in use
		defer tls.Close()
		sqlite3.Xsqlite3_interrupt(tls, c.db)
	})
	return func() {
		if !end() {
			<-done
		}
	}
}

// Checkpoint copies frames from the WAL into the database file, in one of the
// modes above.
func (c *Conn) Checkpoint(mode int32) error {
	if rc := sqlite3.Xsqlite3_wal_checkpoint_v2(c.tls, c.db, 0, mode, 0, 0); rc != sqlite3.SQLITE_OK {
		return fmt.Errorf("checkpoint: %w", c.error(rc))
	}
	return nil
}

// WatchWAL makes the connection count the frames of the WAL, see [Conn.WALFrames]. It also
// turns off SQLite's own checkpoints at commit, which use the same hook.
func (c *Conn) WatchWAL() {
	sqlite3.Xsqlite3_wal_hook(c.tls, c.db, functionPointer(onWAL), c.wal)
}

// WALFrames is the length of the WAL after the newest commit of this connection.
func (c *Conn) WALFrames() int { return int(*(*int32)(at(c.wal))) }

// onWAL is called by SQLite after each commit.
func onWAL(_ *libc.TLS, arg, _, _ uintptr, frames int32) int32 {
	*(*int32)(at(arg)) = frames
	return sqlite3.SQLITE_OK
}

// Transaction runs f between BEGIN IMMEDIATE and COMMIT, or rolls back.
func (c *Conn) Transaction(f func() error) error {
	if err := c.Exec("BEGIN IMMEDIATE"); err != nil {
		return err
	}
	err := f()
	if err == nil {
		err = c.Exec("COMMIT")
	}
	if err != nil && !c.Idle() {
		c.Exec("ROLLBACK")
	}
	return err
}

// IntOf returns the first column of the first row, 0 if there is none.
func (c *Conn) IntOf(sql string) (int64, error) {
	q, err := c.Prepare(sql)
	if err != nil {
		return 0, err
	}
	defer q.Close()
	if more, err := q.Step(); err != nil || !more {
		return 0, err
	}
	return q.Int(0), nil
}

// TextOf is IntOf for text.
func (c *Conn) TextOf(sql string) (string, error) {
	q, err := c.Prepare(sql)
	if err != nil {
		return "", err
	}
	defer q.Close()
	if more, err := q.Step(); err != nil || !more {
		return "", err
	}
	return q.Text(0), nil
}

// at turns the address of C memory into a pointer. The way through the address of the
// variable tells vet what the compiler cannot know: this is no Go memory.
func at(p uintptr) unsafe.Pointer { return *(*unsafe.Pointer)(unsafe.Pointer(&p)) }

// functionPointer is the form in which translated C keeps a pointer to a function.
func functionPointer[F any](f F) uintptr {
	return *(*uintptr)(unsafe.Pointer(&struct{ f F }{f}))
}

// function is the function that a pointer of translated C stands for.
func function[F any](p uintptr) F { return *(*F)(unsafe.Pointer(&struct{ uintptr }{p})) }
