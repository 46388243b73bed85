package conn

import (
	"errors"
	"fmt"
	"unsafe"

	"modernc.org/libc"
	"modernc.org/libc/sys/types"
	sqlite3 "modernc.org/sqlite/lib"
)

// Stmt is a prepared statement.
type Stmt struct {
	c     *Conn
	p     uintptr
	arena uintptr // C memory for the bound texts and blobs of one run
	size  int
	used  int
}

// Prepare compiles one statement, which stays valid until it is closed.
func (c *Conn) Prepare(sql string) (*Stmt, error) {
	s, err := libc.CString(sql)
	if err != nil {
		return nil, err
	}
	defer libc.Xfree(c.tls, s)
	rc := sqlite3.Xsqlite3_prepare_v3(c.tls, c.db, s, -1, sqlite3.SQLITE_PREPARE_PERSISTENT, c.out, 0)
	if rc != sqlite3.SQLITE_OK {
		return nil, fmt.Errorf("%s: %w", sql, c.error(rc))
	}
	return &Stmt{c: c, p: *(*uintptr)(at(c.out))}, nil
}

// Close finalizes the statement. It must not be used afterwards.
func (s *Stmt) Close() {
	sqlite3.Xsqlite3_finalize(s.c.tls, s.p)
	libc.Xfree(s.c.tls, s.arena)
	s.p, s.arena = 0, 0
}

// Reserve makes room for the texts and blobs of the next run, n bytes in all. Call it
// before the first of them is bound: SQLite gets pointers into the arena, which must not
// move.
func (s *Stmt) Reserve(n int) {
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

// alloc takes n bytes of the arena.
func (s *Stmt) alloc(n int) (p uintptr, b []byte) {
	if s.arena == 0 || s.used+n > s.size {
		panic("sqlite: more bound than reserved")
	}
	p = s.arena + uintptr(s.used)
	s.used += n
	return p, unsafe.Slice((*byte)(at(p)), n)
}

// Parameters are numbered from 1. Binding fails only for a parameter that does not exist,
// which is a mistake of the caller.

// BindInt binds a number.
func (s *Stmt) BindInt(i int, v int64) {
	check(sqlite3.Xsqlite3_bind_int64(s.c.tls, s.p, int32(i), v))
}

// BindNull binds NULL.
func (s *Stmt) BindNull(i int) { check(sqlite3.Xsqlite3_bind_null(s.c.tls, s.p, int32(i))) }

// BindText binds a text, for which [Stmt.Reserve] has made room.
func (s *Stmt) BindText(i int, v string) {
	p, b := s.alloc(len(v))
	copy(b, v)
	check(sqlite3.Xsqlite3_bind_text(s.c.tls, s.p, int32(i), p, int32(len(v)), static))
}

// BindBlob binds the parts as one blob.
func (s *Stmt) BindBlob(i int, parts ...[]byte) {
	n := 0
	for _, part := range parts {
		n += len(part)
	}
	p, b := s.alloc(n)
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

// Run executes a statement that returns no rows.
func (s *Stmt) Run() error {
	more, err := s.Step()
	s.Reset()
	if err == nil && more {
		err = errors.New("sqlite: unexpected row")
	}
	return err
}

// Step moves to the next row and reports whether there is one. After the last step, or to
// stop earlier, call [Stmt.Reset], which ends the read.
func (s *Stmt) Step() (more bool, err error) {
	switch rc := sqlite3.Xsqlite3_step(s.c.tls, s.p); rc {
	case sqlite3.SQLITE_ROW:
		return true, nil
	case sqlite3.SQLITE_DONE:
		return false, nil
	default:
		return false, s.c.error(rc)
	}
}

// Reset makes the statement ready to run again. The error of the run, which
// sqlite3_reset repeats, was that of [Stmt.Step].
func (s *Stmt) Reset() { sqlite3.Xsqlite3_reset(s.c.tls, s.p) }

// Columns are numbered from 0 and copied into Go memory.

// Int returns a column as a number.
func (s *Stmt) Int(i int) int64 { return sqlite3.Xsqlite3_column_int64(s.c.tls, s.p, int32(i)) }

// TextOf returns a column as text that to makes of it. The argument of to is only valid
// during the call.
func (s *Stmt) TextOf(i int, to func([]byte) string) string {
	p := sqlite3.Xsqlite3_column_text(s.c.tls, s.p, int32(i))
	n := sqlite3.Xsqlite3_column_bytes(s.c.tls, s.p, int32(i))
	return to(unsafe.Slice((*byte)(at(p)), n))
}

// Text returns a column as text.
func (s *Stmt) Text(i int) string {
	p := sqlite3.Xsqlite3_column_text(s.c.tls, s.p, int32(i))
	n := sqlite3.Xsqlite3_column_bytes(s.c.tls, s.p, int32(i))
	return string(unsafe.Slice((*byte)(at(p)), n))
}

// BlobSize returns how many bytes the blob of a column has.
func (s *Stmt) BlobSize(i int) int { return int(sqlite3.Xsqlite3_column_bytes(s.c.tls, s.p, int32(i))) }

// AppendBlob appends a column to b and returns b, and the appended part of it.
func (s *Stmt) AppendBlob(b []byte, i int) (all, part []byte) {
	p := sqlite3.Xsqlite3_column_blob(s.c.tls, s.p, int32(i))
	n := sqlite3.Xsqlite3_column_bytes(s.c.tls, s.p, int32(i))
	if n > 0 {
		b = append(b, unsafe.Slice((*byte)(at(p)), n)...)
	}
	return b, b[len(b)-int(n) : len(b) : len(b)]
}

// Blob is nil for NULL and for the empty blob.
func (s *Stmt) Blob(i int) []byte {
	p := sqlite3.Xsqlite3_column_blob(s.c.tls, s.p, int32(i))
	n := sqlite3.Xsqlite3_column_bytes(s.c.tls, s.p, int32(i))
	return append([]byte(nil), unsafe.Slice((*byte)(at(p)), n)...)
}
