package conn

import (
	"errors"
	"fmt"

	"modernc.org/libc"
	sqlite3 "modernc.org/sqlite/lib"
)

// Primary result codes of SQLite, for [FailedWith].
const (
	CodeError      = sqlite3.SQLITE_ERROR
	CodeBusy       = sqlite3.SQLITE_BUSY
	CodeLocked     = sqlite3.SQLITE_LOCKED
	CodeCorrupt    = sqlite3.SQLITE_CORRUPT
	CodeFull       = sqlite3.SQLITE_FULL
	CodeConstraint = sqlite3.SQLITE_CONSTRAINT
	CodeNotADB     = sqlite3.SQLITE_NOTADB
)

// resultError is an error of SQLite with its extended result code.
type resultError struct {
	code int32
	text string
}

func (e *resultError) Error() string { return fmt.Sprintf("%s (SQLite code %d)", e.text, e.code) }

// error returns the error for the result code of the newest call.
func (c *Conn) error(rc int32) error {
	text := libc.GoString(sqlite3.Xsqlite3_errstr(c.tls, rc))
	if c.db != 0 && sqlite3.Xsqlite3_extended_errcode(c.tls, c.db) == rc {
		text = libc.GoString(sqlite3.Xsqlite3_errmsg(c.tls, c.db))
	}
	return &resultError{code: rc, text: text}
}

// FailedWith reports whether err is an error of SQLite with one of the given
// primary result codes.
func FailedWith(err error, codes ...int32) bool {
	e, ok := errors.AsType[*resultError](err)
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

// NoSpace reports whether err is a lack of space. Not all such errors have the code for it.
func NoSpace(err error) bool {
	e, ok := errors.AsType[*resultError](err)
	return ok && (e.code&0xff == sqlite3.SQLITE_FULL || e.code == sqlite3.SQLITE_IOERR_SHMSIZE)
}
