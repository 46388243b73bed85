package compile

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/octostore/octostore/core/files"
)

// codeFolder is a cache of machine code. Its contents are executed, so it belongs to this user alone,
// and code is used only with the SHA-256 that it was stored with:
//
//	KEY.json     the file of a module's code, with its size and its SHA-256
//	wazero-…/…   the code, where the runtime looks for it
//	new-…        the folder of a compilation under way
type codeFolder struct {
	dir       string
	temporary bool
	machine   string // part of the cache key: see machineName
	compile   Compiler
	log       *slog.Logger
}

// codeRecord is the content of KEY.json.
type codeRecord struct {
	File   string `json:"file"` // relative to the folder
	Bytes  int64  `json:"bytes"`
	SHA256 string `json:"sha256"`
}

const (
	maxCodeRecord = 4 << 10
	// maxCode bounds a file of code: more than a module of MaxModule compiles to.
	maxCode = 64 * MaxModule
	// forgetAfter is the time after which unused code is removed.
	forgetAfter = 30 * 24 * time.Hour
	// abandonedAfter is longer than any compilation takes.
	abandonedAfter = 24 * time.Hour
)

// openCodeFolder opens the folder of a setup, or creates it.
func openCodeFolder(ctx context.Context, cfg Config, p setup) (*codeFolder, error) {
	c := &codeFolder{dir: p.dir, temporary: p.temporary, compile: cfg.Compile, log: cfg.Logger}
	if c.compile == nil {
		c.compile = Into
	}
	var err error
	if p.temporary {
		c.dir, err = os.MkdirTemp("", "octostore-policies-")
	} else {
		err = ownFolder(p.dir)
	}
	if err != nil {
		return nil, err
	}
	if c.machine, err = machineName(ctx, c.dir); err != nil {
		return nil, errors.Join(err, c.close())
	}
	return c, nil
}

// ownFolder creates a folder, or checks that no other user can write to the existing one.
func ownFolder(dir string) error {
	if err := os.Mkdir(dir, 0o700); err != nil && !errors.Is(err, fs.ErrExist) {
		return err
	}
	info, err := os.Stat(dir)
	switch {
	case err != nil:
		return err
	case !info.IsDir():
		return fmt.Errorf("%s is not a folder", dir)
	case !ownedHere(info):
		return fmt.Errorf("%s belongs to another user, who could have put anything there; want a folder of the user of this process", dir)
	case writableByOthers(info):
		return fmt.Errorf("%s has mode %04o, so others can put anything there; want 0700", dir, info.Mode().Perm())
	}
	return nil
}

// close removes a temporary folder.
func (c *codeFolder) close() error {
	if c.temporary {
		return os.RemoveAll(c.dir)
	}
	return nil
}

// machineName returns the name that the runtime gives to the code of [EmptyModule]. It depends on the
// runtime, the system and the processor, so that a cache key never finds code for another processor.
func machineName(ctx context.Context, dir string) (string, error) {
	work, err := os.MkdirTemp("", "octostore-machine-")
	if err != nil {
		if work, err = os.MkdirTemp(dir, newPrefix); err != nil {
			return "", err
		}
	}
	defer os.RemoveAll(work)
	if err := Into(ctx, work, EmptyModule); err != nil {
		return "", err
	}
	return onlyFile(work)
}

const newPrefix = "new-"

// onlyFile returns the one file that a compilation wrote to a folder, as a path relative to it.
func onlyFile(dir string) (string, error) {
	var found []string
	err := fs.WalkDir(os.DirFS(dir), ".", func(path string, d fs.DirEntry, err error) error {
		if err == nil && d.Type().IsRegular() {
			found = append(found, filepath.FromSlash(path))
		}
		return err
	})
	if err != nil {
		return "", err
	}
	if len(found) != 1 {
		return "", fmt.Errorf("a compilation has left %d files, not one", len(found))
	}
	return found[0], nil
}

// provide makes sure that the folder has the code of a metered module, undamaged.
func (c *codeFolder) provide(ctx context.Context, metered []byte) error {
	record := c.recordOf(metered)
	err := c.check(record)
	if err == nil {
		now := time.Now()
		_ = os.Chtimes(record, now, now) // it is in use; see sweep
		return nil
	}
	if !errors.Is(err, errNotKept) {
		c.log.Warn("the cached code of a policy is damaged; it is compiled again", "err", err)
	}
	if err := os.Remove(record); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return unavailable(err)
	}
	return c.make(ctx, record, metered)
}

// recordOf returns the path of the record of a module's code.
func (c *codeFolder) recordOf(metered []byte) string {
	h := sha256.New()
	fmt.Fprintf(h, "octostore 1\n%s\n", filepath.ToSlash(c.machine))
	h.Write(metered)
	return filepath.Join(c.dir, hex.EncodeToString(h.Sum(nil))+".json")
}

// errNotKept says that the folder has no code of a module.
var errNotKept = errors.New("it is not kept")

// check returns nil if the code of a record is unchanged.
func (c *codeFolder) check(record string) error {
	text, err := files.Read(record, maxCodeRecord)
	if errors.Is(err, fs.ErrNotExist) {
		return errNotKept
	}
	if err != nil {
		return err
	}
	var r codeRecord
	if err := json.Unmarshal(text, &r); err != nil || !filepath.IsLocal(r.File) {
		return fmt.Errorf("%s is not the record it was", record)
	}
	path := filepath.Join(c.dir, r.File)
	now, err := recordFile(path)
	if err != nil {
		return err
	}
	if now.Bytes != r.Bytes || now.SHA256 != r.SHA256 {
		return fmt.Errorf("%s has %d bytes with SHA-256 %s; want %d bytes with %s", path, now.Bytes, now.SHA256, r.Bytes, r.SHA256)
	}
	return nil
}

// recordFile reads a file of code and returns its size and its hash.
func recordFile(path string) (codeRecord, error) {
	f, _, err := files.Open(path)
	if err != nil {
		return codeRecord{}, err
	}
	defer f.Close()
	h := sha256.New()
	n, err := io.Copy(h, io.LimitReader(f, maxCode))
	return codeRecord{Bytes: n, SHA256: hex.EncodeToString(h.Sum(nil))}, err
}

// make compiles a module in a folder of its own, and moves the code to where the runtime finds it. The
// record comes last, so that code of an interrupted compilation is compiled again.
func (c *codeFolder) make(ctx context.Context, record string, metered []byte) error {
	work, err := os.MkdirTemp(c.dir, newPrefix)
	if err != nil {
		return unavailable(err)
	}
	defer os.RemoveAll(work)
	if err := c.compile(ctx, work, metered); err != nil {
		return err
	}
	if err := c.keep(work, record); err != nil {
		return unavailable(err)
	}
	return nil
}

func (c *codeFolder) keep(work, record string) error {
	file, err := onlyFile(work)
	if err != nil {
		return err
	}
	r, err := recordFile(filepath.Join(work, file))
	if err != nil {
		return err
	}
	r.File = file
	text, err := json.Marshal(r)
	if err != nil {
		return err
	}
	if err := os.MkdirAll(filepath.Join(c.dir, filepath.Dir(file)), 0o700); err != nil {
		return err
	}
	from, to := filepath.Join(work, file), filepath.Join(c.dir, file)
	if err := os.Rename(from, to); err != nil {
		_ = os.RemoveAll(to) // it need not be a file
		if err := os.Rename(from, to); err != nil {
			return err
		}
	}
	draft := filepath.Join(work, "record")
	if err := os.WriteFile(draft, text, 0o600); err != nil {
		return err
	}
	return os.Rename(draft, record)
}

// sweep removes unused code and the remains of interrupted compilations. The code in use has to be
// marked before. Errors do not matter.
func (c *codeFolder) sweep() {
	if c == nil || c.temporary {
		return
	}
	entries, err := os.ReadDir(c.dir)
	if err != nil {
		return
	}
	for _, entry := range entries {
		info, err := entry.Info()
		if err != nil {
			continue
		}
		path, age := filepath.Join(c.dir, entry.Name()), time.Since(info.ModTime())
		switch {
		case entry.IsDir() && strings.HasPrefix(entry.Name(), newPrefix) && age > abandonedAfter:
			_ = os.RemoveAll(path)
		case strings.HasSuffix(entry.Name(), ".json") && age > forgetAfter:
			c.forget(path)
		}
	}
}

// forget removes a record and its code.
func (c *codeFolder) forget(record string) {
	var r codeRecord
	text, err := files.Read(record, maxCodeRecord)
	if err != nil || json.Unmarshal(text, &r) != nil {
		return
	}
	if filepath.IsLocal(r.File) && strings.HasPrefix(r.File, "wazero-") {
		_ = os.Remove(filepath.Join(c.dir, r.File))
	}
	_ = os.Remove(record)
}
