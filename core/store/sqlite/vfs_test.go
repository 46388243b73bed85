package sqlite

import (
	"os"
	"slices"
	"sync"
	"unsafe"

	"modernc.org/libc"
	"modernc.org/libc/sys/types"
	sqlite3 "modernc.org/sqlite/lib"
)

// The shim under a disk: SQLite's own VFS with a few methods replaced. SQLite calls
// functions, not methods, so there is one disk at a time.

var (
	theDisk  *disk
	shimOnce sync.Once
	shim     struct {
		vfs, system uintptr
		open        uintptr
		remove      uintptr
		mu          sync.Mutex
		tables      map[uintptr]uintptr // of io methods: the system's to ours
		systems     map[uintptr]*sqlite3.Tsqlite3_io_methods
	}
)

func makeShim() {
	tls := libc.NewTLS()
	defer tls.Close()
	shim.tables = make(map[uintptr]uintptr)
	shim.systems = make(map[uintptr]*sqlite3.Tsqlite3_io_methods)
	shim.system = sqlite3.Xsqlite3_vfs_find(tls, 0)
	shim.vfs = libc.Xmalloc(tls, types.Size_t(unsafe.Sizeof(sqlite3.Tsqlite3_vfs{})))
	v := (*sqlite3.Tsqlite3_vfs)(memory(shim.vfs))
	*v = *(*sqlite3.Tsqlite3_vfs)(memory(shim.system))
	v.FzName, _ = libc.CString("recorded")
	v.FpNext = 0
	shim.open, v.FxOpen = v.FxOpen, funcPointer(shimOpen)
	shim.remove, v.FxDelete = v.FxDelete, funcPointer(shimDelete)
}

func funcPointer(f any) uintptr { return (*[2]uintptr)(unsafe.Pointer(&f))[1] }

func call[F any](p uintptr) F { return *(*F)(unsafe.Pointer(&struct{ uintptr }{p})) }

func shimOpen(tls *libc.TLS, vfs, name, file uintptr, flags int32, out uintptr) int32 {
	f := (*sqlite3.Tsqlite3_file)(memory(file))
	path := ""
	if name != 0 {
		path = libc.GoString(name)
		if rc := theDisk.do(diskOp{kind: "open", path: path}); rc != 0 {
			f.FpMethods = 0
			return rc
		}
	}
	_, err := os.Stat(path)
	fresh := os.IsNotExist(err)
	rc := call[func(*libc.TLS, uintptr, uintptr, uintptr, int32, uintptr) int32](shim.open)(tls, vfs, name, file, flags, out)
	if rc != sqlite3.SQLITE_OK || name == 0 || f.FpMethods == 0 {
		return rc
	}
	f.FpMethods = shimTable(tls, f.FpMethods)
	// SQLite makes the names of its logs and journals durable with their first sync.
	named := flags&sqlite3.SQLITE_OPEN_CREATE != 0 && flags&(sqlite3.SQLITE_OPEN_WAL|sqlite3.SQLITE_OPEN_MAIN_JOURNAL) != 0
	theDisk.mu.Lock()
	defer theDisk.mu.Unlock()
	theDisk.files[file] = &openFile{path: path, newName: named}
	if fresh && theDisk.recorded(path) {
		theDisk.note(diskOp{kind: "create", path: path})
	}
	return rc
}

func shimDelete(tls *libc.TLS, vfs, name uintptr, dir int32) int32 {
	path := libc.GoString(name)
	if _, err := os.Stat(path); err == nil {
		if rc := theDisk.do(diskOp{kind: "delete", path: path, dir: dir != 0}); rc != 0 {
			return rc
		}
	}
	return call[func(*libc.TLS, uintptr, uintptr, int32) int32](shim.remove)(tls, vfs, name, dir)
}

// shimTable returns our version of a table of io methods.
func shimTable(tls *libc.TLS, system uintptr) uintptr {
	shim.mu.Lock()
	defer shim.mu.Unlock()
	if ours, ok := shim.tables[system]; ok {
		return ours
	}
	ours := libc.Xmalloc(tls, types.Size_t(unsafe.Sizeof(sqlite3.Tsqlite3_io_methods{})))
	m := (*sqlite3.Tsqlite3_io_methods)(memory(ours))
	*m = *(*sqlite3.Tsqlite3_io_methods)(memory(system))
	m.FxWrite, m.FxSync = funcPointer(shimWrite), funcPointer(shimSync)
	m.FxTruncate, m.FxClose = funcPointer(shimTruncate), funcPointer(shimClose)
	shim.tables[system] = ours
	shim.systems[ours] = (*sqlite3.Tsqlite3_io_methods)(memory(system))
	return ours
}

func systemOf(file uintptr) *sqlite3.Tsqlite3_io_methods {
	shim.mu.Lock()
	defer shim.mu.Unlock()
	return shim.systems[(*sqlite3.Tsqlite3_file)(memory(file)).FpMethods]
}

// opened returns the record of an open file.
func (d *disk) opened(file uintptr) openFile {
	d.mu.Lock()
	defer d.mu.Unlock()
	return *d.files[file]
}

func shimWrite(tls *libc.TLS, file, data uintptr, n int32, off int64) int32 {
	b := slices.Clone(unsafe.Slice((*byte)(memory(data)), n))
	if rc := theDisk.do(diskOp{kind: "write", path: theDisk.opened(file).path, at: off, data: b}); rc != 0 {
		n = min(n, 512) // what fails may have been done in part
		call[func(*libc.TLS, uintptr, uintptr, int32, int64) int32](systemOf(file).FxWrite)(tls, file, data, n, off)
		return rc
	}
	return call[func(*libc.TLS, uintptr, uintptr, int32, int64) int32](systemOf(file).FxWrite)(tls, file, data, n, off)
}

func shimTruncate(tls *libc.TLS, file uintptr, size int64) int32 {
	if rc := theDisk.do(diskOp{kind: "truncate", path: theDisk.opened(file).path, at: size}); rc != 0 {
		return rc
	}
	return call[func(*libc.TLS, uintptr, int64) int32](systemOf(file).FxTruncate)(tls, file, size)
}

func shimSync(tls *libc.TLS, file uintptr, flags int32) int32 {
	f := theDisk.opened(file)
	if rc := theDisk.do(diskOp{kind: "sync", path: f.path, dir: f.newName}); rc != 0 {
		return rc
	}
	theDisk.mu.Lock()
	theDisk.files[file].newName = false
	quick := theDisk.quick
	theDisk.mu.Unlock()
	if quick {
		return sqlite3.SQLITE_OK
	}
	return call[func(*libc.TLS, uintptr, int32) int32](systemOf(file).FxSync)(tls, file, flags)
}

func shimClose(tls *libc.TLS, file uintptr) int32 {
	theDisk.mu.Lock()
	delete(theDisk.files, file)
	theDisk.mu.Unlock()
	return call[func(*libc.TLS, uintptr) int32](systemOf(file).FxClose)(tls, file)
}

// memory turns the address of C memory into a pointer, in a way that vet accepts.
func memory(p uintptr) unsafe.Pointer { return *(*unsafe.Pointer)(unsafe.Pointer(&p)) }
