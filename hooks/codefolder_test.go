package hooks

import (
	"bytes"
	"context"
	"encoding/binary"
	"encoding/json"
	"hash/crc32"
	"log/slog"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/octostore/octostore/hooks/internal/compile"
)

// logBook is a log that tests read.
type logBook struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func newLogBook() *logBook { return &logBook{} }

func (l *logBook) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.Write(p)
}

func (l *logBook) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.String()
}

func (l *logBook) logger() *slog.Logger   { return slog.New(slog.NewTextHandler(l, nil)) }
func (l *logBook) count(words string) int { return strings.Count(l.String(), words) }

// cachedHouse is a house whose modules are compiled into a folder, and counted.
type cachedHouse struct {
	house
	cfg      Config
	log      *logBook
	compiled atomic.Int64
}

func newCachedHouse(t *testing.T, policies ...string) *cachedHouse {
	t.Helper()
	if compile.MachineCodeMissing() != nil {
		t.Skip("SKIP: no machine code can be made here")
	}
	h := &cachedHouse{house: newHouse(t), log: newLogBook()}
	h.cfg = Config{Manifest: h.manifest(policies...), CacheDir: filepath.Join(h.dir, "code"), Logger: h.log.logger()}
	h.cfg.Compile = func(ctx context.Context, dir string, module []byte) error {
		h.compiled.Add(1)
		return CompileInto(ctx, dir, module)
	}
	return h
}

// start opens a host and returns what it says, and how many modules were compiled for that.
func (h *cachedHouse) start(t *testing.T) (answer string, compiled int64) {
	t.Helper()
	before := h.compiled.Load()
	host, err := Open(t.Context(), h.cfg)
	if err != nil {
		t.Fatal(err)
	}
	defer host.Close()
	if host.Engine() != Compiled {
		t.Errorf("the %s runs policies", host.Engine())
	}
	return said(host.Judge(t.Context(), question("a"))), h.compiled.Load() - before
}

// code returns the paths of what is kept of the one module: its record and its code.
func (h *cachedHouse) code(t *testing.T) (record, code string) {
	t.Helper()
	records, _ := filepath.Glob(filepath.Join(h.cfg.CacheDir, "*.json"))
	codes, _ := filepath.Glob(filepath.Join(h.cfg.CacheDir, "wazero-*", "*"))
	if len(records) != 1 || len(codes) != 1 {
		t.Fatalf("there are %v and %v", records, codes)
	}
	return records[0], codes[0]
}

const deniesAll = "p deny; no of p: not today, 1m0s"

// A start finds what the one before compiled; what is damaged of it is made again, with
// one warning, and is never run.
func TestCodeFolderThatIsDamagedIsOfNoConsequence(t *testing.T) {
	for _, damage := range []struct {
		name string
		do   func(t *testing.T, record, code string)
	}{
		{"the code is truncated", func(t *testing.T, _, code string) { resize(t, code, 100) }},
		{"the code is empty", func(t *testing.T, _, code string) { resize(t, code, 0) }},
		{"the code is zeroed", func(t *testing.T, _, code string) {
			rewrite(t, code, func(b []byte) { clear(b) })
		}},
		{"a byte of the code is changed", func(t *testing.T, _, code string) {
			rewrite(t, code, func(b []byte) { b[len(b)/2] ^= 1 })
		}},
		{"another code, with the checksum of the runtime", func(t *testing.T, _, code string) { rewrite(t, code, trapAll) }},
		{"the last byte is changed", func(t *testing.T, _, code string) {
			rewrite(t, code, func(b []byte) { b[len(b)-1] ^= 1 })
		}},
		{"the code is gone", func(t *testing.T, _, code string) { remove(t, code) }},
		{"the code is a folder", func(t *testing.T, _, code string) {
			remove(t, code)
			if err := os.Mkdir(code, 0o700); err != nil {
				t.Fatal(err)
			}
		}},
		{"the record is empty", func(t *testing.T, record, _ string) { resize(t, record, 0) }},
		{"the record leads elsewhere", func(t *testing.T, record, _ string) {
			rewriteAs(t, record, `{"file":"../policies.json","bytes":1,"sha256":""}`)
		}},
		{"the record is huge", func(t *testing.T, record, _ string) { resize(t, record, 1<<20) }},
	} {
		t.Run(damage.name, func(t *testing.T) {
			h := newCachedHouse(t, entry("p"))
			h.write("p.wasm", denies)
			if got, compiled := h.start(t); got != deniesAll || compiled != 1 {
				t.Fatalf("%s after %d compilations", got, compiled)
			}
			if got, compiled := h.start(t); got != deniesAll || compiled != 0 {
				t.Fatalf("%s after %d more compilations", got, compiled)
			}
			record, code := h.code(t)
			damage.do(t, record, code)
			if got, compiled := h.start(t); got != deniesAll || compiled != 1 {
				t.Errorf("%s after %d compilations of what was damaged", got, compiled)
			}
			if n := h.log.count("level=WARN"); n != 1 || h.log.count("is damaged") != 1 {
				t.Errorf("there are %d warnings:\n%s", n, h.log)
			}
			if got, compiled := h.start(t); got != deniesAll || compiled != 0 {
				t.Errorf("%s after %d compilations of what was mended", got, compiled)
			}
		})
	}
}

func resize(t *testing.T, path string, size int64) {
	t.Helper()
	if err := os.Truncate(path, size); err != nil {
		t.Fatal(err)
	}
}

func remove(t *testing.T, path string) {
	t.Helper()
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
}

func rewriteAs(t *testing.T, path, text string) {
	t.Helper()
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

func rewrite(t *testing.T, path string, change func([]byte)) {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	change(b)
	rewriteAs(t, path, string(b))
}

// trapAll makes every instruction one that ends the process, and mends the checksum of the
// runtime: its format is a magic word, a version, the functions, the code, its CRC.
func trapAll(b []byte) {
	at := len("WAZEVO")
	at += 1 + int(b[at])
	at += 4 + 8*int(binary.LittleEndian.Uint32(b[at:]))
	size := int(binary.LittleEndian.Uint64(b[at:]))
	code := b[at+8 : at+8+size]
	for i := range code {
		code[i] = 0xcc
	}
	binary.LittleEndian.PutUint32(b[at+8+size:], crc32.Checksum(code, crc32.MakeTable(crc32.Castagnoli)))
}

// A folder that cannot be used, or that others can write to, is not used. Policies rule
// all the same.
func TestCodeFolderThatCannotBeUsedIsOfNoConsequence(t *testing.T) {
	for name, prepare := range map[string]func(t *testing.T, h *cachedHouse){
		"it is a file":              func(t *testing.T, h *cachedHouse) { rewriteAs(t, h.cfg.CacheDir, "") },
		"the folder above is none":  func(t *testing.T, h *cachedHouse) { h.cfg.CacheDir = filepath.Join(h.dir, "p.wasm", "code") },
		"others may write to it":    func(t *testing.T, h *cachedHouse) { openFolder(t, h.cfg.CacheDir, 0o777) },
		"its group may write to it": func(t *testing.T, h *cachedHouse) { openFolder(t, h.cfg.CacheDir, 0o770) },
		"its mode forbids writing": func(t *testing.T, h *cachedHouse) {
			if os.Geteuid() == 0 {
				t.Skip("SKIP: root may write everywhere")
			}
			openFolder(t, h.cfg.CacheDir, 0o500)
		},
		"what is inside is a file": func(t *testing.T, h *cachedHouse) {
			h.start(t)
			_, code := h.code(t)
			if err := os.RemoveAll(filepath.Dir(code)); err != nil {
				t.Fatal(err)
			}
			rewriteAs(t, filepath.Dir(code), "")
		},
	} {
		for _, bounded := range []bool{true, false} {
			t.Run(name, func(t *testing.T) {
				if runtime.GOOS == "windows" {
					t.Skip("SKIP: modes say nothing there")
				}
				h := newCachedHouse(t, entry("p"))
				h.write("p.wasm", denies)
				if prepare(t, h); !bounded {
					h.cfg.Compile = nil
				}
				if got, _ := h.start(t); got != deniesAll {
					t.Error(got)
				}
				if n := h.log.count("level=WARN"); n != 1 {
					t.Errorf("there are %d warnings:\n%s", n, h.log)
				}
				if bounded && h.compiled.Load() == 0 {
					t.Error("it was not compiled where that is bounded")
				}
			})
		}
	}
}

func openFolder(t *testing.T, dir string, mode os.FileMode) {
	t.Helper()
	if err := os.Mkdir(dir, mode); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(dir, mode); err != nil { // whatever the umask
		t.Fatal(err)
	}
}

// The folder is for this user alone, and so is what is in it.
func TestCodeFolderIsPrivate(t *testing.T) {
	h := newCachedHouse(t, entry("p"))
	h.write("p.wasm", denies)
	h.start(t)
	record, code := h.code(t)
	for path, want := range map[string]os.FileMode{h.cfg.CacheDir: 0o700, filepath.Dir(code): 0o700, record: 0o600, code: 0o600} {
		if info, err := os.Stat(path); err != nil || info.Mode().Perm() != want && runtime.GOOS != "windows" {
			t.Errorf("%s: %v %v, want %v", path, info.Mode().Perm(), err, want)
		}
	}
}

// A temporary folder is gone when the host is closed, also after an error.
func TestCodeFolderThatIsTemporaryIsRemoved(t *testing.T) {
	t.Setenv("TMPDIR", t.TempDir())
	t.Setenv("TMP", os.Getenv("TMPDIR"))
	h := newCachedHouse(t, entry("p"))
	h.cfg.CacheDir = ""
	h.write("p.wasm", denies)
	h.start(t)
	h.write("p.wasm", []byte("nothing"))
	if _, err := Open(t.Context(), h.cfg); err == nil {
		t.Error("nothing was loaded")
	}
	if left, _ := filepath.Glob(filepath.Join(os.Getenv("TMPDIR"), "*")); len(left) > 0 {
		t.Errorf("%v is left", left)
	}
}

// What no policy has used for long is removed; what is in use is not, nor are files of
// others.
func TestCodeFolderIsSwept(t *testing.T) {
	h := newCachedHouse(t, entry("p"))
	h.write("p.wasm", denies)
	h.start(t)
	oldRecord, oldCode := h.code(t)
	abandoned, other := filepath.Join(h.cfg.CacheDir, "new-1"), filepath.Join(h.cfg.CacheDir, "notes.txt")
	openFolder(t, abandoned, 0o700)
	rewriteAs(t, other, "")
	before := time.Now().Add(-31 * 24 * time.Hour)
	for _, path := range []string{oldRecord, abandoned, other} {
		if err := os.Chtimes(path, before, before); err != nil {
			t.Fatal(err)
		}
	}
	h.start(t) // it is in use
	if _, err := os.Stat(oldRecord); err != nil {
		t.Fatal(err)
	}
	if err := os.Chtimes(oldRecord, before, before); err != nil {
		t.Fatal(err)
	}
	h.write("p.wasm", check("nop i32.const 0"))
	h.start(t)
	for path, want := range map[string]bool{oldRecord: false, oldCode: false, abandoned: false, other: true} {
		if _, err := os.Stat(path); (err == nil) != want {
			t.Errorf("%s: %v", path, err)
		}
	}
	h.code(t) // of the one in use
}

// A record says what it is about.
func TestCodeRecordHasTheDigest(t *testing.T) {
	h := newCachedHouse(t, entry("p"))
	h.write("p.wasm", denies)
	h.start(t)
	record, code := h.code(t)
	text, err := os.ReadFile(record)
	if err != nil {
		t.Fatal(err)
	}
	var r struct {
		Bytes  int64  `json:"bytes"`
		SHA256 string `json:"sha256"`
	}
	if err := json.Unmarshal(text, &r); err != nil {
		t.Fatal(err)
	}
	b, err := os.ReadFile(code)
	if err != nil {
		t.Fatal(err)
	}
	if want := digestOf(b); r.SHA256 != want || r.Bytes != int64(len(b)) {
		t.Errorf("%+v, want %s", r, want)
	}
}
