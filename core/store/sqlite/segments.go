package sqlite

import (
	"context"
	"fmt"
	"math"
	"time"

	"github.com/octostore/octostore/core/journal"
	"github.com/octostore/octostore/core/lock"
	"github.com/octostore/octostore/core/store/sqlite/internal/conn"
)

// segmentsAfter reads the segments after an event. They do not overlap, so only the
// last one that begins at or before ?1 can hold events on both sides of it. Whether it
// does is decided once it is known to be sound: a damaged one must not be passed over.
func segmentsAfter(version int64) string {
	return "SELECT " + segmentColumns(version) + ` FROM segments
	WHERE first >= ifnull((SELECT max(first) FROM segments WHERE first <= ?1), 0)
	ORDER BY first`
}

// segmentBytes is the column of segmentsAfter that holds the lines.
const segmentBytes = 4

// readers is a pool of read-only connections, opened when first needed.
type readers struct {
	path   string
	check  func() error  // whether the path still leads to the database
	free   chan *reader  // one entry per slot; nil: not opened yet
	closed chan struct{} // closed by close
}

// reader is a read-only connection with its one statement prepared.
type reader struct {
	*database
	segments *conn.Stmt
}

const maxReaders = 4

func newReaders(path string) readers {
	r := readers{path: path, free: make(chan *reader, maxReaders), closed: make(chan struct{})}
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
			c.close()
		}
	}
}

// take waits for a connection. The caller gives it back by put.
func (r *readers) take(ctx context.Context) (*reader, error) {
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

func (r *readers) put(c *reader) { r.free <- c }

// open opens a connection, which must not be to what was put in the database's place.
func (r *readers) open() (*reader, error) {
	if err := r.check(); err != nil {
		return nil, err
	}
	c, err := openReader(r.path)
	if err != nil {
		return nil, err
	}
	if err := r.check(); err != nil {
		c.close()
		return nil, err
	}
	return c, nil
}

func openReader(path string) (*reader, error) {
	d, err := openDatabase(path, conn.ReadOnly)
	if err != nil {
		return nil, err
	}
	d.BusyTimeout(busyTimeout)
	if err := d.readSums(); err != nil {
		d.Close()
		return nil, err
	}
	s, err := d.Prepare(segmentsAfter(newestVersion()))
	if err != nil {
		d.Close()
		return nil, err
	}
	return &reader{database: d, segments: s}, nil
}

func (r *reader) close() {
	r.segments.Close()
	r.database.Close()
}

// Segments returns committed segments; see [journal.Store]. It does not wait for
// commits, nor they for it. A segment that is not as it was written is never
// returned; that is an [ErrDamaged].
func (s *Store) Segments(ctx context.Context, after lock.Seq, events int) ([]lock.Segment, error) {
	return s.SegmentsInto(ctx, after, events, nil)
}

// SegmentsInto is Segments, except that the bytes are put into buf, which grows as
// needed. They are good until buf is used again. It is for those who read much, which
// would otherwise leave as much garbage.
func (s *Store) SegmentsInto(ctx context.Context, after lock.Seq, events int, buf *[]byte) ([]lock.Segment, error) {
	if buf == nil {
		buf = new([]byte)
	}
	r, err := s.readers.take(ctx)
	if err != nil {
		return nil, fmt.Errorf("read segments of %s: %w", s.path, asDamage(err))
	}
	defer s.readers.put(r)
	*buf = (*buf)[:0]
	segments, err := r.read(ctx, after, events, buf)
	if err != nil {
		return nil, fmt.Errorf("read segments of %s after %d: %w", s.path, after, asDamage(err))
	}
	return segments, nil
}

func (r *reader) read(ctx context.Context, after lock.Seq, events int, buf *[]byte) (segments []lock.Segment, err error) {
	q := r.segments
	defer q.Reset() // which ends the read transaction
	q.BindInt(1, int64(min(after, math.MaxInt64)))
	for n, bytes := 0, 0; n < events || n == 0; {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		more, err := q.Step()
		if err != nil || !more {
			return segments, err
		}
		if n > 0 && bytes+q.BlobSize(segmentBytes) > journal.PageBytes {
			return segments, nil
		}
		g, err := readSegment(q, &r.sums, buf)
		if err != nil {
			return nil, err
		}
		if g.Last <= after {
			continue
		}
		segments = append(segments, g)
		n += g.Count
		bytes += len(g.Bytes)
	}
	return segments, nil
}

// readSegment takes a segment from a row of all six columns, with its bytes in buf, or
// returns [ErrDamaged].
func readSegment(q *conn.Stmt, sums *sums, buf *[]byte) (lock.Segment, error) {
	all, bytes := q.AppendBlob(*buf, segmentBytes)
	*buf = all
	g := lock.Segment{
		First: lock.Seq(q.Int(0)),
		Last:  lock.Seq(q.Int(1)),
		Count: int(q.Int(2)),
		Time:  time.Unix(0, q.Int(3)).UTC(),
		Bytes: bytes,
	}
	if sums.segment(&g) != q.Int(5) {
		return g, damaged("the segment of events %d to %d does not match its checksum", g.First, g.Last)
	}
	return g, nil
}
