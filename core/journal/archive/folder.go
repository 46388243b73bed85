package archive

import (
	"bytes"
	"cmp"
	"context"
	"crypto/ed25519"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/octostore/octostore/core/journal/record"
	"github.com/octostore/octostore/core/lock"
)

// Names of files: the number has 16 digits, so that the order of names is that of records.
const (
	namePrefix = "octostore-audit-"
	nameSuffix = ".ndjson"
	draftMark  = nameSuffix + ".partial-"
)

// file is a file of the archive, as it was when it was looked at.
type file struct {
	name    string
	after   lock.Seq  // it begins after this record
	last    lock.Head // its last record
	newest  time.Time // of that record
	size    int64
	changed time.Time
	begin   int64 // offset of its first record
	end     int64 // offset of its closing line
}

// listing is what the folder has, in order. It is immutable.
type listing struct {
	files []file
}

func (l *listing) bytes() (all int64) {
	for i := range l.files {
		all += l.files[i].size
	}
	return all
}

// reach returns up to where the files have every record after the given one, and the first
// record after that from which they go on, 0 for none.
func (l *listing) reach(from lock.Head) (at lock.Head, next lock.Seq) {
	at = from
	for i := range l.files {
		f := &l.files[i]
		switch {
		case f.last.Seq < at.Seq:
		case f.last.Seq == at.Seq:
			at = f.last // it has the hash, too
		case f.after <= at.Seq:
			at = f.last
		default:
			return at, f.after
		}
	}
	return at, 0
}

// begin returns the smallest cursor from which the files have every record up to the given
// one.
func (l *listing) begin(upTo lock.Seq) lock.Seq {
	for i := len(l.files) - 1; i >= 0; i-- {
		if f := &l.files[i]; f.after < upTo && upTo <= f.last.Seq {
			upTo = f.after
		}
	}
	return upTo
}

// with returns the file that has the record after the given one.
func (l *listing) with(after lock.Seq) (file, bool) {
	for i := range l.files {
		if f := l.files[i]; f.after <= after && after < f.last.Seq {
			return f, true
		}
	}
	return file{}, false
}

func fileName(after lock.Seq) string { return fmt.Sprintf("%s%016d%s", namePrefix, after, nameSuffix) }

// parseName returns the record after which a file begins.
func parseName(name string) (after lock.Seq, ok bool) {
	text, ok := strings.CutPrefix(name, namePrefix)
	text, found := strings.CutSuffix(text, nameSuffix)
	n, err := strconv.ParseUint(text, 10, 53)
	return lock.Seq(n), ok && found && err == nil && fileName(lock.Seq(n)) == name
}

// relist looks at the folder, and at the files that it did not know. It removes drafts that a
// crash has left.
func (a *Archive) relist(ctx context.Context) error {
	l, err := a.look(ctx)
	if err == nil {
		err = a.ours(ctx, l)
	}
	if errors.Is(err, ErrOtherLog) && !a.cfg.Owns() {
		err = fmt.Errorf("%w: the archive goes on after its end", lock.ErrDeposed)
	}
	switch {
	case err == nil:
		a.list.Store(l)
		a.unlisted.Store(nil)
	case errors.Is(err, ErrOtherLog):
		a.list.Store(new(listing))
		a.unlisted.Store(nil) // no record of this log is there
	default: // readers may find what they look for all the same
		a.unlisted.Store(&err)
	}
	return err
}

// look returns what the folder has. All of it is durable.
func (a *Archive) look(ctx context.Context) (*listing, error) {
	l, drafts, err := list(ctx, a.cfg.Dir, a.cfg.Journal.PublicKey(), a.list.Load().files)
	if err != nil {
		return nil, err
	}
	if err := usable(a.cfg.Dir); err != nil {
		return nil, err
	}
	if err := a.syncDir(); err != nil { // another process may have crashed before it did
		return nil, err
	}
	for _, d := range drafts {
		if time.Since(d.ModTime()) > staleAfter {
			_ = os.Remove(filepath.Join(a.cfg.Dir, d.Name()))
		}
	}
	return l, nil
}

// list returns the files and the drafts in a folder. It reads the ends of files that are not
// known as they are.
func list(ctx context.Context, dir string, key ed25519.PublicKey, known []file) (l *listing, drafts []fs.FileInfo, err error) {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return nil, nil, err
	}
	before := map[string]file{}
	for _, f := range known {
		before[f.name] = f
	}
	l = new(listing)
	var unknown []string
	for _, e := range entries {
		info, err := e.Info()
		switch _, ours := parseName(e.Name()); {
		case errors.Is(err, fs.ErrNotExist):
		case err != nil:
			return nil, nil, err
		case strings.HasPrefix(e.Name(), namePrefix) && strings.Contains(e.Name(), draftMark):
			drafts = append(drafts, info)
		case !ours:
		case before[e.Name()].is(info):
			l.files = append(l.files, before[e.Name()])
		default:
			unknown = append(unknown, filepath.Join(dir, e.Name()))
		}
	}
	found, err := inspectAll(ctx, unknown, key)
	if err != nil {
		return nil, nil, err
	}
	l.files = append(l.files, found...)
	slices.SortFunc(l.files, func(x, y file) int { return cmp.Compare(x.after, y.after) })
	return l, drafts, nil
}

// is reports whether a file looks as it did.
func (f file) is(info fs.FileInfo) bool {
	return f.size == info.Size() && f.changed.Equal(info.ModTime())
}

// inspectAll looks at several files at a time, because each takes a few round trips in a
// network file system.
func inspectAll(ctx context.Context, paths []string, key ed25519.PublicKey) ([]file, error) {
	found, errs := make([]file, len(paths)), make([]error, len(paths))
	var working sync.WaitGroup
	slots := make(chan struct{}, 8)
	for i, path := range paths {
		slots <- struct{}{}
		working.Go(func() {
			defer func() { <-slots }()
			if errs[i] = ctx.Err(); errs[i] == nil {
				found[i], errs[i] = inspect(path, key)
			}
		})
	}
	working.Wait()
	return found, errors.Join(errs...)
}

// inspect reads the first and the last line of a file. Its content is verified when it is
// read.
func inspect(path string, key ed25519.PublicKey) (f file, err error) {
	in, err := os.Open(path)
	if err != nil {
		return f, err
	}
	defer in.Close()
	if f, err = inspectEnds(in, record.FormatKey(key)); err != nil {
		return f, fmt.Errorf("%s: %w; move the file away", path, err)
	}
	f.name = filepath.Base(path)
	if after, _ := parseName(f.name); after != f.after {
		return f, fmt.Errorf("%s begins after record %d, which is not what its name says", path, f.after)
	}
	return f, nil
}

var errDamaged = errors.New("this is not a complete file of an archive")

// inspectEnds reads the first and the last line of an export by a key.
func inspectEnds(in *os.File, key string) (f file, err error) {
	info, err := in.Stat()
	if err != nil {
		return f, err
	}
	f.size, f.changed = info.Size(), info.ModTime()
	first, err := lineAt(in, 0, f.size)
	if err != nil {
		return f, err
	}
	var o record.Opening
	if json.Unmarshal(first, &o) != nil || o.Export != record.ExportVersion || !o.Verifiable {
		return f, errDamaged
	}
	if o.Key != key {
		return f, fmt.Errorf("%w: its key is %s, that of this log is %s", ErrOtherLog, o.Key, key)
	}
	if f.after, err = record.ParseCursor(o.After); err != nil {
		return f, errDamaged
	}
	f.newest, _ = time.Parse(record.TimeFormat, o.Time) // about, if that record is a very long one
	f.begin = int64(len(first)) + 1
	opened := sha256.Sum256(first)
	return f, f.readEnd(in, o.Key, record.FormatHash(opened))
}

// readEnd reads the closing line, and the record before it if it is a short one.
func (f *file) readEnd(in *os.File, key, opened string) error {
	tail := make([]byte, min(f.size-f.begin, 16<<10))
	if _, err := in.ReadAt(tail, f.size-int64(len(tail))); err != nil {
		return err
	}
	body, ended := bytes.CutSuffix(tail, []byte{'\n'})
	at := bytes.LastIndexByte(body, '\n') + 1
	var c record.Closing
	public, err := record.ParseKey(key)
	if err != nil || !ended || at == 0 || json.Unmarshal(body[at:], &c) != nil || c.Opening != opened || !record.IsSigned(body[at:], public) {
		return errDamaged
	}
	f.end = f.size - int64(len(tail)-at)
	if f.last.Seq, err = record.ParseCursor(c.Last); err != nil || f.last.Seq <= f.after {
		return errDamaged
	}
	if f.last.Hash, err = record.ParseHash(c.Hash); err != nil {
		return errDamaged
	}
	before := tail[:at-1]
	if l, ok := record.Peek(before[bytes.LastIndexByte(before, '\n')+1:]); ok && l.Seq == f.last.Seq {
		f.newest, _ = time.Parse(record.TimeFormat, string(l.Time))
	}
	return nil
}

// lineAt reads the line that begins at an offset, without its newline.
func lineAt(in io.ReaderAt, at, end int64) ([]byte, error) {
	for size := int64(4 << 10); ; size *= 8 {
		buf := make([]byte, max(0, min(size, end-at)))
		if _, err := in.ReadAt(buf, at); err != nil {
			return nil, err
		}
		if line, _, found := bytes.Cut(buf, []byte{'\n'}); found {
			return line, nil
		}
		if size >= end-at || size > 8<<20 {
			return nil, errDamaged
		}
	}
}

// ours returns an error if the files are of another history of the journal: its database was
// replaced by a backup, or the folder is that of another server.
func (a *Archive) ours(ctx context.Context, l *listing) error {
	j := a.cfg.Journal
	cut := j.Pruned()
	at, _ := l.reach(cut)
	for i := len(l.files) - 1; i >= 0; i-- { // files behind a gap count, too
		if l.files[i].last.Seq > at.Seq {
			at = l.files[i].last
		}
	}
	other := fmt.Errorf(
		"%w: it goes up to record %d, which is not in this log. If the database was replaced by a backup, move the files of the archive to another folder",
		ErrOtherLog, at.Seq,
	)
	switch {
	case at == cut:
		return nil
	case at.Seq == cut.Seq:
		return other
	}
	page, err := j.Scan(ctx, at.Seq-1, 1)
	if err != nil || len(page) == 0 {
		return errors.Join(err, other)
	}
	for line := range record.Lines(page[0], at.Seq-1) {
		if line.Seq == at.Seq && sha256.Sum256(line.Bytes) == at.Hash {
			return nil
		}
		return other
	}
	return other
}

// check has a fresh look at the files with the records between two.
func (a *Archive) check(ctx context.Context, from, upTo lock.Seq) error {
	for _, f := range a.list.Load().files {
		if f.last.Seq <= from || f.after >= upTo {
			continue
		}
		info, err := os.Stat(filepath.Join(a.cfg.Dir, f.name))
		if err != nil || !f.is(info) {
			return a.relist(ctx)
		}
	}
	if a.State().Err != nil {
		return a.relist(ctx)
	}
	return nil
}
