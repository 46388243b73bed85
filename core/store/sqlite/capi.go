package sqlite

import (
	"context"
	"errors"
	"fmt"
	"unsafe"

	"modernc.org/libc"
	"modernc.org/libc/sys/types"
	sqlite3 "modernc.org/sqlite/lib"
)

// This file is the only one that speaks to SQLite's C interface, and the only one
// with unsafe in it. A commit is most of what a server does, so its statements are
// prepared once and their values bound from memory that is used again.
//
// C memory is addressed by uintptr. It comes from libc.Xmalloc, which the garbage
// collector neither sees nor moves.

// conn is one connection. It and its statements are used by one goroutine at a
// time.
type conn struct {
	tls *libc.TLS
	db  uintptr
	out uintptr // C memory for what a call returns through a pointer
	wal uintptr // C memory, after out, where onWAL leaves the length of the WAL
}

// openConn connects to the database file at path, which it creates if flags say so.
func openConn(path string, flags int32) (*conn, error) {
	useOFDLocks()
	const word = 8
	c := &conn{tls: libc.NewTLS()}
	c.out = libc.Xcalloc(c.tls, 2, word)
	c.wal = c.out + word
	name, err := libc.CString(path)
	if err != nil {
		c.free()
		return nil, err
	}
	defer libc.Xfree(c.tls, name)
	// One goroutine at a time, so SQLite need not lock the connection at each call.
	rc := sqlite3.Xsqlite3_open_v2(c.tls, name, c.out, flags|sqlite3.SQLITE_OPEN_NOMUTEX, 0)
	c.db = *(*uintptr)(at(c.out))
	if rc != sqlite3.SQLITE_OK {
		err := c.error(rc)
		c.close()
		return nil, err
	}
	sqlite3.Xsqlite3_extended_result_codes(c.tls, c.db, 1)
	return c, nil
}

// close closes the connection. All statements must have been closed.
func (c *conn) close() error {
	if c.db != 0 {
		if rc := sqlite3.Xsqlite3_close(c.tls, c.db); rc != sqlite3.SQLITE_OK {
			return c.error(rc)
		}
		c.db = 0
	}
	c.free()
	return nil
}

func (c *conn) free() {
	if c.tls == nil {
		return
	}
	libc.Xfree(c.tls, c.out)
	c.tls.Close()
	c.tls = nil
}

// exec runs statements that take no parameters, and drops what they return.
func (c *conn) exec(sql string) error {
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

// busyTimeout sets how long a statement waits for the lock of another connection.
func (c *conn) busyTimeout(ms int) { sqlite3.Xsqlite3_busy_timeout(c.tls, c.db, int32(ms)) }

// readOnly reports whether the file can only be read, although more was asked for.
func (c *conn) readOnly() bool { return sqlite3.Xsqlite3_db_readonly(c.tls, c.db, 0) == 1 }

// idle reports whether no transaction is open.
func (c *conn) idle() bool { return sqlite3.Xsqlite3_get_autocommit(c.tls, c.db) != 0 }

// leaveWAL makes close leave the WAL as it is, for the next open to recover.
func (c *conn) leaveWAL() {
	args := libc.Xcalloc(c.tls, 2, 8)
	defer libc.Xfree(c.tls, args)
	sqlite3.Xsqlite3_db_config(c.tls, c.db, sqlite3.SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, libc.VaList(args, int32(1), uintptr(0)))
}

// interruptedBy makes the end of ctx end a statement under way. The function it
// returns ends that and must be called when the statement has run.
func (c *conn) interruptedBy(ctx context.Context) (stop func()) {
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

// checkpoint copies frames from the WAL into the database file, in one of the
// SQLITE_CHECKPOINT modes.
func (c *conn) checkpoint(mode int32) error {
	if rc := sqlite3.Xsqlite3_wal_checkpoint_v2(c.tls, c.db, 0, mode, 0, 0); rc != sqlite3.SQLITE_OK {
		return fmt.Errorf("checkpoint: %w", c.error(rc))
	}
	return nil
}

// watchWAL makes the connection count the frames of the WAL, see walFrames. It
// also turns off SQLite's own checkpoints at commit, which use the same hook.
func (c *conn) watchWAL() {
	sqlite3.Xsqlite3_wal_hook(c.tls, c.db, pointerTo(onWAL), c.wal)
}

// walFrames is the length of the WAL after the newest commit of this connection.
func (c *conn) walFrames() int { return int(*(*int32)(at(c.wal))) }

// onWAL is called by SQLite after each commit.
func onWAL(_ *libc.TLS, arg, _, _ uintptr, frames int32) int32 {
	*(*int32)(at(arg)) = frames
	return sqlite3.SQLITE_OK
}

// stmt is a prepared statement.
type stmt struct {
	c     *conn
	p     uintptr
	arena uintptr // C memory for the bound texts and blobs of one run
	size  int
	used  int
}

// prepare compiles one statement, which stays valid until it is closed.
func (c *conn) prepare(sql string) (*stmt, error) {
	s, err := libc.CString(sql)
	if err != nil {
		return nil, err
	}
	defer libc.Xfree(c.tls, s)
	rc := sqlite3.Xsqlite3_prepare_v3(c.tls, c.db, s, -1, sqlite3.SQLITE_PREPARE_PERSISTENT, c.out, 0)
	if rc != sqlite3.SQLITE_OK {
		return nil, fmt.Errorf("%s: %w", sql, c.error(rc))
	}
	return &stmt{c: c, p: *(*uintptr)(at(c.out))}, nil
}

func (s *stmt) close() {
	sqlite3.Xsqlite3_finalize(s.c.tls, s.p)
	libc.Xfree(s.c.tls, s.arena)
	s.p, s.arena = 0, 0
}

// reserve makes room for the texts and blobs of the next run, n bytes in all. It
// comes before the first of them is bound: SQLite is given pointers into the
// arena, which therefore must not move.
func (s *stmt) reserve(n int) {
	s.used = 0
	if n <= s.size && s.arena != 0 {
		return
	}
	libc.Xfree(s.c.tls, s.arena)
	s.size = max(n, 2*s.size, 1024)
	s.arena = libc.Xmalloc(s.c.tls, types.Size_t(s.size))
	if s.arena == 0 {
		panic("sqlite: out of memory")
	}
}

// room takes n bytes of the arena.
func (s *stmt) room(n int) (p uintptr, b []byte) {
	if s.arena == 0 || s.used+n > s.size {
		panic("sqlite: more bound than reserved")
	}
	p = s.arena + uintptr(s.used)
	s.used += n
	return p, unsafe.Slice((*byte)(at(p)), n)
}

// Parameters are numbered from 1. Binding fails only for a parameter that does
// not exist, which is a mistake in this package.

func (s *stmt) bindInt(i int, v int64) {
	check(sqlite3.Xsqlite3_bind_int64(s.c.tls, s.p, int32(i), v))
}

func (s *stmt) bindNull(i int) { check(sqlite3.Xsqlite3_bind_null(s.c.tls, s.p, int32(i))) }

func (s *stmt) bindText(i int, v string) {
	p, b := s.room(len(v))
	copy(b, v)
	check(sqlite3.Xsqlite3_bind_text(s.c.tls, s.p, int32(i), p, int32(len(v)), static))
}

// bindBlob binds the parts as one blob.
func (s *stmt) bindBlob(i int, parts ...[]byte) {
	n := 0
	for _, part := range parts {
		n += len(part)
	}
	p, b := s.room(n)
	for _, part := range parts {
		b = b[copy(b, part):]
	}
	check(sqlite3.Xsqlite3_bind_blob(s.c.tls, s.p, int32(i), p, int32(n), static))
}

// static is SQLITE_STATIC: the bound memory outlives the run.
const static = 0

func check(rc int32) {
	if rc != sqlite3.SQLITE_OK {
		panic(fmt.Sprintf("sqlite: bind: code %d", rc))
	}
}

// run executes a statement that returns no rows.
func (s *stmt) run() error {
	more, err := s.step()
	s.reset()
	if err == nil && more {
		err = errors.New("sqlite: unexpected row")
	}
	return err
}

// step moves to the next row and reports whether there is one. After the last
// step, or to stop before it, call reset, which ends what the statement had open.
func (s *stmt) step() (more bool, err error) {
	switch rc := sqlite3.Xsqlite3_step(s.c.tls, s.p); rc {
	case sqlite3.SQLITE_ROW:
		return true, nil
	case sqlite3.SQLITE_DONE:
		return false, nil
	default:
		return false, s.c.error(rc)
	}
}

// reset makes the statement ready to run again. The error of the run, which
// sqlite3_reset repeats, was that of step.
func (s *stmt) reset() { sqlite3.Xsqlite3_reset(s.c.tls, s.p) }

// Columns are numbered from 0 and copied into Go memory.

func (s *stmt) int(i int) int64 { return sqlite3.Xsqlite3_column_int64(s.c.tls, s.p, int32(i)) }

func (s *stmt) text(i int) string {
	p := sqlite3.Xsqlite3_column_text(s.c.tls, s.p, int32(i))
	n := sqlite3.Xsqlite3_column_bytes(s.c.tls, s.p, int32(i))
	return string(unsafe.Slice((*byte)(at(p)), n))
}

// blobSize returns how many bytes the blob of a column has.
func (s *stmt) blobSize(i int) int { return int(sqlite3.Xsqlite3_column_bytes(s.c.tls, s.p, int32(i))) }

// appendBlob appends a column to b and returns b, and the appended part of it.
func (s *stmt) appendBlob(b []byte, i int) (all, part []byte) {
	p := sqlite3.Xsqlite3_column_blob(s.c.tls, s.p, int32(i))
	n := sqlite3.Xsqlite3_column_bytes(s.c.tls, s.p, int32(i))
	if n > 0 {
		b = append(b, unsafe.Slice((*byte)(at(p)), n)...)
	}
	return b, b[len(b)-int(n) : len(b) : len(b)]
}

// blob is nil for NULL and for the empty blob.
func (s *stmt) blob(i int) []byte {
	p := sqlite3.Xsqlite3_column_blob(s.c.tls, s.p, int32(i))
	n := sqlite3.Xsqlite3_column_bytes(s.c.tls, s.p, int32(i))
	return append([]byte(nil), unsafe.Slice((*byte)(at(p)), n)...)
}

// codeError is an error of SQLite with its extended result code.
type codeError struct {
	code int32
	text string
}

func (e *codeError) Error() string { return fmt.Sprintf("%s (SQLite code %d)", e.text, e.code) }

// error is the error for a result code of the newest call.
func (c *conn) error(rc int32) error {
	text := libc.GoString(sqlite3.Xsqlite3_errstr(c.tls, rc))
	if c.db != 0 && sqlite3.Xsqlite3_extended_errcode(c.tls, c.db) == rc {
		text = libc.GoString(sqlite3.Xsqlite3_errmsg(c.tls, c.db))
	}
	return &codeError{code: rc, text: text}
}

// failedWith reports whether err is an error of SQLite with one of the given
// primary result codes.
func failedWith(err error, codes ...int32) bool {
	e, ok := errors.AsType[*codeError](err)
	if !ok {
		return false
	}
	for _, code := range codes {
		if e.code&0xff == code {
			return true
		}
	}
	return false
}

// noSpace reports whether err is for lack of space. Not all of them have the code
// that says so.
func noSpace(err error) bool {
	e, ok := errors.AsType[*codeError](err)
	return ok && (e.code&0xff == sqlite3.SQLITE_FULL || e.code == sqlite3.SQLITE_IOERR_SHMSIZE)
}

// at turns the address of C memory into a pointer. Going through the address of
// the variable tells vet what the compiler cannot know: this is no Go memory.
func at(p uintptr) unsafe.Pointer { return *(*unsafe.Pointer)(unsafe.Pointer(&p)) }

// pointerTo is the form in which translated C keeps a pointer to a function.
func pointerTo(f func(*libc.TLS, uintptr, uintptr, uintptr, int32) int32) uintptr {
	return *(*uintptr)(unsafe.Pointer(&struct {
		f func(*libc.TLS, uintptr, uintptr, uintptr, int32) int32
	}{f}))
}
