package record_test

import (
	"encoding/csv"
	"strings"
	"testing"

	"github.com/octostore/octostore/core/journal/record"
	"github.com/octostore/octostore/core/lock"
)

// No cell begins with what some spreadsheet takes for a formula, or passes over before
// one. The rest stays as it is.
func TestCSVHasNoFormulas(t *testing.T) {
	for text, want := range map[string]string{
		"ci-1": "ci-1", "a=1": "a=1", "": "", "é": "é", "'=1": "'=1", "\ufffd": "\ufffd",
		"=1": "'=1", "+1": "'+1", "-1": "'-1", "@A1": "'@A1", ";=1": "';=1", " =1": "' =1",
		"\t=1": "'\t=1", "\r=1": "'\r=1", "\n=1": "'\n=1", "\u00a0=1": "'\u00a0=1", "\u3000=1": "'\u3000=1",
		"＝1": "'＝1", "＋1": "'＋1", "－1": "'－1", "＠A1": "'＠A1", "；=1": "'；=1",
	} {
		b := &lock.Batch{Events: []lock.Event{{Seq: 1, Time: noon, Kind: lock.Denied, Lease: &lock.Lease{Name: "n", Holder: text}}}}
		record.Seal(b, nil)
		rows, err := new(record.CSV).Encode(b.Segment.Bytes)
		if err != nil {
			t.Fatal(err)
		}
		row, err := csv.NewReader(strings.NewReader(string(rows))).Read()
		if err != nil {
			t.Fatal(err)
		}
		// A reader of CSV takes \r\n for \n, and so does this one.
		if got := row[6]; got != want {
			t.Errorf("%q is written as %q, want %q", text, got, want)
		}
	}
}
