package verify

import (
	"crypto/ed25519"
	"crypto/sha256"
	"fmt"
	"time"

	"github.com/octostore/octostore/core/journal/record"
	"github.com/octostore/octostore/core/lock"
)

// SegmentVerifier verifies the segments of a store, without an export. Make one with
// [NewSegmentVerifier], pass it all segments after the cut, then call [SegmentVerifier.End].
type SegmentVerifier struct {
	Records int64     // number of records that follow from each other
	Vouched lock.Seq  // newest record that a signature covers, together with all records before it
	Oldest  time.Time // time of the oldest record; zero: there is none
	Newest  time.Time // time of the newest record

	key  ed25519.PublicKey
	last lock.Head
}

// NewSegmentVerifier begins after the cut, the zero Head for a whole journal. Signatures must
// be by key.
func NewSegmentVerifier(cut lock.Head, key ed25519.PublicKey) *SegmentVerifier {
	return &SegmentVerifier{key: key, last: cut}
}

// Segment checks the records of the next segment. The error names the first record that
// does not follow from the one before, or whose signature is not by the key.
func (c *SegmentVerifier) Segment(s lock.Segment) error {
	for l := range record.Lines(s, c.last.Seq) {
		if err := c.line(&l); err != nil {
			return err
		}
	}
	return nil
}

func (c *SegmentVerifier) line(l *record.Line) error {
	prev, ok := record.Prev(l.Bytes)
	want := ""
	if c.last.Seq > 0 {
		want = record.FormatHash(c.last.Hash)
	}
	switch {
	case !ok || prev != want:
		return fmt.Errorf("record %d does not follow from %d: one of them was changed, or records between them are gone", l.Seq, c.last.Seq)
	case l.Kind == lock.Checkpoint && !record.IsSigned(l.Bytes, c.key):
		return fmt.Errorf("the checkpoint %d is not signed by the key of the database, %s", l.Seq, record.FormatKey(c.key))
	case l.Kind == lock.Checkpoint:
		c.Vouched = l.Seq
	}
	r, err := record.Parse(l.Bytes)
	if err != nil {
		return fmt.Errorf("record %d: %w", l.Seq, err)
	}
	if c.Records == 0 {
		c.Oldest = r.Time
	}
	c.Newest = r.Time
	c.last = lock.Head{Seq: l.Seq, Hash: sha256.Sum256(l.Bytes)}
	c.Records++
	return nil
}

// End returns an error unless the journal ends at the head, from which the next record
// continues.
func (c *SegmentVerifier) End(head lock.Head) error {
	if c.last != head {
		return fmt.Errorf("the journal ends at %d, which is not the record that the next one is to follow, %d", c.last.Seq, head.Seq)
	}
	return nil
}

// CheckSegment verifies a segment, and applies its records after a sequence number to a replay.
// The error is the first fault that either of them finds.
func CheckSegment(check *SegmentVerifier, replay *Replay, s lock.Segment, after lock.Seq) error {
	if err := check.Segment(s); err != nil {
		return err
	}
	for l := range record.Lines(s, after) {
		if err := replay.Apply(l.Bytes); err != nil {
			return err
		}
	}
	return nil
}
