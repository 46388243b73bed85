package conn

import (
	"errors"
	"syscall"

	"modernc.org/libc"
	sqlite3 "modernc.org/sqlite/lib"
)

// syncData makes what was written to a file durable, with the length of the file, but not
// the time of its last change. SQLite's own sync includes that time, which makes the file
// system write to its journal, too. done is false where the file is not one of SQLite's
// usual VFS: that VFS then says how to sync it.
func syncData(tls *libc.TLS, file uintptr) (rc int32, done bool) {
	vfs := (*sqlite3.Tsqlite3_vfs)(at(sqlite3.Xsqlite3_vfs_find(tls, 0)))
	if libc.GoString(vfs.FzName) != "unix" {
		return sqlite3.SQLITE_OK, false
	}
	for {
		err := syscall.Fdatasync(int((*sqlite3.TunixFile)(at(file)).Fh))
		switch {
		case err == nil:
			return sqlite3.SQLITE_OK, true
		case !errors.Is(err, syscall.EINTR):
			return sqlite3.SQLITE_IOERR_FSYNC, true
		}
	}
}
