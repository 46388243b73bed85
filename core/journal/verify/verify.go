// Package verify checks the audit log without a server: exports ([Verifier]), the segments
// of a store ([SegmentVerifier]), and whether records agree with each other and with the
// leases of a store ([Replay]). Other programs need only this package and package record.
package verify

import (
	"crypto/ed25519"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/octostore/octostore/core/journal/record"
	"github.com/octostore/octostore/core/lock"
)

// Fault is the first place in an export that is not as it was written.
type Fault struct {
	Line    int      // line number in the file, from 1
	Seq     lock.Seq // sequence number of the record; 0: none
	Problem string   // a sentence about the record or the file
}

func (f *Fault) Error() string {
	if f.Seq == 0 {
		return fmt.Sprintf("line %d: %s", f.Line, f.Problem)
	}
	return fmt.Sprintf("line %d, record %d: %s", f.Line, f.Seq, f.Problem)
}

// Result is the result of a verification, up to the first fault.
type Result struct {
	Exports     int       // number of complete exports
	Records     int64     // number of records that follow from each other
	First, Last lock.Seq  // the first and the last of these records
	Hash        lock.Hash // hash of the last record
	After       string    // cursor after which the first export begins
	// Vouched is the newest record that a signature covers, together with all records
	// before it. Signed is the number of these records.
	Vouched lock.Seq
	Signed  int64
	Key     ed25519.PublicKey // key of the signatures
	// Complete means that no record is missing before the first one: it is the first of its
	// journal, or follows the records that a later record says were pruned. False: the
	// file does not show it.
	Complete bool
	// More means that the journal had further records when the last export was made.
	More bool
	Made time.Time // start of the last export, by the clock of the server
}

// Verifier checks exports that continue each other, in order. Make one with
// [NewVerifier].
type Verifier struct {
	// Each, if not nil, is called for every record that follows from the one before. The
	// line is valid until Each returns.
	Each func(line []byte) error

	result       Result
	pinned       ed25519.PublicKey
	firstPrev    string // "prev" of the first record
	prunedHashes map[string]bool
	lastHash     [sha256.Size]byte // hash of the last record
	endCursor    string            // cursor at which the last export ended
}

// NewVerifier returns a verifier. Signatures must be by the pinned key; if that is nil, by
// the key that the first export names.
func NewVerifier(pinned ed25519.PublicKey) *Verifier {
	return &Verifier{pinned: pinned, prunedHashes: map[string]bool{}}
}

// Result returns the result so far.
func (v *Verifier) Result() Result {
	verdict := v.result
	verdict.Hash = v.lastHash
	verdict.Complete = verdict.Records > 0 && (v.firstPrev == "" || v.prunedHashes[v.firstPrev])
	return verdict
}

// Verify checks a file of one or more exports in a row, plain or compressed with gzip. A
// [*Fault] names the first fault; other errors are those of r.
func (v *Verifier) Verify(r io.Reader) error {
	lines, err := record.NewLineReader(r)
	if err != nil {
		return err
	}
	for {
		line, err := lines.Next()
		if err == io.EOF && lines.Number() > 0 {
			return nil
		}
		if err != nil {
			return v.endOfFile(lines, err)
		}
		if err := v.export(lines, line); err != nil {
			return err
		}
		v.result.Exports++
	}
}

// endOfFile explains that there is no further line.
func (v *Verifier) endOfFile(lines *record.LineReader, err error) error {
	cut := &Fault{Line: lines.Number() + 1, Problem: "the file ends here, without the closing line of a complete export"}
	switch {
	case errors.Is(err, io.EOF) && lines.Number() == 0:
		cut.Problem = "the file is empty"
		return cut
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF):
		return cut
	case errors.Is(err, record.ErrLineTooLong):
		cut.Problem = err.Error()
		return cut
	}
	return err
}

// export checks one export, whose first line has been read.
func (v *Verifier) export(lines *record.LineReader, first []byte) error {
	opened := sha256.Sum256(first)
	o, err := v.open(lines, first)
	if err != nil {
		return err
	}
	c := chain{v: v, lines: lines, opening: o}
	for {
		line, err := lines.Next()
		if err != nil {
			return c.truncated(err)
		}
		if record.IsClosing(line) {
			return c.close(line, opened)
		}
		if err := c.record(line); err != nil {
			return err
		}
	}
}

// open checks the opening line of an export, and that the export continues the one before.
func (v *Verifier) open(lines *record.LineReader, line []byte) (o record.Opening, err error) {
	fault := func(problem string) error { return &Fault{Line: lines.Number(), Problem: problem} }
	if record.IsCSV(line) {
		return o, fault("this is an export in CSV, which cannot be verified; export it again in NDJSON, the default format")
	}
	if json.Unmarshal(line, &o) != nil || o.Export == 0 {
		return o, fault("this is not the opening line of an export")
	}
	if o.Export != record.ExportVersion {
		return o, fault(fmt.Sprintf("the export has the form %d; this program knows form %d", o.Export, record.ExportVersion))
	}
	if !o.Verifiable {
		return o, fault("the export says that it was filtered, so it cannot be verified")
	}
	if _, err := record.ParseCursor(o.After); err != nil {
		return o, fault("the opening line has been changed")
	}
	key, err := record.ParseKey(o.Key)
	if err != nil {
		return o, fault("the opening line has no public key")
	}
	want := v.pinned
	if want == nil {
		want = v.result.Key
	}
	if want != nil && !key.Equal(want) {
		return o, fault("the export is by the key " + o.Key + ", not by " + record.FormatKey(want))
	}
	if v.result.Exports > 0 && o.After != v.endCursor {
		return o, fault(fmt.Sprintf("the export begins after %s, but the one before ends at %s", o.After, v.endCursor))
	}
	if v.result.Exports == 0 {
		v.result.After = o.After
	}
	made, err := time.Parse(record.TimeFormat, o.Time)
	if err != nil {
		return o, fault("the opening line has been changed")
	}
	v.result.Key, v.result.Made = key, made
	return o, nil
}
