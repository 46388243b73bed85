package rows

import (
	"context"
	"math"

	"github.com/octostore/octostore/core/journal"
	"github.com/octostore/octostore/core/lock"
	"github.com/octostore/octostore/core/store/sqlite/internal/conn"
)

// Reader is a read-only connection with its statements prepared.
type Reader struct {
	*DB
	Segments *conn.Stmt // after an event
	before   *conn.Stmt // before an event, the newest first
}

// OpenReader opens the database at path for reading.
func OpenReader(path string) (*Reader, error) {
	d, err := Open(path, conn.ReadOnly)
	if err != nil {
		return nil, err
	}
	d.BusyTimeout(BusyTimeout)
	if err := d.ReadSecret(); err != nil {
		d.Close()
		return nil, err
	}
	s, err := d.Prepare(segmentsAfter(NewestVersion()))
	if err != nil {
		d.Close()
		return nil, err
	}
	before, err := d.Prepare(segmentsBefore(NewestVersion()))
	if err != nil {
		s.Close()
		d.Close()
		return nil, err
	}
	return &Reader{DB: d, Segments: s, before: before}, nil
}

// Close closes the statements and the connection.
func (r *Reader) Close() {
	r.Segments.Close()
	r.before.Close()
	r.DB.Close()
}

// Read returns the segments after an event, up to a page of bytes or about as many events,
// with their bytes in buf.
func (r *Reader) Read(ctx context.Context, after lock.Seq, events int, buf *[]byte) ([]lock.Segment, error) {
	return r.read(ctx, r.Segments, after, events, buf, func(g *lock.Segment) bool { return g.Last > after })
}

// ReadBefore returns the segments that begin before an event, the newest first, as many as
// Read would.
func (r *Reader) ReadBefore(ctx context.Context, before lock.Seq, events int) ([]lock.Segment, error) {
	return r.read(ctx, r.before, before, events, new([]byte), func(*lock.Segment) bool { return true })
}

func (r *Reader) read(
	ctx context.Context, q *conn.Stmt, from lock.Seq, events int, buf *[]byte, wanted func(*lock.Segment) bool,
) (segments []lock.Segment, err error) {
	defer q.Reset() // which ends the read transaction
	q.BindInt(1, int64(min(from, math.MaxInt64)))
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
		g, err := readSegment(q, &r.checksums, buf)
		if err != nil {
			return nil, err
		}
		if !wanted(&g) {
			continue
		}
		segments = append(segments, g)
		n += g.Count
		bytes += len(g.Bytes)
	}
	return segments, nil
}
