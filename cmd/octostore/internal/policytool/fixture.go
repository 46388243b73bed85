package policytool

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"time"
	"unicode"

	"github.com/octostore/octostore/core/files"
	"github.com/octostore/octostore/core/journal/record"
	"github.com/octostore/octostore/core/jsontext"
	"github.com/octostore/octostore/hooks"
)

// Fixture is one file of fixtures: what a policy is to answer with one configuration.
type Fixture struct {
	Path      string
	Config    json.RawMessage // empty: none is given
	Cases     []Expectation
	Reads     []string // as in a manifest
	LoadError string   // part of what it is to refuse its configuration with; empty: it is to load
}

// Expectation is a case of a fixture.
type Expectation struct {
	Name    string
	Case    hooks.Case
	MaxFuel int64 // 0: as much as there is

	Verdict string // allow, deny, error; of an event done or again
	Reason  *string
	Retry   *int64 // ms, as all that follow
	TTL     *int64
	Wait    *int64
	// Priority is front, normal or back; none: it does not say; empty: anything.
	Priority string
	Notes    map[string]string
}

const maxFixtures = 16 << 20 // bytes of a file

// ReadFixtures reads the *.json of a directory, in the order of their names. Every
// member has to be known; the error names the file and the member.
func ReadFixtures(dir string) ([]Fixture, error) {
	paths, err := filepath.Glob(filepath.Join(dir, "*.json"))
	if err != nil {
		return nil, err
	}
	if len(paths) == 0 {
		return nil, fmt.Errorf("%s has no fixtures; want files like %s", dir, filepath.Join(dir, "NAME.json"))
	}
	slices.Sort(paths)
	var all []Fixture
	for _, path := range paths {
		text, err := files.Read(path, maxFixtures)
		if err != nil {
			return nil, err
		}
		f, err := parseFixture(text)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", path, err)
		}
		f.Path = path
		all = append(all, f)
	}
	return all, nil
}

func parseFixture(text []byte) (Fixture, error) {
	var f Fixture
	if err := jsontext.Check(text); err != nil {
		return f, err
	}
	var cases []json.RawMessage
	if err := (members{"config": &f.Config, "cases": &cases, "load_error": &f.LoadError, "reads": &f.Reads}).read("fixture", text); err != nil {
		return f, err
	}
	if err := hooks.CheckReads(f.Reads); err != nil {
		return f, fmt.Errorf("fixture.%w", err)
	}
	if (len(cases) > 0) == (f.LoadError != "") {
		return f, errors.New("fixture: want either cases or a load_error")
	}
	names := map[string]bool{}
	for i, raw := range cases {
		where := fmt.Sprintf("cases[%d]", i)
		e, err := parseExpectation(where, raw)
		if err != nil {
			return f, err
		}
		if e.Name == "" || names[e.Name] {
			return f, fmt.Errorf("%s.name: is %q; want one of its own for every case", where, e.Name)
		}
		names[e.Name] = true
		f.Cases = append(f.Cases, e)
	}
	return f, nil
}

func parseExpectation(where string, raw json.RawMessage) (Expectation, error) {
	var e Expectation
	var asked, event, expected json.RawMessage
	top := members{"name": &e.Name, "request": &asked, "event": &event, "expect": &expected, "max_fuel": &e.MaxFuel}
	if err := top.read(where, raw); err != nil {
		return e, err
	}
	if strings.ContainsFunc(e.Name, func(r rune) bool { return !unicode.IsPrint(r) }) {
		return e, fmt.Errorf("%s.name: is %q; want characters that can be printed", where, e.Name)
	}
	if e.Name != "" {
		where += " " + fmt.Sprintf("(%s)", e.Name)
	}
	switch {
	case asked != nil && event != nil:
		return e, fmt.Errorf("%s: has a request and an event; want one of them", where)
	case expected == nil:
		return e, fmt.Errorf("%s.expect: is missing; want an object such as {\"verdict\": \"allow\"}", where)
	case e.MaxFuel < 0:
		return e, fmt.Errorf("%s.max_fuel: is %d; want 1 or more", where, e.MaxFuel)
	}
	inner := members{
		"verdict": &e.Verdict, "reason": &e.Reason, "retry_after_ms": &e.Retry, "ttl_ms": &e.TTL, "wait_ms": &e.Wait, "priority": &e.Priority, "notes": &e.Notes,
	}
	if err := inner.read(where+".expect", expected); err != nil {
		return e, err
	}
	if err := expectsSomething(expected, inner); err != nil {
		return e, fmt.Errorf("%s.expect%w", where, err)
	}
	var err error
	switch {
	case event != nil:
		e.Case, err = parseEvent(where+".event", event)
	case asked != nil:
		e.Case, err = parseRequest(where+".request", asked)
	default:
		e.Case, err = parseRequest(where+".request", json.RawMessage("{}"))
	}
	if err != nil {
		return e, err
	}
	return e, e.check(where)
}

// expectsSomething returns an error if every answer would do, a failure of the policy too.
func expectsSomething(expected json.RawMessage, known members) error {
	given, err := jsontext.Object(expected)
	if err != nil {
		return fmt.Errorf(": %w", err)
	}
	for _, name := range []string{"verdict", "priority"} {
		if string(given[name]) == `""` {
			return fmt.Errorf(".%s: is empty; want a value, or leave it out", name)
		}
	}
	if notes, err := jsontext.Object(given["notes"]); err == nil && len(notes) == 0 {
		delete(given, "notes")
	}
	if len(given) == 0 {
		return fmt.Errorf(": is empty; want at least one of %s", strings.Join(known.names(), ", "))
	}
	return nil
}

// parseEvent reads a line of the journal. As much of it may be left out as a policy can
// do without.
func parseEvent(where string, raw json.RawMessage) (hooks.Case, error) {
	if _, err := record.Parse(raw); err != nil {
		return hooks.Case{}, fmt.Errorf("%s: is no record: %w", where, err)
	}
	var line bytes.Buffer
	if err := json.Compact(&line, raw); err != nil { // as it stands in the journal
		return hooks.Case{}, fmt.Errorf("%s: %w", where, err)
	}
	return hooks.Case{Event: line.Bytes(), Now: time.UnixMilli(defaultRequest().now)}, nil
}

func (e *Expectation) check(where string) error {
	known, want := []string{"", "allow", "deny", "error"}, "allow, deny or error"
	if e.Case.Event != nil {
		known, want = []string{"", "done", "again"}, "done or again, as it is about an event"
	}
	if !slices.Contains(known, e.Verdict) {
		return fmt.Errorf("%s.expect.verdict: is %q; want %s", where, e.Verdict, want)
	}
	if !slices.Contains([]string{"", "front", "normal", "back", "none"}, e.Priority) {
		return fmt.Errorf("%s.expect.priority: is %q; want front, normal, back, or none where it does not say", where, e.Priority)
	}
	return nil
}
