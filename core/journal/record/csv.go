package record

import (
	"bytes"
	"encoding/csv"
	"encoding/json"
	"strings"
	"unicode/utf8"
)

// csvColumns are the members of a record with a column, in order.
var csvColumns = []string{
	"seq", "time", "kind", "name", "token", "account", "holder", "reason", "metadata", "ttl_ms", "waited_ms", "held_ms",
	"expires_at", "by", "token_id", "remote_addr", "user_agent", "request_id", "trace_id", "cause", "notes", "verdicts",
	"confirm_ms", "priority", "policy_set", "policy_set_at_grant", "policies", "replaced",
}

// CSV turns the lines of an export into rows for spreadsheets: a row of column names for the
// opening line, and a row for each record. Rows cannot be verified, and do not show whether
// any are missing. The zero CSV is ready to use, by one goroutine.
type CSV struct {
	buf bytes.Buffer
	out *csv.Writer
	row []string
}

// Encode returns the rows of whole lines, valid until the next call.
func (c *CSV) Encode(lines []byte) ([]byte, error) {
	c.buf.Reset()
	if c.out == nil {
		c.out = csv.NewWriter(&c.buf)
	}
	for len(lines) > 0 {
		var line []byte
		line, lines, _ = bytes.Cut(lines, []byte{'\n'})
		if err := c.encode(line); err != nil {
			return nil, err
		}
	}
	c.out.Flush()
	return c.buf.Bytes(), c.out.Error()
}

func (c *CSV) encode(line []byte) error {
	switch {
	case IsOpening(line):
		return c.out.Write(csvColumns)
	case IsClosing(line):
		return nil
	}
	var members map[string]json.RawMessage
	if err := json.Unmarshal(line, &members); err != nil {
		return err
	}
	c.row = c.row[:0]
	for _, column := range csvColumns {
		c.row = append(c.row, cell(members[column]))
	}
	return c.out.Write(c.row)
}

// IsCSV reports whether a file that begins with this line is an export in CSV. Earlier
// versions wrote a comment first.
func IsCSV(line []byte) bool {
	return bytes.HasPrefix(line, []byte(strings.Join(csvColumns[:4], ","))) || bytes.HasPrefix(line, []byte(`# {"export":`))
}

// formula has the characters with which a formula begins in some spreadsheet: signs, their
// full-width forms, separators of cells, and spaces that are skipped.
const formula = "=+-@;\t\r\n\u00a0\u3000 ＝＋－＠；"

// cell returns a member as text.
func cell(value json.RawMessage) string {
	var text string
	if json.Unmarshal(value, &text) != nil {
		return string(value) // a number, an object or a list; or it is not there
	}
	return Cell(text)
}

// Cell returns a text that a spreadsheet does not take for a formula: an apostrophe comes
// before a text that begins like one.
func Cell(text string) string {
	if first, size := utf8.DecodeRuneInString(text); size > 0 && strings.ContainsRune(formula, first) {
		return "'" + text
	}
	return text
}
