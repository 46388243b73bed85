package conn

import (
	"errors"
	"sync"
	"unsafe"

	"modernc.org/libc"
	"modernc.org/libc/sys/types"
	sqlite3 "modernc.org/sqlite/lib"
)

// SQLite writes a commit to the WAL in pieces: for each page a header and then the page. The
// pieces follow each other in the file, and no other connection reads them before the commit
// is complete. So they are joined in memory, and written at once with the last page.
//
// This stands on SQLite's side of the file: it replaces a few of the functions by which
// SQLite uses the open WAL of one connection. Whatever is beneath, such as the VFS of a
// test, sees fewer and longer writes in the same order, and the same syncs.

// joinedBytes is how much is written at once at most.
const joinedBytes = 128 << 10

// frameHeader is the size of the header of a page in the WAL. Bytes 4 to 7 are zero unless
// the page is the last of its commit; see https://www.sqlite.org/fileformat2.html#walformat.
const frameHeader = 24

// walFile is the WAL of a connection with what has not been written to it yet. Like the
// connection it is used by one goroutine at a time.
type walFile struct {
	file    *sqlite3.Tsqlite3_file // SQLite's own
	address uintptr                // of file
	system  uintptr                // the functions of the file that ours replace
	ours    uintptr                // C memory
	joined  uintptr                // C memory of joinedBytes
	used    int
	offset  int64 // in the file, of the first of the joined bytes
	last    bool  // what comes next is the last page of a commit
	named   bool  // a sync has made the name of the file durable, too
}

// walFiles finds the walFile of an open file, by its address.
var walFiles sync.Map

var errNoWAL = errors.New("the connection has no open write-ahead log")

// JoinWALWrites makes the connection write each commit to the WAL with one call instead of
// two for each page, and, on Linux, wait for its data only, not for the time of its last
// change. The connection must have read something in WAL mode. Call it once.
func (c *Conn) JoinWALWrites() error {
	schema, err := libc.CString("main")
	if err != nil {
		return err
	}
	defer libc.Xfree(c.tls, schema)
	rc := sqlite3.Xsqlite3_file_control(c.tls, c.db, schema, sqlite3.SQLITE_FCNTL_JOURNAL_POINTER, c.out)
	if rc != sqlite3.SQLITE_OK {
		return c.error(rc)
	}
	address := *(*uintptr)(at(c.out))
	if address == 0 || (*sqlite3.Tsqlite3_file)(at(address)).FpMethods == 0 {
		return errNoWAL
	}
	joinWrites(c.tls, address)
	sqlite3.Xsqlite3_rollback_hook(c.tls, c.db, functionPointer(walForget), address)
	return nil
}

func joinWrites(tls *libc.TLS, address uintptr) {
	file := (*sqlite3.Tsqlite3_file)(at(address))
	w := &walFile{
		file:    file,
		address: address,
		system:  file.FpMethods,
		ours:    allocate(tls, int(unsafe.Sizeof(sqlite3.Tsqlite3_io_methods{}))),
		joined:  allocate(tls, joinedBytes),
	}
	methods := (*sqlite3.Tsqlite3_io_methods)(at(w.ours))
	*methods = *w.below()
	methods.FxWrite = functionPointer(walWrite)
	methods.FxSync = functionPointer(walSync)
	methods.FxRead = functionPointer(walRead)
	methods.FxTruncate = functionPointer(walTruncate)
	methods.FxFileSize = functionPointer(walFileSize)
	methods.FxClose = functionPointer(walClose)
	walFiles.Store(address, w)
	file.FpMethods = w.ours
}

func allocate(tls *libc.TLS, n int) uintptr {
	p := libc.Xmalloc(tls, types.Size_t(n))
	if p == 0 {
		panic("sqlite: out of memory")
	}
	return p
}

func walFileOf(address uintptr) *walFile {
	w, _ := walFiles.Load(address)
	return w.(*walFile)
}

func (w *walFile) below() *sqlite3.Tsqlite3_io_methods {
	return (*sqlite3.Tsqlite3_io_methods)(at(w.system))
}

// beneath calls one of the replaced functions, with the file as that function knows it.
func (w *walFile) beneath(call func(*sqlite3.Tsqlite3_io_methods) int32) int32 {
	w.file.FpMethods = w.system
	defer func() { w.file.FpMethods = w.ours }()
	return call(w.below())
}

// walWrite is xWrite.
func walWrite(tls *libc.TLS, file, data uintptr, n int32, offset int64) int32 {
	w := walFileOf(file)
	if w.used > 0 && (offset != w.offset+int64(w.used) || w.used+int(n) > joinedBytes) {
		if rc := w.flush(tls); rc != sqlite3.SQLITE_OK {
			return rc
		}
	}
	if n > joinedBytes {
		return w.write(tls, data, n, offset)
	}
	if w.used == 0 {
		w.offset = offset
	}
	piece := unsafe.Slice((*byte)(at(data)), n)
	w.used += copy(unsafe.Slice((*byte)(at(w.joined+uintptr(w.used))), n), piece)
	if w.last {
		w.last = false
		return w.flush(tls)
	}
	w.last = n == frameHeader && [4]byte(piece[4:8]) != [4]byte{}
	return sqlite3.SQLITE_OK
}

// walForget is called by SQLite after a rollback. What the transaction has not written yet must
// never be written: without its lock, the place in the log may be that of another connection's
// commit.
func walForget(_ *libc.TLS, file uintptr) {
	if w, open := walFiles.Load(file); open {
		w.(*walFile).used, w.(*walFile).last = 0, false
	}
}

// flush writes the joined bytes. They are forgotten if that fails: the transaction is
// rolled back then.
func (w *walFile) flush(tls *libc.TLS) int32 {
	n := w.used
	if n == 0 {
		return sqlite3.SQLITE_OK
	}
	w.used = 0
	return w.write(tls, w.joined, int32(n), w.offset)
}

func (w *walFile) write(tls *libc.TLS, data uintptr, n int32, offset int64) int32 {
	return w.beneath(func(m *sqlite3.Tsqlite3_io_methods) int32 {
		return function[func(*libc.TLS, uintptr, uintptr, int32, int64) int32](m.FxWrite)(tls, w.address, data, n, offset)
	})
}

// walSync is xSync. The first sync also makes the name of the file durable, which is known
// only beneath.
func walSync(tls *libc.TLS, file uintptr, flags int32) int32 {
	w := walFileOf(file)
	w.last = false // a header that was written again is not followed by its page
	if rc := w.flush(tls); rc != sqlite3.SQLITE_OK {
		return rc
	}
	if w.named {
		if rc, done := syncData(tls, file); done {
			return rc
		}
	}
	rc := w.beneath(func(m *sqlite3.Tsqlite3_io_methods) int32 {
		return function[func(*libc.TLS, uintptr, int32) int32](m.FxSync)(tls, file, flags)
	})
	w.named = w.named || rc == sqlite3.SQLITE_OK
	return rc
}

// walRead is xRead.
func walRead(tls *libc.TLS, file, data uintptr, n int32, offset int64) int32 {
	w := walFileOf(file)
	if rc := w.flush(tls); rc != sqlite3.SQLITE_OK {
		return rc
	}
	return w.beneath(func(m *sqlite3.Tsqlite3_io_methods) int32 {
		return function[func(*libc.TLS, uintptr, uintptr, int32, int64) int32](m.FxRead)(tls, file, data, n, offset)
	})
}

// walTruncate is xTruncate.
func walTruncate(tls *libc.TLS, file uintptr, size int64) int32 {
	w := walFileOf(file)
	if rc := w.flush(tls); rc != sqlite3.SQLITE_OK {
		return rc
	}
	return w.beneath(func(m *sqlite3.Tsqlite3_io_methods) int32 {
		return function[func(*libc.TLS, uintptr, int64) int32](m.FxTruncate)(tls, file, size)
	})
}

// walFileSize is xFileSize.
func walFileSize(tls *libc.TLS, file, size uintptr) int32 {
	w := walFileOf(file)
	if rc := w.flush(tls); rc != sqlite3.SQLITE_OK {
		return rc
	}
	return w.beneath(func(m *sqlite3.Tsqlite3_io_methods) int32 {
		return function[func(*libc.TLS, uintptr, uintptr) int32](m.FxFileSize)(tls, file, size)
	})
}

// walClose is xClose. What is still to be written belongs to no commit.
func walClose(tls *libc.TLS, file uintptr) int32 {
	w := walFileOf(file)
	walFiles.Delete(file)
	w.file.FpMethods = w.system
	rc := function[func(*libc.TLS, uintptr) int32](w.below().FxClose)(tls, file)
	libc.Xfree(tls, w.ours)
	libc.Xfree(tls, w.joined)
	return rc
}
