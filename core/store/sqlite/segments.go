package sqlite

import (
	"context"
	"fmt"

	"github.com/octostore/octostore/core/lock"
	"github.com/octostore/octostore/core/store/sqlite/internal/rows"
)

// readers is a pool of read-only connections, each opened when first needed.
type readers struct {
	path   string
	check  func() error      // whether the path still leads to the database
	free   chan *rows.Reader // one entry per slot; nil: not opened yet
	closed chan struct{}     // closed by close
}

const maxReaders = 4

func newReaders(path string) readers {
	r := readers{path: path, free: make(chan *rows.Reader, maxReaders), closed: make(chan struct{})}
	for range maxReaders {
		r.free <- nil
	}
	return r
}

// close waits for the calls under way and closes the connections. Later calls get
// [ErrClosed].
func (r *readers) close() {
	close(r.closed)
	for range maxReaders {
		if c := <-r.free; c != nil {
			c.Close()
		}
	}
}

// take waits for a connection. The caller returns it with put.
func (r *readers) take(ctx context.Context) (*rows.Reader, error) {
	select {
	case <-r.closed:
		return nil, ErrClosed
	default:
	}
	select {
	case <-r.closed:
		return nil, ErrClosed
	case <-ctx.Done():
		return nil, ctx.Err()
	case c := <-r.free:
		if c != nil {
			return c, nil
		}
		c, err := r.open()
		if err != nil {
			r.free <- nil
		}
		return c, err
	}
}

func (r *readers) put(c *rows.Reader) { r.free <- c }

// open opens a connection. It fails if another file was put in the place of the database.
func (r *readers) open() (*rows.Reader, error) {
	if err := r.check(); err != nil {
		return nil, err
	}
	c, err := rows.OpenReader(r.path)
	if err != nil {
		return nil, err
	}
	if err := r.check(); err != nil {
		c.Close()
		return nil, err
	}
	return c, nil
}

// Segments returns committed segments; see [journal.Store]. It does not wait for commits,
// and they do not wait for it. It never returns a segment that is not as it was written:
// that is an [ErrDamaged].
func (s *Store) Segments(ctx context.Context, after lock.Seq, events int) ([]lock.Segment, error) {
	return s.SegmentsInto(ctx, after, events, nil)
}

// SegmentsInto is Segments that puts the bytes into buf, which grows as needed. They are
// valid until buf is used again. It spares callers that read much the garbage.
func (s *Store) SegmentsInto(ctx context.Context, after lock.Seq, events int, buf *[]byte) ([]lock.Segment, error) {
	if buf == nil {
		buf = new([]byte)
	}
	r, err := s.readers.take(ctx)
	if err != nil {
		return nil, fmt.Errorf("read segments of %s: %w", s.path, rows.AsDamage(err))
	}
	defer s.readers.put(r)
	*buf = (*buf)[:0]
	segments, err := r.Read(ctx, after, events, buf)
	if err != nil {
		return nil, fmt.Errorf("read segments of %s after %d: %w", s.path, after, rows.AsDamage(err))
	}
	return segments, nil
}

// SegmentsBefore returns committed segments from the end: those that begin before an event,
// the newest first, as many as Segments would return. Otherwise it is like Segments.
func (s *Store) SegmentsBefore(ctx context.Context, before lock.Seq, events int) ([]lock.Segment, error) {
	r, err := s.readers.take(ctx)
	if err != nil {
		return nil, fmt.Errorf("read segments of %s: %w", s.path, rows.AsDamage(err))
	}
	defer s.readers.put(r)
	segments, err := r.ReadBefore(ctx, before, events)
	if err != nil {
		return nil, fmt.Errorf("read segments of %s before %d: %w", s.path, before, rows.AsDamage(err))
	}
	return segments, nil
}
