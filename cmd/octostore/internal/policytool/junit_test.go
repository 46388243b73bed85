package policytool

import (
	"bytes"
	"encoding/xml"
	"strings"
	"testing"
	"time"
)

var someReport = TestReport{Module: "dir/ticket.wasm", Digest: "abc", Seed: 7, Cases: 2, Failed: 2, Files: []FileReport{
	{Path: "fixtures/ticket.json", Cases: []CaseReport{
		{Name: "without a ticket", Verdict: "deny", took: 1500 * time.Microsecond},
		{Name: `a <ticket> & "more"`, Verdict: "allow", Failures: []string{"verdict is \"allow\"; want \"deny\"", "ttl_ms is 1; want 2 \x1b[2J"},
			Logs: []LogLine{{"warn", "]]> \x00"}}},
	}},
	{Path: "fixtures/refuses.json"},
	{Path: "fixtures/taken.json", Failures: []string{"its configuration is refused: no"}},
}}

// What is written is XML, whatever a policy says, and says the same as the report.
func TestJUnitReportIsReadBack(t *testing.T) {
	var out bytes.Buffer
	if err := someReport.WriteJUnit(&out); err != nil {
		t.Fatal(err)
	}
	var got junitSuites
	if err := xml.Unmarshal(out.Bytes(), &got); err != nil {
		t.Fatalf("%v\n%s", err, out.String())
	}
	if got.Name != "dir/ticket.wasm" || got.Tests != 4 || got.Failures != 2 || got.Time != seconds(1500*time.Microsecond) || len(got.Suites) != 3 {
		t.Errorf("got %+v", got)
	}
	s := got.Suites[0]
	if s.Name != "ticket" || s.Tests != 2 || s.Failures != 1 || len(s.Properties) != 2 || s.Properties[1] != (junitProperty{"seed", "7"}) {
		t.Errorf("got %+v", s)
	}
	if c := s.Cases[0]; c.Name != "without a ticket" || c.Class != "ticket" || c.File != "fixtures/ticket.json" || c.Failure != nil || c.Time != seconds(1500*time.Microsecond) {
		t.Errorf("got %+v", c)
	}
	c := s.Cases[1]
	if c.Name != `a <ticket> & "more"` || c.Failure == nil || c.Failure.Message != `verdict is "allow"; want "deny"` ||
		c.Failure.Text != "verdict is \"allow\"; want \"deny\"\nttl_ms is 1; want 2 \ufffd[2J" || c.Out != "warn: ]]> \ufffd\n" {
		t.Errorf("got %+v, %+v", c, c.Failure)
	}
	if c := got.Suites[1].Cases[0]; c.Name != "configuration" || c.Failure != nil {
		t.Errorf("got %+v", c)
	}
	if c := got.Suites[2].Cases[0]; c.Failure == nil || c.Failure.Text != "its configuration is refused: no" {
		t.Errorf("got %+v", c)
	}
	if !strings.HasPrefix(out.String(), `<?xml version="1.0" encoding="UTF-8"?>`) || !strings.Contains(out.String(), `time="0.001500"`) {
		t.Errorf("got %s", out.String())
	}
}
