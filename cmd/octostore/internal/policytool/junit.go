package policytool

import (
	"encoding/xml"
	"fmt"
	"io"
	"path/filepath"
	"strings"
	"time"
)

// The elements of a JUnit report, as CI systems read them.
type (
	junitSuites struct {
		XMLName  xml.Name     `xml:"testsuites"`
		Name     string       `xml:"name,attr"`
		Tests    int          `xml:"tests,attr"`
		Failures int          `xml:"failures,attr"`
		Time     seconds      `xml:"time,attr"`
		Suites   []junitSuite `xml:"testsuite"`
	}
	junitSuite struct {
		Name       string          `xml:"name,attr"`
		Tests      int             `xml:"tests,attr"`
		Failures   int             `xml:"failures,attr"`
		Errors     int             `xml:"errors,attr"`
		Skipped    int             `xml:"skipped,attr"`
		Time       seconds         `xml:"time,attr"`
		Properties []junitProperty `xml:"properties>property"`
		Cases      []junitCase     `xml:"testcase"`
	}
	junitProperty struct {
		Name  string `xml:"name,attr"`
		Value string `xml:"value,attr"`
	}
	junitCase struct {
		Name    string        `xml:"name,attr"`
		Class   string        `xml:"classname,attr"`
		File    string        `xml:"file,attr"`
		Time    seconds       `xml:"time,attr"`
		Failure *junitFailure `xml:"failure"`
		Out     string        `xml:"system-out,omitempty"`
	}
	junitFailure struct {
		Message string `xml:"message,attr"`
		Text    string `xml:",chardata"`
	}
)

// seconds are written as a decimal number.
type seconds time.Duration

// MarshalText implements [encoding.TextMarshaler].
func (s seconds) MarshalText() ([]byte, error) {
	return fmt.Appendf(nil, "%.6f", time.Duration(s).Seconds()), nil
}

// UnmarshalText implements [encoding.TextUnmarshaler].
func (s *seconds) UnmarshalText(text []byte) error {
	d, err := time.ParseDuration(string(text) + "s")
	*s = seconds(d)
	return err
}

// WriteJUnit writes the report as JUnit XML: a suite for each file of fixtures, a test
// case for each of its cases, and one called "configuration" where the file is about that,
// or where its configuration is refused.
func (r TestReport) WriteJUnit(w io.Writer) error {
	all := junitSuites{Name: r.Module}
	for _, f := range r.Files {
		s := f.junit()
		s.Properties = []junitProperty{{"sha256", r.Digest}, {"seed", fmt.Sprint(r.Seed)}}
		all.Tests += s.Tests
		all.Failures += s.Failures
		all.Time += s.Time
		all.Suites = append(all.Suites, s)
	}
	text, err := xml.MarshalIndent(all, "", "  ")
	if err != nil {
		return fmt.Errorf("write JUnit XML: %w", err)
	}
	_, err = fmt.Fprintf(w, "%s%s\n", xml.Header, text)
	return err
}

func (f FileReport) junit() junitSuite {
	name := strings.TrimSuffix(filepath.Base(f.Path), ".json")
	s := junitSuite{Name: name}
	cases := f.Cases
	if len(cases) == 0 {
		cases = []CaseReport{{Name: "configuration", Failures: f.Failures}}
	}
	for _, c := range cases {
		j := junitCase{Name: c.Name, Class: name, File: f.Path, Time: seconds(c.took)}
		if len(c.Failures) > 0 {
			j.Failure = &junitFailure{Message: c.Failures[0], Text: strings.Join(c.Failures, "\n")}
			s.Failures++
		}
		for _, l := range c.Logs {
			j.Out += fmt.Sprintf("%s: %s\n", l.Level, l.Text)
		}
		s.Time += j.Time
		s.Cases = append(s.Cases, j)
	}
	s.Tests = len(s.Cases)
	return s
}
