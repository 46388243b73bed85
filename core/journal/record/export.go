package record

import (
	"bytes"
	"crypto/ed25519"
	"encoding/json"
	"errors"
	"io"
)

// ExportVersion is the version of the export format.
const ExportVersion = 1

// ErrIncomplete is returned for an export that ends without a closing line.
var ErrIncomplete = errors.New("the export broke off before its closing line")

// Opening is the first line of an export.
type Opening struct {
	Export     int    `json:"export"` // see [ExportVersion]
	Verifiable bool   `json:"verifiable"`
	Time       string `json:"time"` // when the export began
	After      string `json:"after"`
	Filter     string `json:"filter,omitempty"`
	Key        string `json:"key"` // see [FormatKey]
}

// Closing is the last line of a complete export. The closing line of a verifiable
// export has a signature, too.
type Closing struct {
	End     bool   `json:"end"`
	Records int64  `json:"records"`
	Last    string `json:"last"`    // cursor the next export goes on from
	Hash    string `json:"hash"`    // hash of the last record; empty: no records, or filtered
	More    bool   `json:"more"`    // the journal had more records when the export was made
	Opening string `json:"opening"` // hash of the opening line

	// Searched is how many records an export of the newest ones has looked at; Incomplete
	// that it stopped there, so older records may match.
	Searched   int64 `json:"searched,omitempty"`
	Incomplete bool  `json:"incomplete,omitempty"`
}

// Line returns the opening line, without a newline.
func (o *Opening) Line() []byte { return marshal(o) }

// Line returns the closing line, unsigned and without a newline.
func (c *Closing) Line() []byte { return marshal(c) }

// Signed returns the closing line with a signature by key, without a newline.
func (c *Closing) Signed(key ed25519.PrivateKey) []byte { return signLine(c.Line(), 0, key) }

// Wrote reports whether line is byte for byte the closing line c, whatever its signature.
func (c *Closing) Wrote(line []byte) bool {
	before, _, _ := bytes.Cut(line, []byte(signatureMember))
	return bytes.Equal(append(bytes.Clone(before), '}'), c.Line())
}

// IsOpening reports whether a line is meant to be the opening line of an export.
func IsOpening(line []byte) bool { return bytes.HasPrefix(line, []byte(`{"export":`)) }

// IsClosing reports whether a line is meant to be the closing line of an export.
func IsClosing(line []byte) bool { return bytes.HasPrefix(line, []byte(`{"end":`)) }

// ReadExport calls each with every record of one or more exports in a row, plain or
// compressed with gzip. It does not verify them, and accepts filtered ones. The line is
// valid until each returns. each also gets the rest of a line that was cut off, and has to
// check whether it is a record. [ErrIncomplete] means that the last export has no
// closing line: records may be missing.
func ReadExport(r io.Reader, each func(line []byte) error) error {
	lines, err := NewLineReader(r)
	if err != nil {
		return err
	}
	complete := false
	for {
		line, err := lines.Next()
		switch {
		case errors.Is(err, io.EOF) && !complete:
			return ErrIncomplete
		case errors.Is(err, io.EOF):
			return nil
		case err != nil && line == nil:
			return err
		}
		complete = bytes.HasPrefix(line, []byte(`{"end":true`))
		if (IsClosing(line) || IsOpening(line)) && json.Valid(line) {
			continue
		}
		if err := each(line); err != nil {
			return err
		}
	}
}

func marshal(v any) []byte {
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(v); err != nil {
		panic(err) // strings, numbers and booleans always encode
	}
	return bytes.TrimSuffix(b.Bytes(), []byte{'\n'})
}
