// Package verify checks the audit log without a server: exports ([Verifier]), the segments
// of a store ([SegmentVerifier]), and whether the records agree with each other and with
// the leases of a store ([Replay]). A program of a third party needs only this package and
// package record.
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

// Fault is the first thing in an export that is not as it was written.
type Fault struct {
	Line    int      // in the file, from 1
	Seq     lock.Seq // of the record it is about; 0: none
	Problem string   // what is wrong, as a sentence about the record or the file
}

func (f *Fault) Error() string {
	if f.Seq == 0 {
		return fmt.Sprintf("line %d: %s", f.Line, f.Problem)
	}
	return fmt.Sprintf("line %d, record %d: %s", f.Line, f.Seq, f.Problem)
}

// Result is what a verification found out about the records up to the first fault.
type Result struct {
	Exports     int       // complete ones
	Records     int64     // that follow from each other
	First, Last lock.Seq  // of these
	Hash        lock.Hash // of the last of them
	After       string    // cursor the first export begins after
	// Vouched is the newest record a signature vouches for, and with it for all before;
	// Signed is how many there are.
	Vouched lock.Seq
	Signed  int64
	Key     ed25519.PublicKey // whose signatures these are
	// Complete says why nothing can be missing before the first record: it is the
	// first of its journal, or follows what a later record says was pruned. False: this
	// file cannot tell.
	Complete bool
	// More says that the journal went on when the last export was made.
	More bool
	Made time.Time // when the server began the last export, by its clock
}

// Verifier checks exports, one after the other, that are to continue each other. Make
// one with [NewVerifier].
type Verifier struct {
	// Each, if not nil, is called with every record that follows from the one before.
	// Its line is good until it returns.
	Each func(line []byte) error

	result Result
	pinned ed25519.PublicKey
	begin  string // prev of the first record
	cuts   map[string]bool
	last   [sha256.Size]byte // hash of the newest record
	joined string            // cursor the newest export ended at
}

// NewVerifier returns a verifier. Signatures have to be by the pinned key; without
// one, by the key the first export names.
func NewVerifier(pinned ed25519.PublicKey) *Verifier {
	return &Verifier{pinned: pinned, cuts: map[string]bool{}}
}

// Result returns what has been found out so far.
func (v *Verifier) Result() Result {
	verdict := v.result
	verdict.Hash = v.last
	verdict.Complete = verdict.Records > 0 && (v.begin == "" || v.cuts[v.begin])
	return verdict
}

// Verify checks a file, which holds one or more exports in a row. A [*Fault] names
// the first thing that is wrong; other errors are those of r.
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

// endOfFile says what it means that there is no further line.
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
			return c.cutShort(err)
		}
		if record.IsClosing(line) {
			return c.close(line, opened)
		}
		if err := c.record(line); err != nil {
			return err
		}
	}
}

// open checks the first line of an export, and that it goes on where the one before
// ended.
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
	if v.result.Exports > 0 && o.After != v.joined {
		return o, fault(fmt.Sprintf("the export begins after %s, but the one before ends at %s", o.After, v.joined))
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
