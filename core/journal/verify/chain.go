package verify

import (
	"bytes"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"io"

	"github.com/octostore/octostore/core/journal/record"
	"github.com/octostore/octostore/core/lock"
)

// chain checks the records of one export.
type chain struct {
	v       *Verifier
	lines   *record.LineReader
	opening record.Opening
	count   int64
	at      int       // line of the last good record; 0: none in this export
	before  lock.Head // the record before the last good one
}

func (c *chain) fault(seq lock.Seq, format string, args ...any) error {
	return &Fault{Line: c.lines.Number(), Seq: seq, Problem: fmt.Sprintf(format, args...)}
}

// faultOfNewest returns a fault of the last record, which seemed good and is not.
func (c *chain) faultOfNewest(format string, args ...any) error {
	d := &c.v.result
	f := &Fault{Line: c.at, Seq: d.Last, Problem: fmt.Sprintf(format, args...)}
	d.Records--
	d.Last = c.before.Seq
	return f
}

// record checks that the next line is the record that follows.
func (c *chain) record(line []byte) error {
	v := c.v
	l, ok := record.Peek(line)
	prev, hasPrev := record.Prev(line)
	if !ok || !hasPrev || l.Time == nil {
		return c.fault(0, "this is not a record, so it was changed or inserted")
	}
	if err := c.follows(&l, prev); err != nil {
		return err
	}
	if err := c.inspect(&l); err != nil {
		return err
	}
	if v.result.Records == 0 {
		v.firstPrev, v.result.First = prev, l.Seq
	}
	c.before, v.lastHash = lock.Head{Seq: v.result.Last, Hash: v.lastHash}, sha256.Sum256(line)
	c.at = c.lines.Number()
	c.count++
	v.result.Records++
	v.result.Last = l.Seq
	if v.Each != nil {
		return v.Each(line)
	}
	return nil
}

// follows checks that the line has the hash of the one before. The first line has none to
// compare with; the signature of the closing line covers it.
func (c *chain) follows(l *record.Line, prev string) error {
	v := c.v
	if v.result.Records == 0 {
		return nil
	}
	last := v.result.Last
	if prev == record.FormatHash(v.lastHash) {
		if l.Seq <= last {
			return c.fault(l.Seq, "its number does not come after %d", last)
		}
		return nil
	}
	if c.at > 1 && c.count > 1 && prev == record.FormatHash(c.before.Hash) {
		return c.faultOfNewest("it was inserted: the next record follows from the one before it")
	}
	return c.broken(l)
}

// broken explains why a line does not follow from the one before. It searches the rest of
// the file for hints.
func (c *chain) broken(l *record.Line) error {
	if c.count == 0 { // the record before is in another export, whose end was signed
		return c.fault(l.Seq, "it does not follow from %d, the last of the export before: the database may have been replaced by a backup meanwhile, or this export is not of it", c.v.result.Last)
	}
	last, number := c.v.result.Last, c.lines.Number()
	seq, kind, own := l.Seq, l.Kind, sha256.Sum256(l.Bytes) // the next read overwrites the line
	follower, line, intact := c.lookAhead(own)
	here := &Fault{Line: number, Seq: seq}
	switch {
	case follower != 0:
		here.Problem = fmt.Sprintf("it was inserted, moved here or changed: the record that follows %d comes later, in line %d", last, line)
	case seq <= last:
		here.Problem = fmt.Sprintf("it was inserted or moved here: it does not come after %d", last)
	case !intact:
		return c.faultOfNewest("it was changed, or %d after it was: that does not follow from it, nor the next from that", seq)
	case seq == last+1:
		return c.faultOfNewest("it was changed: the record after it has another hash of it")
	case kind == lock.Started: // sequence numbers jump only at a start
		return c.faultOfNewest("it was changed, or records between it and %d were dropped", seq)
	default:
		here.Problem = fmt.Sprintf("it does not follow from %d: records between them were dropped, or %d was changed", last, last)
	}
	return here
}

// lookAhead searches for a later record that follows the last good one, 0 for none. intact
// reports whether the next line follows the line with the hash own, which then is unchanged.
func (c *chain) lookAhead(own [sha256.Size]byte) (follower lock.Seq, number int, intact bool) {
	good, next := record.FormatHash(c.v.lastHash), record.FormatHash(own)
	for first := true; ; first = false {
		line, err := c.lines.Next()
		if err != nil {
			return 0, 0, intact
		}
		prev, ok := record.Prev(line)
		if first {
			intact = prev == next || !ok && bytes.Contains(line, []byte(`"hash":"`+next+`"`))
		}
		if ok && prev == good {
			l, _ := record.Peek(line)
			return l.Seq, c.lines.Number(), intact
		}
	}
}

// inspect checks the records about the journal itself.
func (c *chain) inspect(l *record.Line) error {
	v := c.v
	switch l.Kind {
	case lock.Checkpoint:
		if !record.IsSigned(l.Bytes, v.result.Key) {
			return c.fault(l.Seq, "the checkpoint is not signed by the key %s", record.FormatKey(v.result.Key))
		}
		v.result.Vouched = l.Seq
		v.result.Signed = v.result.Records + 1
	case lock.Pruned:
		r, err := record.Parse(l.Bytes)
		if err != nil {
			return c.fault(l.Seq, "this is not a record, so it was changed or inserted")
		}
		v.prunedHashes[r.CutHash] = true
	}
	return nil
}

// close checks the closing line of an export.
func (c *chain) close(line []byte, opened [sha256.Size]byte) error {
	v := c.v
	var e record.Closing
	if json.Unmarshal(line, &e) != nil {
		return c.fault(0, "the closing line has been changed")
	}
	switch {
	case e.Opening != record.FormatHash(opened):
		return c.fault(0, "the opening line has been changed: the closing line has another hash of it")
	case e.Records != c.count:
		return c.fault(0, "the export has %d records; its closing line says %d", c.count, e.Records)
	case c.count > 0 && e.Hash != record.FormatHash(v.lastHash):
		return c.faultOfNewest("it was changed: the closing line has another hash of it")
	case !record.IsSigned(line, v.result.Key):
		return c.fault(0, "the closing line is not signed by the key %s", record.FormatKey(v.result.Key))
	case !e.Wrote(line):
		return c.fault(0, "the closing line has been changed")
	}
	v.endCursor, v.result.More = e.Last, e.More
	v.result.Vouched, v.result.Signed = v.result.Last, v.result.Records
	return nil
}

// truncated explains that there is no further line.
func (c *chain) truncated(err error) error {
	if !errors.Is(err, io.EOF) && !errors.Is(err, io.ErrUnexpectedEOF) && !errors.Is(err, record.ErrLineTooLong) {
		return err
	}
	problem := "the export ends here, without a closing line: its tail was cut off"
	if c.count > 0 {
		problem = fmt.Sprintf("the export ends here, after record %d and without a closing line: its tail was cut off", c.v.result.Last)
	}
	return &Fault{Line: c.lines.Number() + 1, Problem: problem}
}
