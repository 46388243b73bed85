package sqlite

import (
	"math/rand/v2"
	"os"
	"slices"
	"sync"
	"testing"
	"unsafe"

	"modernc.org/libc"
	"modernc.org/libc/sys/types"
	sqlite3 "modernc.org/sqlite/lib"
)

// disk stands between SQLite and the file system. It records what is written to
// the files a store keeps its data in, and can make an operation fail.
type disk struct {
	mu    sync.Mutex
	paths map[uintptr]string // of the open files
	base  map[string][]byte  // what the recorded files were like, durably, at first
	ops   []diskOp
	fail  func(diskOp) int32 // result code of an operation; 0: do it
}

// diskOp is a write, a truncation or a sync.
type diskOp struct {
	kind string // "write", "truncate", "sync"
	path string
	at   int64
	data []byte
}

// newDisk puts a disk under all databases opened until the end of the test.
func newDisk(t *testing.T) *disk {
	t.Helper()
	useOFDLocks()
	d := &disk{paths: make(map[uintptr]string)}
	theDisk = d
	shimOnce.Do(makeShim)
	tls := libc.NewTLS()
	sqlite3.Xsqlite3_vfs_register(tls, shim.vfs, 1)
	t.Cleanup(func() {
		sqlite3.Xsqlite3_vfs_register(tls, shim.system, 1)
		tls.Close()
	})
	return d
}

// record begins a recording of the files named; what they hold now is durable.
func (d *disk) record(t *testing.T, paths ...string) {
	t.Helper()
	d.mu.Lock()
	defer d.mu.Unlock()
	d.base, d.ops = make(map[string][]byte), nil
	for _, p := range paths {
		b, err := os.ReadFile(p)
		if err != nil {
			t.Fatal(err)
		}
		d.base[p] = b
	}
}

// done returns the number of operations so far.
func (d *disk) done() int {
	d.mu.Lock()
	defer d.mu.Unlock()
	return len(d.ops)
}

// failing makes operations fail as f says, or as before with nil.
func (d *disk) failing(f func(diskOp) int32) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.fail = f
}

// cut returns what could be on the disk if the power went after n operations: of
// what was written since a file's last sync, any sectors.
func (d *disk) cut(n int, rng *rand.Rand) map[string][]byte {
	files := make(map[string][]byte)
	for path, b := range d.base {
		b = slices.Clone(b)
		var pending []diskOp
		for _, op := range d.ops[:n] {
			switch {
			case op.path != path:
			case op.kind == "sync":
				for _, p := range pending {
					b = p.apply(b)
				}
				pending = nil
			default:
				pending = append(pending, op)
			}
		}
		for _, p := range pending {
			for _, torn := range p.sectors() {
				if rng.IntN(2) == 0 {
					b = torn.apply(b)
				}
			}
		}
		files[path] = b
	}
	return files
}

func (op diskOp) apply(b []byte) []byte {
	if op.kind == "truncate" {
		return b[:min(op.at, int64(len(b)))]
	}
	if grow := op.at + int64(len(op.data)) - int64(len(b)); grow > 0 {
		b = append(b, make([]byte, grow)...)
	}
	copy(b[op.at:], op.data)
	return b
}

// sectors splits a write into what a disk does at once.
func (op diskOp) sectors() (parts []diskOp) {
	const sector = 512
	if op.kind != "write" {
		return []diskOp{op}
	}
	for at, data := op.at, op.data; len(data) > 0; {
		n := min(len(data), int(sector-at%sector))
		parts = append(parts, diskOp{kind: "write", path: op.path, at: at, data: data[:n]})
		at, data = at+int64(n), data[n:]
	}
	return parts
}

// do notes an operation, unless it is to fail.
func (d *disk) do(file uintptr, op diskOp) int32 {
	d.mu.Lock()
	defer d.mu.Unlock()
	op.path = d.paths[file]
	if d.fail != nil {
		if rc := d.fail(op); rc != 0 {
			return rc
		}
	}
	if _, ok := d.base[op.path]; ok {
		d.ops = append(d.ops, op)
	}
	return 0
}

// The rest is the shim: SQLite's own VFS with a few methods replaced. SQLite calls
// functions, not methods, so there is one disk at a time.

var (
	theDisk  *disk
	shimOnce sync.Once
	shim     struct {
		vfs, system uintptr
		open        uintptr
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
	v := (*sqlite3.Tsqlite3_vfs)(at(shim.vfs))
	*v = *(*sqlite3.Tsqlite3_vfs)(at(shim.system))
	v.FzName, _ = libc.CString("recorded")
	v.FpNext = 0
	shim.open, v.FxOpen = v.FxOpen, funcPointer(shimOpen)
}

func funcPointer(f any) uintptr { return (*[2]uintptr)(unsafe.Pointer(&f))[1] }

func call[F any](p uintptr) F { return *(*F)(unsafe.Pointer(&struct{ uintptr }{p})) }

func shimOpen(tls *libc.TLS, vfs, name, file uintptr, flags int32, out uintptr) int32 {
	rc := call[func(*libc.TLS, uintptr, uintptr, uintptr, int32, uintptr) int32](shim.open)(tls, vfs, name, file, flags, out)
	f := (*sqlite3.Tsqlite3_file)(at(file))
	if rc != sqlite3.SQLITE_OK || name == 0 || f.FpMethods == 0 {
		return rc
	}
	f.FpMethods = shimTable(tls, f.FpMethods)
	theDisk.mu.Lock()
	defer theDisk.mu.Unlock()
	theDisk.paths[file] = libc.GoString(name)
	return rc
}

// shimTable returns our version of a table of io methods.
func shimTable(tls *libc.TLS, system uintptr) uintptr {
	shim.mu.Lock()
	defer shim.mu.Unlock()
	if ours, ok := shim.tables[system]; ok {
		return ours
	}
	ours := libc.Xmalloc(tls, types.Size_t(unsafe.Sizeof(sqlite3.Tsqlite3_io_methods{})))
	m := (*sqlite3.Tsqlite3_io_methods)(at(ours))
	*m = *(*sqlite3.Tsqlite3_io_methods)(at(system))
	m.FxWrite, m.FxSync = funcPointer(shimWrite), funcPointer(shimSync)
	m.FxTruncate, m.FxClose = funcPointer(shimTruncate), funcPointer(shimClose)
	shim.tables[system] = ours
	shim.systems[ours] = (*sqlite3.Tsqlite3_io_methods)(at(system))
	return ours
}

func systemOf(file uintptr) *sqlite3.Tsqlite3_io_methods {
	shim.mu.Lock()
	defer shim.mu.Unlock()
	return shim.systems[(*sqlite3.Tsqlite3_file)(at(file)).FpMethods]
}

func shimWrite(tls *libc.TLS, file, data uintptr, n int32, off int64) int32 {
	if rc := theDisk.do(file, diskOp{kind: "write", at: off, data: slices.Clone(unsafe.Slice((*byte)(at(data)), n))}); rc != 0 {
		return rc
	}
	return call[func(*libc.TLS, uintptr, uintptr, int32, int64) int32](systemOf(file).FxWrite)(tls, file, data, n, off)
}

func shimTruncate(tls *libc.TLS, file uintptr, size int64) int32 {
	if rc := theDisk.do(file, diskOp{kind: "truncate", at: size}); rc != 0 {
		return rc
	}
	return call[func(*libc.TLS, uintptr, int64) int32](systemOf(file).FxTruncate)(tls, file, size)
}

func shimSync(tls *libc.TLS, file uintptr, flags int32) int32 {
	if rc := theDisk.do(file, diskOp{kind: "sync"}); rc != 0 {
		return rc
	}
	return call[func(*libc.TLS, uintptr, int32) int32](systemOf(file).FxSync)(tls, file, flags)
}

func shimClose(tls *libc.TLS, file uintptr) int32 {
	theDisk.mu.Lock()
	delete(theDisk.paths, file)
	theDisk.mu.Unlock()
	return call[func(*libc.TLS, uintptr) int32](systemOf(file).FxClose)(tls, file)
}
