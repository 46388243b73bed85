package journal

import (
	"context"
	"crypto/sha256"
	"io"
	"time"

	"github.com/octostore/octostore/core/journal/record"
	"github.com/octostore/octostore/core/lock"
)

// Query says what an export is to hold.
type Query struct {
	After lock.Seq  // only what comes after this event
	Until time.Time // ends before the first line of this time or later; zero: no bound
	Limit int64     // ends after so many lines; 0: no bound
	Filter
}

// Export is a journal on its way out: an opening line, the lines of the journal, and
// a closing line, which says that nothing is missing. Unless lines are filtered out,
// the lines are the very bytes that are stored. It is used by one goroutine, and keeps
// no more than a page in memory.
type Export struct {
	j      *Journal
	q      Query
	reader *Reader
	until  string // as lines write it; empty: no bound
	end    lock.Seq
	opened [sha256.Size]byte
	count  int64
	last   string // hash of the newest line that was given out
	more   bool   // the limit, or until, ended it
	ended  bool
	buf    []byte
}

// Export begins an export. It ends at what is the newest event now.
func (j *Journal) Export(q Query) *Export {
	e := &Export{j: j, q: q, reader: j.From(q.After), end: j.Head()}
	if !q.Until.IsZero() {
		e.until = q.Until.UTC().Format(record.TimeFormat)
	}
	return e
}

// Extend moves the end to what is the newest event now.
func (e *Export) Extend() { e.end = e.j.Head() }

// Complete reports whether the limit or the time was reached that ends the export for
// good.
func (e *Export) Complete() bool { return e.ended }

// Cursor returns the place from which another export would go on.
func (e *Export) Cursor() lock.Seq { return e.reader.After() }

// Records returns how many lines have been given out.
func (e *Export) Records() int64 { return e.count }

// Verifiable reports whether the lines are a complete range of the journal.
func (e *Export) Verifiable() bool { return e.q.Filter.All() }

// Opening returns the first line. It is made once.
func (e *Export) Opening(now time.Time) []byte {
	o := record.Opening{
		Export:     record.ExportVersion,
		Verifiable: e.Verifiable(),
		Time:       now.UTC().Format(record.TimeFormat),
		After:      record.FormatCursor(e.q.After),
		Filter:     e.q.Filter.String(),
		Key:        record.FormatKey(e.j.PublicKey()),
	}
	line := o.Line()
	e.opened = sha256.Sum256(line)
	return append(line, '\n')
}

// Next returns the next lines, or [io.EOF] at the end. They are whole lines, and
// good until the next call; several may come at once, or none although there are
// more. Errors are those of [Reader.Next].
func (e *Export) Next(ctx context.Context) ([][]byte, error) {
	if e.ended || e.reader.After() >= e.end {
		return nil, io.EOF
	}
	before := e.reader.After()
	page, err := e.reader.Next(ctx)
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

// whole gives out segments, which come after the event before, as they are, up to the
// limits.
func (e *Export) whole(page []lock.Segment, before lock.Seq) [][]byte {
	var out [][]byte
	var newest lock.Segment
	for _, s := range page {
		s = e.cut(s, before)
		before = s.Last
		if s.Count > 0 {
			newest = s
			e.count += int64(s.Count)
			out = append(out, s.Bytes)
		}
		if e.ended {
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

// cut cuts a segment, which comes after the event before, where the export ends, if it
// does so there.
func (e *Export) cut(s lock.Segment, before lock.Seq) lock.Segment {
	n := s.Count
	if e.until != "" && s.Time.UTC().Format(record.TimeFormat) >= e.until {
		n = 0
		for l := range record.Lines(s, 0) {
			if string(l.Time) >= e.until {
				break
			}
			n++
		}
		e.ended = n < s.Count
	}
	if e.q.Limit > 0 && int64(n) >= e.q.Limit-e.count {
		n = int(e.q.Limit - e.count)
		e.ended = true
	}
	if n == s.Count {
		e.more = e.more || e.ended && s.Last < e.end
	} else {
		e.more = true
		s = head(s, n)
	}
	if e.ended {
		e.reader.after = before
		if n > 0 {
			e.reader.after = s.Last
		}
	}
	return s
}

// selected copies the lines, which come after the event before, that the filter lets
// through.
func (e *Export) selected(page []lock.Segment, before lock.Seq) [][]byte {
	e.buf = e.buf[:0]
	for _, s := range page {
		for l := range record.Lines(s, 0) {
			if e.until != "" && string(l.Time) >= e.until {
				e.ended, e.more, e.reader.after = true, true, before
				return [][]byte{e.buf}
			}
			before = l.Seq
			if !e.q.Filter.Selects(&l) {
				continue
			}
			e.buf = append(append(e.buf, l.Bytes...), '\n')
			e.count++
			if e.count == e.q.Limit {
				e.ended, e.more, e.reader.after = true, l.Seq < e.end, l.Seq
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
	}
	line := c.Line()
	if e.Verifiable() {
		line = c.Signed(e.j.key)
	}
	return append(line, '\n')
}
