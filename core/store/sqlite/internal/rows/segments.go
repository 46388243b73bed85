package rows

import (
	"bytes"
	"context"
	"crypto/sha256"
	"fmt"
	"time"

	"github.com/octostore/octostore/core/lock"
	"github.com/octostore/octostore/core/store/sqlite/internal/conn"
)

// segmentColumns are the columns that readSegment reads, in its order.
func segmentColumns(version int64) string {
	if version < keyVersion {
		return "first, last, count, time, bytes, iif(sum < 1 << 31, sum, sum - (1 << 32))"
	}
	return "first, first + span, count, time, bytes, sum"
}

// segmentsAfter reads the segments after an event. They do not overlap, so only the last
// one that begins at or before ?1 can have events on both sides of it. The caller decides
// that after it has checked the segment: a damaged one must not be skipped.
func segmentsAfter(version int64) string {
	return "SELECT " + segmentColumns(version) + ` FROM segments
	WHERE first >= ifnull((SELECT max(first) FROM segments WHERE first <= ?1), 0)
	ORDER BY first`
}

// segmentsBefore reads the segments that begin before an event, the newest first.
func segmentsBefore(version int64) string {
	return "SELECT " + segmentColumns(version) + " FROM segments WHERE first < ?1 ORDER BY first DESC"
}

// segmentBytes is the column of both with the lines.
const segmentBytes = 4

// readSegment reads a segment from a row of all six columns, with its bytes in buf, or
// returns [ErrDamaged].
func readSegment(q *conn.Stmt, sums *checksums, buf *[]byte) (lock.Segment, error) {
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
		return g, Damaged("the segment of events %d to %d does not match its checksum", g.First, g.Last)
	}
	return g, nil
}

// ReadHead returns the head of the journal: the last number of the newest segment, and the
// hash of its last line.
func (d *DB) ReadHead(version int64) (lock.Head, error) {
	q, err := d.Prepare("SELECT " + segmentColumns(version) + " FROM segments ORDER BY first DESC LIMIT 1")
	if err != nil {
		return lock.Head{}, err
	}
	defer q.Close()
	more, err := q.Step()
	if err != nil || !more {
		return lock.Head{}, err
	}
	newest, err := readSegment(q, &d.checksums, new([]byte))
	if err != nil {
		return lock.Head{}, err
	}
	lines := bytes.TrimSuffix(newest.Bytes, []byte("\n"))
	last := lines[bytes.LastIndexByte(lines, '\n')+1:]
	return lock.Head{Seq: newest.Last, Hash: sha256.Sum256(last)}, nil
}

// EachSegment calls each with all segments after an event, in order. A segment is valid
// until each returns.
func (d *DB) EachSegment(ctx context.Context, after lock.Seq, each func(lock.Segment) error) error {
	version, err := d.Version()
	if err != nil {
		return err
	}
	q, err := d.Prepare(segmentsAfter(version))
	if err != nil {
		return err
	}
	defer q.Close()
	q.BindInt(1, int64(after))
	var buf []byte
	for {
		more, err := q.Step()
		if err != nil || !more {
			return err
		}
		buf = buf[:0]
		g, err := readSegment(q, &d.checksums, &buf)
		if err != nil {
			return err
		}
		if g.Last <= after {
			continue
		}
		if err := each(g); err != nil {
			return err
		}
		if err := ctx.Err(); err != nil {
			return err
		}
	}
}

// Bounds of one step of pruning. Each segment and each of its pages takes time, so both are
// bounded. A megabyte takes some two milliseconds.
const (
	PruneSegments = 64
	PruneBytes    = 1 << 20 // a larger segment is deleted alone
)

// Prune deletes a few of the segments up to the cut, and reports whether there are more.
func (d *DB) Prune(cut lock.Head) (more bool, err error) {
	before, err := d.Cut()
	if err != nil {
		return false, err
	}
	if before.Seq < cut.Seq {
		if err := d.setCut(cut); err != nil {
			return false, err
		}
	}
	last, more, err := d.oldest(cut.Seq)
	if err != nil {
		return false, err
	}
	return more, d.Exec(fmt.Sprintf("DELETE FROM segments WHERE first <= %d", last))
}

// oldest returns where the last segment begins that one step deletes, 0 for none, and
// whether there are more up to cut. It does not read the segments.
func (d *DB) oldest(cut lock.Seq) (last int64, more bool, err error) {
	q, err := d.Prepare("SELECT first, length(bytes) FROM segments WHERE first <= ?1 ORDER BY first LIMIT ?2")
	if err != nil {
		return 0, false, err
	}
	defer q.Close()
	q.BindInt(1, int64(cut))
	q.BindInt(2, PruneSegments+1)
	for n, bytes := 0, int64(0); ; n++ {
		more, err := q.Step()
		if err != nil || !more {
			return last, false, err
		}
		bytes += q.Int(1)
		if n == PruneSegments || n > 0 && bytes > PruneBytes {
			return last, true, nil
		}
		last = q.Int(0)
	}
}

// Used returns how many bytes of the file are in use.
func (d *DB) Used() (int64, error) {
	pages, err := d.IntOf("SELECT (SELECT page_count FROM pragma_page_count) - (SELECT freelist_count FROM pragma_freelist_count)")
	if err != nil {
		return 0, err
	}
	size, err := d.IntOf("PRAGMA page_size")
	return pages * size, err
}
