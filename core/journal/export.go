package journal

import (
	"context"
	"crypto/sha256"
	"errors"
	"io"
	"time"

	"github.com/octostore/octostore/core/journal/record"
	"github.com/octostore/octostore/core/lock"
)

// Query selects the records of an export.
type Query struct {
	After lock.Seq  // only records after this event
	Until time.Time // ends before the first record of this time or later; zero: no limit
	Limit int64     // at most this many records; 0: no limit
	// Newest, if not 0, selects the newest so many records; [Export.Seek] finds them.
	Newest int
	Filter
}

// Export reads a part of the journal: an opening line, records, and a closing line, which
// says that nothing is missing. Without a filter, the lines of the records are the stored
// bytes. One goroutine uses an Export; it keeps at most one page in memory.
type Export struct {
	j        *Journal
	q        Query
	reader   *Reader
	until    string // in record.TimeFormat; empty: no limit
	upTo     lock.Seq
	opened   [sha256.Size]byte
	count    int64
	last     string // hash of the last line returned
	more     bool   // the limit or the time ended it before the newest event
	complete bool
	buf      []byte

	searched   int64 // records that Seek has looked at
	incomplete bool  // Seek has stopped before it found all
}

// Export begins an export that ends at the newest event of now.
func (j *Journal) Export(q Query) *Export {
	e := &Export{j: j, q: q, reader: j.From(q.After), upTo: j.Head()}
	if !q.Until.IsZero() {
		e.until = q.Until.UTC().Format(record.TimeFormat)
	}
	return e
}

// Extend moves the end to the newest event of now.
func (e *Export) Extend() { e.upTo = e.j.Head() }

// Complete reports whether the limit or the time of the query has ended the export.
func (e *Export) Complete() bool { return e.complete }

// Cursor returns the cursor from which the next export continues.
func (e *Export) Cursor() lock.Seq { return e.reader.After() }

// Records returns how many records have been returned.
func (e *Export) Records() int64 { return e.count }

// Verifiable reports whether the lines are a complete range of the journal.
func (e *Export) Verifiable() bool { return e.q.Filter.All() && e.q.Newest == 0 }

// Opening returns the opening line. Call it once.
func (e *Export) Opening(now time.Time) []byte {
	o := record.Opening{
		Export:     record.ExportVersion,
		Verifiable: e.Verifiable(),
		Time:       now.UTC().Format(record.TimeFormat),
		After:      record.FormatCursor(e.q.After),
		Filter:     e.q.String(),
		Key:        record.FormatKey(e.j.PublicKey()),
	}
	line := o.Line()
	e.opened = sha256.Sum256(line)
	return append(line, '\n')
}

// Next returns the next lines, or [io.EOF] at the end. Each element is a number of whole
// lines, valid until the next call. An empty answer is not the end. Errors: those of
// [Reader.Next].
func (e *Export) Next(ctx context.Context) ([][]byte, error) {
	if e.complete || e.reader.After() >= e.upTo {
		return nil, io.EOF
	}
	before := e.reader.After()
	page, err := e.reader.Next(ctx)
	if pruned, is := errors.AsType[*PrunedError](err); is && e.q.Newest > 0 {
		e.reader.after = pruned.Oldest // pruned since Seek: they are not among the newest any more
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	if len(page) == 0 {
		return nil, io.EOF
	}
	if e.Verifiable() {
		return e.whole(page, before), nil
	}
	return e.selected(page, before), nil
}

// whole returns the stored bytes of segments, which come after the event before, up to
// the limits.
func (e *Export) whole(page []lock.Segment, before lock.Seq) [][]byte {
	var out [][]byte
	var newest lock.Segment
	for _, s := range page {
		s = e.truncate(s, before)
		before = s.Last
		if s.Count > 0 {
			newest = s
			e.count += int64(s.Count)
			out = append(out, s.Bytes)
		}
		if e.complete {
			break
		}
	}
	if newest.Count > 0 {
		head, err := record.HeadOf(newest)
		if err != nil {
			panic(err) // segments end with a newline
		}
		e.last = record.FormatHash(head.Hash)
	}
	return out
}

// truncate shortens a segment, which comes after the event before, if the export ends
// within it.
func (e *Export) truncate(s lock.Segment, before lock.Seq) lock.Segment {
	n := s.Count
	if e.until != "" && s.Time.UTC().Format(record.TimeFormat) >= e.until {
		n = 0
		for l := range record.Lines(s, 0) {
			if string(l.Time) >= e.until {
				break
			}
			n++
		}
		e.complete = n < s.Count
	}
	if e.q.Limit > 0 && int64(n) >= e.q.Limit-e.count {
		n = int(e.q.Limit - e.count)
		e.complete = true
	}
	if n == s.Count {
		e.more = e.more || e.complete && s.Last < e.upTo
	} else {
		e.more = true
		s = firstLines(s, n)
	}
	if e.complete {
		e.reader.after = before
		if n > 0 {
			e.reader.after = s.Last
		}
	}
	return s
}

// selected copies the lines that the filter selects. The page comes after the event
// before.
func (e *Export) selected(page []lock.Segment, before lock.Seq) [][]byte {
	e.buf = e.buf[:0]
	for _, s := range page {
		for l := range record.Lines(s, 0) {
			if e.until != "" && string(l.Time) >= e.until {
				e.complete, e.more, e.reader.after = true, true, before
				return [][]byte{e.buf}
			}
			before = l.Seq
			if !e.q.Filter.Selects(&l) {
				continue
			}
			e.buf = append(append(e.buf, l.Bytes...), '\n')
			e.count++
			if e.count == e.q.Limit {
				e.complete, e.more, e.reader.after = true, l.Seq < e.upTo, l.Seq
				return [][]byte{e.buf}
			}
		}
	}
	return [][]byte{e.buf}
}

// Closing returns the last line of a complete export.
func (e *Export) Closing() []byte {
	c := record.Closing{
		End:     true,
		Records: e.count,
		Last:    record.FormatCursor(e.reader.After()),
		Hash:    e.last,
		More:    e.more,
		Opening: record.FormatHash(e.opened),

		Searched:   e.searched,
		Incomplete: e.incomplete,
	}
	line := c.Line()
	if e.Verifiable() {
		line = c.Signed(e.j.key)
	}
	return append(line, '\n')
}
