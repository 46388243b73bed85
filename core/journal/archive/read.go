package archive

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"github.com/octostore/octostore/core/journal"
	"github.com/octostore/octostore/core/journal/record"
	"github.com/octostore/octostore/core/journal/verify"
	"github.com/octostore/octostore/core/lock"
)

// Segments implements [journal.Archive]. A file is verified before its records are given
// out for the first time, because exports vouch for them.
func (a *Archive) Segments(ctx context.Context, after lock.Seq, events int) ([]lock.Segment, error) {
	f, ok := a.list.Load().with(after)
	if !ok {
		return nil, a.unknown()
	}
	return a.read(ctx, f, func(in io.ReaderAt) (lock.Segment, error) {
		at := f.begin
		if after > f.after {
			var err error
			if at, err = find(in, f.begin, f.end, after+1); err != nil {
				return lock.Segment{}, err
			}
		}
		return forward(in, at, f.end, events)
	})
}

// SegmentsBefore implements [journal.Archive].
func (a *Archive) SegmentsBefore(ctx context.Context, before lock.Seq, events int) ([]lock.Segment, error) {
	files := a.list.Load().files
	for i := len(files) - 1; i >= 0; i-- {
		f := files[i]
		if f.after+1 >= before {
			continue
		}
		found, err := a.read(ctx, f, func(in io.ReaderAt) (lock.Segment, error) {
			end, err := find(in, f.begin, f.end, before)
			if err != nil || end == f.begin {
				return lock.Segment{}, err
			}
			return backward(in, f.begin, end, events)
		})
		if err != nil || len(found) > 0 {
			return found, err
		}
	}
	return nil, a.unknown()
}

// unknown returns the error for what is in no file that is known; nil: it is in none.
func (a *Archive) unknown() error {
	if err := a.unlisted.Load(); err != nil {
		return fmt.Errorf("the archive cannot be read: %w", *err)
	}
	return nil
}

// read reads one segment from a file. It waits no longer than ctx.
func (a *Archive) read(ctx context.Context, f file, get func(io.ReaderAt) (lock.Segment, error)) ([]lock.Segment, error) {
	select {
	case a.reading <- struct{}{}:
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	type result struct {
		found []lock.Segment
		err   error
	}
	done := make(chan result, 1)
	go func() {
		defer func() { <-a.reading }()
		found, err := a.readFile(ctx, f, get)
		done <- result{found, err}
	}()
	select {
	case r := <-done:
		return r.found, r.err
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

func (a *Archive) readFile(ctx context.Context, f file, get func(io.ReaderAt) (lock.Segment, error)) ([]lock.Segment, error) {
	path := filepath.Join(a.cfg.Dir, f.name)
	in, err := os.Open(path)
	if errors.Is(err, fs.ErrNotExist) {
		_, err = os.Stat(a.cfg.Dir)
		return nil, err // nil: only the file was moved away
	}
	if err != nil {
		return nil, err
	}
	defer in.Close()
	info, err := in.Stat()
	if err != nil {
		return nil, err
	}
	if !f.is(info) {
		return nil, fmt.Errorf("%s was changed since it was written", path)
	}
	if err := a.verify(ctx, in, f); err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	s, err := get(in)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	if s.Count == 0 {
		return nil, nil
	}
	return []lock.Segment{s}, nil
}

// verify verifies a whole file, unless it was verified since it changed.
func (a *Archive) verify(ctx context.Context, in *os.File, f file) error {
	if known, ok := a.verified.Load(f.name); ok && known == f {
		return nil
	}
	v := verify.NewVerifier(a.cfg.Journal.PublicKey())
	v.Each = func([]byte) error { return ctx.Err() }
	if err := v.Verify(in); err != nil {
		return err
	}
	if d := v.Result(); d.Exports != 1 || d.Last != f.last.Seq || d.Hash != f.last.Hash {
		return errDamaged
	}
	a.verified.Store(f.name, f)
	return nil
}

// find returns the offset of the first line between two offsets, which are those of lines,
// whose number is not below the given one; end if there is none.
func find(in io.ReaderAt, begin, end int64, seq lock.Seq) (int64, error) {
	lo, hi := begin, end // the line at lo may be wanted, none before it; those that begin from hi on need not be looked at
	for hi-lo > 4<<10 {
		middle := lo + (hi-lo)/2
		at, number, err := lineAfter(in, middle, end)
		if err != nil {
			return 0, err
		}
		switch {
		case at >= hi:
			hi = middle + 1 // no line begins between
		case number < seq:
			lo = at
		default:
			hi = at
		}
	}
	for lo < end {
		line, err := lineAt(in, lo, end)
		if err != nil {
			return 0, err
		}
		if l, _ := record.Peek(line); l.Seq >= seq {
			break
		}
		lo += int64(len(line)) + 1
	}
	return lo, nil
}

// lineAfter returns the offset and the number of the first line that begins after an offset.
func lineAfter(in io.ReaderAt, at, end int64) (int64, lock.Seq, error) {
	part, err := lineAt(in, at, end)
	if err != nil {
		return 0, 0, err
	}
	next := at + int64(len(part)) + 1
	if next >= end {
		return end, 0, nil
	}
	line, err := lineAt(in, next, end)
	l, _ := record.Peek(line)
	return next, l.Seq, err
}

// forward reads the lines from an offset on.
func forward(in io.ReaderAt, at, end int64, events int) (lock.Segment, error) {
	for size := int64(journal.PageBytes); ; size *= 4 {
		buf := make([]byte, min(size, end-at))
		if _, err := in.ReadAt(buf, at); err != nil {
			return lock.Segment{}, err
		}
		n, lines := 0, 0
		for lines < events {
			length := bytes.IndexByte(buf[n:], '\n') + 1
			if length == 0 {
				break
			}
			n += length
			lines++
		}
		if lines > 0 || size >= end-at {
			return segment(buf[:n], lines), nil
		}
	}
}

// backward reads the lines up to an offset.
func backward(in io.ReaderAt, begin, end int64, events int) (lock.Segment, error) {
	for size := int64(journal.PageBytes); ; size *= 4 {
		at := max(begin, end-size)
		buf := make([]byte, end-at)
		if _, err := in.ReadAt(buf, at); err != nil {
			return lock.Segment{}, err
		}
		if at > begin { // the first line may be cut
			cut := bytes.IndexByte(buf, '\n') + 1
			if cut == len(buf) || cut == 0 {
				continue
			}
			buf = buf[cut:]
		}
		n, lines := len(buf), 0
		for n > 0 && lines < events {
			n = bytes.LastIndexByte(buf[:n-1], '\n') + 1
			lines++
		}
		return segment(buf[n:], lines), nil
	}
}

// segment makes a segment of lines.
func segment(lines []byte, count int) lock.Segment {
	s := lock.Segment{Count: count, Bytes: lines}
	if count == 0 {
		return s
	}
	first, _, _ := bytes.Cut(lines, []byte{'\n'})
	last := bytes.TrimSuffix(lines, []byte{'\n'})
	last = last[bytes.LastIndexByte(last, '\n')+1:]
	f, _ := record.Peek(first)
	l, _ := record.Peek(last)
	s.First, s.Last = f.Seq, l.Seq
	s.Time, _ = time.Parse(record.TimeFormat, string(l.Time))
	return s
}
