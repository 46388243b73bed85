package rows

import (
	"context"
	"math"

	"github.com/octostore/octostore/core/journal"
	"github.com/octostore/octostore/core/lock"
	"github.com/octostore/octostore/core/store/sqlite/internal/conn"
)

// Reader is a read-only connection with its one statement prepared.
type Reader struct {
	*DB
	Segments *conn.Stmt
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
	return &Reader{DB: d, Segments: s}, nil
}

// Close closes the statement and the connection.
func (r *Reader) Close() {
	r.Segments.Close()
	r.DB.Close()
}

// Read returns the segments after an event, up to a page of bytes or about as many events,
// with their bytes in buf.
func (r *Reader) Read(ctx context.Context, after lock.Seq, events int, buf *[]byte) (segments []lock.Segment, err error) {
	q := r.Segments
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
		g, err := readSegment(q, &r.checksums, buf)
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
