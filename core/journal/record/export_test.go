package record_test

import (
	"bytes"
	"compress/gzip"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/octostore/octostore/core/journal/record"
)

const anExport = `{"export":1,"after":"0"}
{"seq":1,"kind":"started"}
{"seq":2,"kind":"stopped"}
{"end":true,"records":2}
`

// An export that was cut off is never taken for a whole one, wherever it was cut: the part
// of a line that is left is no record, and without such a part the closing line is missing.
func TestReadExportRefusesTruncatedExports(t *testing.T) {
	errNoRecord := errors.New("no record")
	read := func(export []byte) error {
		return record.ReadExport(bytes.NewReader(export), func(line []byte) error {
			if !json.Valid(line) {
				return errNoRecord
			}
			return nil
		})
	}
	whole := len(anExport) - 1 // the last newline may be missing
	for n := range whole {
		if err := read([]byte(anExport[:n])); !errors.Is(err, errNoRecord) && !errors.Is(err, record.ErrIncomplete) {
			t.Errorf("cut to %q: %v", anExport[:n], err)
		}
	}
	for n := whole; n <= len(anExport); n++ {
		if err := read([]byte(anExport[:n])); err != nil {
			t.Errorf("%d bytes of %d: %v", n, len(anExport), err)
		}
	}
}

// The caller gets the readable part of a compressed export that was cut off.
func TestReadExportGivesThePartOfALineBeforeAnError(t *testing.T) {
	var packed bytes.Buffer
	w := gzip.NewWriter(&packed)
	fmt.Fprint(w, anExport[:strings.Index(anExport, "stopped")])
	if err := w.Flush(); err != nil {
		t.Fatal(err)
	}
	var last string
	err := record.ReadExport(&packed, func(line []byte) error {
		last = string(line)
		return nil
	})
	if want := `{"seq":2,"kind":"`; err == nil || last != want {
		t.Errorf("%v, and the last line is %q, want an error and %q", err, last, want)
	}
}
