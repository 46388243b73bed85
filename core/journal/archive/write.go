package archive

import (
	"bytes"
	"cmp"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"time"

	"github.com/octostore/octostore/core/journal/record"
	"github.com/octostore/octostore/core/lock"
)

// syncBytes is how much is written before it is made durable: little enough that commits to
// a database on the same disk do not wait for long.
const syncBytes = 4 << 20

// writeAll writes files with all records that are published now and in no file.
func (a *Archive) writeAll(ctx context.Context) error {
	j := a.cfg.Journal
	for target := j.Head(); ; {
		l := a.list.Load()
		at, next := l.reach(j.Pruned())
		if at.Seq >= target {
			return nil
		}
		upTo := target
		if next != 0 {
			upTo = min(upTo, next)
		}
		f, err := a.write(ctx, at, upTo)
		if errors.Is(err, fs.ErrExist) { // another server was quicker: go on behind its file
			if err := a.relist(ctx); err != nil {
				return err
			}
			if now, _ := a.list.Load().reach(j.Pruned()); now.Seq > at.Seq {
				continue
			}
		}
		if err != nil {
			return err
		}
		a.list.Store(l.plus(f))
	}
}

// plus returns the listing with one more file.
func (l *listing) plus(f file) *listing {
	n, _ := slices.BinarySearchFunc(l.files, f.after, func(f file, after lock.Seq) int { return cmp.Compare(f.after, after) })
	return &listing{files: slices.Insert(slices.Clone(l.files), n, f)}
}

// write writes the file that begins after a record. It ends with a segment: at the latest
// with the given record, or at about the size of a file. When it returns, the file is
// durable.
func (a *Archive) write(ctx context.Context, after lock.Head, upTo lock.Seq) (f file, err error) {
	name := fileName(after.Seq)
	out, err := os.CreateTemp(a.cfg.Dir, name+".partial-*") // mode 0600
	if err != nil {
		return f, err
	}
	crashed := false
	defer func() {
		out.Close()
		if !crashed {
			os.Remove(out.Name())
		}
	}()
	step := func(point string) error {
		err := a.step(point)
		crashed = crashed || errors.Is(err, errCrash)
		return err
	}
	w := &writer{out: out, sync: a.sync, last: after, f: file{name: name, after: after.Seq}}
	if err := step("created"); err != nil {
		return f, err
	}
	if err := a.export(ctx, w, upTo, step); err != nil {
		return f, err
	}
	if err := a.sync(out); err != nil {
		return f, err
	}
	info, err := out.Stat()
	if err != nil {
		return f, err
	}
	w.f.changed = info.ModTime()
	if err := step("synced"); err != nil {
		return f, err
	}
	if err := os.Link(out.Name(), filepath.Join(a.cfg.Dir, name)); err != nil {
		if errors.Is(err, fs.ErrExist) {
			return f, err
		}
		return f, fmt.Errorf("%w (the file system of the archive has to support hard links)", err)
	}
	if err := step("linked"); err != nil {
		return f, err
	}
	return w.f, a.syncDir()
}

// errCrash has a write stop as if the process had ended there. For tests.
var errCrash = errors.New("a crash")

// export writes the lines of a file.
func (a *Archive) export(ctx context.Context, w *writer, upTo lock.Seq, step func(string) error) error {
	j := a.cfg.Journal
	o := record.Opening{
		Export: record.ExportVersion, Verifiable: true,
		Time:  time.Now().UTC().Format(record.TimeFormat),
		After: record.FormatCursor(w.f.after), Key: record.FormatKey(j.PublicKey()),
	}
	opening := o.Line()
	opened := sha256.Sum256(opening)
	if err := w.write(append(opening, '\n')); err != nil {
		return err
	}
	w.f.begin = w.f.size
	reader := j.From(w.f.after)
	for !w.full(a.cfg.FileBytes) && w.last.Seq < upTo {
		page, err := reader.Next(ctx)
		if err = errors.Join(err, ctx.Err()); err != nil {
			return err
		}
		if len(page) == 0 {
			break
		}
		for _, s := range page {
			if s.Last > upTo || w.full(a.cfg.FileBytes) {
				upTo = w.last.Seq
				break
			}
			if err := w.segment(s); err != nil {
				return err
			}
			if err := step("segment"); err != nil {
				return err
			}
		}
	}
	if w.last.Seq == w.f.after {
		return fmt.Errorf("no segment ends between record %d, where a file of the archive begins, and %d", w.f.after, upTo)
	}
	w.f.last, w.f.end = w.last, w.f.size
	c := record.Closing{
		End: true, Records: w.count, Last: record.FormatCursor(w.last.Seq), Hash: record.FormatHash(w.last.Hash),
		More: w.last.Seq < j.Head(), Opening: record.FormatHash(opened),
	}
	return w.write(append(j.Sign(&c), '\n'))
}

// writer writes a file, and checks that each record follows from the one before: what the
// disk of the store has damaged is not archived, and then not pruned.
type writer struct {
	out   *os.File
	sync  func(*os.File) error
	f     file // so far
	last  lock.Head
	count int64
	dirty int
}

func (w *writer) full(size int64) bool { return w.f.size >= size }

func (w *writer) segment(s lock.Segment) error {
	for rest := s.Bytes; len(rest) > 0; {
		line, after, ended := bytes.Cut(rest, []byte{'\n'})
		rest = after
		l, ok := record.Peek(line)
		prev, hasPrev := record.Prev(line)
		want := ""
		if w.last.Seq > 0 {
			want = record.FormatHash(w.last.Hash)
		}
		if !ended || !ok || !hasPrev || prev != want || l.Seq <= w.last.Seq {
			return fmt.Errorf(
				"the record after %d does not follow from it: the store or the archive was changed, or the archive is of another history of this log",
				w.last.Seq,
			)
		}
		w.last = lock.Head{Seq: l.Seq, Hash: sha256.Sum256(line)}
		w.count++
	}
	w.f.newest = s.Time
	return w.write(s.Bytes)
}

func (w *writer) write(b []byte) error {
	n, err := w.out.Write(b)
	w.f.size += int64(n)
	if err != nil {
		return err
	}
	if w.dirty += n; w.dirty < syncBytes {
		return nil
	}
	w.dirty = 0
	return w.sync(w.out)
}

// syncDir makes the names in the folder durable.
func (a *Archive) syncDir() error {
	d, err := os.Open(a.cfg.Dir)
	if err != nil {
		return err
	}
	defer d.Close()
	return a.sync(d)
}
