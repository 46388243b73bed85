package sqlite

import (
	"maps"
	"math/rand/v2"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"

	"modernc.org/libc"
	sqlite3 "modernc.org/sqlite/lib"

	"github.com/octostore/octostore/core/store/sqlite/internal/conn"
)

// disk stands between SQLite and the file system. It records the operations on the files of
// a database, and can make one fail.
type disk struct {
	mu    sync.Mutex
	files map[uintptr]*openFile
	main  string            // the database recorded; its log and its journal are too
	base  map[string][]byte // what the recorded files were like, durably, at first
	sizes map[string]int64  // of the recorded files now
	ops   []diskOp
	fail  func(diskOp) int32 // result code of an operation; 0: do it
	quick bool               // syncs are recorded, but not done
}

type openFile struct {
	path string
	// newName says that the next sync makes the name of the file durable, too.
	newName bool
}

// diskOp is one operation on a file.
type diskOp struct {
	kind string // "open", "create", "write", "truncate", "sync", "delete"
	path string
	at   int64
	data []byte
	dir  bool // a sync or deletion after which the names in the directory are durable
}

// newDisk puts a disk under all databases opened until the end of the test.
func newDisk(t *testing.T) *disk {
	t.Helper()
	conn.UseOFDLocks()
	d := &disk{files: make(map[uintptr]*openFile)}
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

// record begins a recording of the database at path; what its files hold now is
// durable.
func (d *disk) record(t *testing.T, path string) {
	t.Helper()
	d.mu.Lock()
	defer d.mu.Unlock()
	d.main, d.base, d.sizes, d.ops = path, make(map[string][]byte), make(map[string]int64), nil
	for _, name := range []string{path, path + "-wal", path + "-journal"} {
		b, err := os.ReadFile(name)
		if os.IsNotExist(err) {
			continue
		}
		if err != nil {
			t.Fatal(err)
		}
		d.base[name], d.sizes[name] = b, int64(len(b))
	}
}

func (d *disk) recorded(path string) bool {
	suffix, ok := strings.CutPrefix(path, d.main)
	return ok && d.main != "" && (suffix == "" || suffix == "-wal" || suffix == "-journal")
}

// done returns the number of operations so far.
func (d *disk) done() int {
	d.mu.Lock()
	defer d.mu.Unlock()
	return len(d.ops)
}

// failing sets the function that makes operations fail; nil: none fails.
func (d *disk) failing(f func(diskOp) int32) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.fail = f
}

// do records an operation, unless it is to fail.
func (d *disk) do(op diskOp) int32 {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.fail != nil {
		if rc := d.fail(op); rc != 0 {
			return rc
		}
	}
	if d.recorded(op.path) {
		d.noteZeros(op.path)
		d.note(op)
	}
	return 0
}

// noteZeros records that the log has become longer than SQLite made it: the store
// extends it by itself.
func (d *disk) noteZeros(path string) {
	fi, err := os.Stat(path)
	if err != nil || !strings.HasSuffix(path, "-wal") || fi.Size() <= d.sizes[path] {
		return
	}
	for at := d.sizes[path]; at < fi.Size(); at += 4096 {
		d.note(diskOp{kind: "write", path: path, at: at, data: make([]byte, min(4096, fi.Size()-at))})
	}
	d.note(diskOp{kind: "sync", path: path})
}

func (d *disk) note(op diskOp) {
	switch op.kind {
	case "open":
		return
	case "create", "delete":
		d.sizes[op.path] = 0
	case "write":
		d.sizes[op.path] = max(d.sizes[op.path], op.at+int64(len(op.data)))
	case "truncate":
		d.sizes[op.path] = op.at
	}
	d.ops = append(d.ops, op)
}

// An inode is a file without its name: its durable content, and the operations since.
type inode struct {
	data    []byte
	pending []diskOp
}

// cut returns the files that could be on the disk if the power went after n
// operations: of what was written since a file's last sync, any sectors; of the names
// that came and went since the last sync of the directory, those up to any moment.
func (d *disk) cut(n int, rng *rand.Rand) map[string][]byte {
	names := make(map[string]*inode) // now
	for path, b := range d.base {
		names[path] = &inode{data: slices.Clone(b)}
	}
	durable := maps.Clone(names)
	pending := make(map[string][]*inode) // names that came (or, nil, went)
	for _, op := range d.ops[:n] {
		file := names[op.path]
		switch op.kind {
		case "create":
			names[op.path] = new(inode)
			pending[op.path] = append(pending[op.path], names[op.path])
		case "delete":
			names[op.path] = nil
			pending[op.path] = append(pending[op.path], nil)
		case "sync":
			if file != nil {
				file.sync()
			}
		default:
			if file != nil {
				file.pending = append(file.pending, op)
			}
		}
		if op.dir {
			durable = maps.Clone(names)
			clear(pending)
		}
	}
	for _, path := range slices.Sorted(maps.Keys(pending)) {
		if k := rng.IntN(len(pending[path]) + 1); k > 0 {
			durable[path] = pending[path][k-1]
		}
	}
	files := make(map[string][]byte)
	for _, path := range slices.Sorted(maps.Keys(durable)) {
		if file := durable[path]; file != nil {
			files[path] = file.torn(rng)
		}
	}
	return files
}

func (f *inode) sync() {
	for _, op := range f.pending {
		f.data = op.apply(f.data)
	}
	f.pending = nil
}

// torn returns the content that a file may have after a power cut.
func (f *inode) torn(rng *rand.Rand) []byte {
	b := slices.Clone(f.data)
	for _, op := range f.pending {
		for _, part := range op.sectors() {
			if rng.IntN(2) == 0 {
				b = part.apply(b)
			}
		}
	}
	return b
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

// sectors splits a write into the units that a disk writes atomically.
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
