//go:build !wasip1

package guesttest

import (
	"bytes"
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// fixtures is one file of them.
type fixtures struct {
	Config    json.RawMessage `json:"config"`
	LoadError *string         `json:"load_error"`
	Cases     []fixture       `json:"cases"`
}

// fixture is one request, or one event, and what is expected of it.
type fixture struct {
	Name    string          `json:"name"`
	Request json.RawMessage `json:"request"`
	Event   json.RawMessage `json:"event"`
	Expect  *expectation    `json:"expect"`
	MaxFuel int64           `json:"max_fuel"`
}

// expectation says what is compared: what is left out is not.
type expectation struct {
	Verdict      *string           `json:"verdict"`
	Reason       *string           `json:"reason"`
	RetryAfterMS *int64            `json:"retry_after_ms"`
	TTLMS        *int64            `json:"ttl_ms"`
	WaitMS       *int64            `json:"wait_ms"`
	Priority     *string           `json:"priority"`
	Notes        map[string]string `json:"notes"`
}

// Fixtures runs the fixtures in the files that a pattern names, such as
// "fixtures/*.json": each file with its configuration, its cases in order and then
// backwards, so that what a policy keeps from one request for another shows. The same
// files are what `octostore policy test` puts to the built module.
//
// A file is an object of "config" and "cases", or, where the policy has to refuse its
// configuration, of "config" and "load_error", a part of the message. A case has a
// "name", a "request" (what it leaves out is as in [NewRequest]) or an "event", and
// "expect": a subset of verdict, reason, retry_after_ms, ttl_ms, wait_ms (what caps
// leave of what was asked), priority (front, normal, back, or none where it does not say)
// and notes. "max_fuel" counts on the real thing only.
func Fixtures(t *testing.T, pattern string) {
	t.Helper()
	files, err := filepath.Glob(pattern)
	if err != nil || len(files) == 0 {
		t.Fatalf("there are no fixtures at %s (%v)", pattern, err)
	}
	for _, path := range files {
		t.Run(strings.TrimSuffix(filepath.Base(path), ".json"), func(t *testing.T) {
			content, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			var f fixtures
			if err := decode(content, &f); err != nil {
				t.Fatalf("%s: %v", path, err)
			}
			f.run(t)
		})
	}
}

func (f *fixtures) run(t *testing.T) {
	config := "{}"
	if f.Config != nil {
		config = string(f.Config)
	}
	err := Configure(config)
	if f.LoadError != nil {
		if err == nil || !strings.Contains(err.Error(), *f.LoadError) {
			t.Errorf("configure says %v, want %q in it", err, *f.LoadError)
		}
		return
	}
	if err != nil {
		t.Fatalf("configure refuses: %v", err)
	}
	if len(f.Cases) == 0 {
		t.Error("there are no cases, and no load_error")
	}
	for _, c := range f.Cases {
		c.run(t)
	}
	for _, c := range slices.Backward(f.Cases) {
		c.run(t)
	}
}

func (c *fixture) run(t *testing.T) {
	answer, err := c.answer()
	if err != nil {
		t.Errorf("%q: %v", c.Name, err)
		return
	}
	for _, w := range c.Expect.wrong(answer) {
		t.Errorf("%q: %s; it said %+v", c.Name, w, answer)
	}
}

func (c *fixture) answer() (Answer, error) {
	switch {
	case c.Name == "":
		return Answer{}, errors.New("name: is missing")
	case c.Expect == nil:
		return Answer{}, errors.New("expect: is missing")
	case c.Event != nil && c.Request != nil:
		return Answer{}, errors.New("request: is there beside event; want one of them")
	case c.Event != nil:
		return Observe(string(c.Event)), nil
	}
	r := NewRequest()
	if c.Request != nil {
		if err := decode(c.Request, &r); err != nil {
			return Answer{}, fmt.Errorf("request: %w", err)
		}
	}
	return Ask(r), nil
}

// wrong returns what is not as expected, in words.
func (e *expectation) wrong(a Answer) (wrong []string) {
	texts := func(field, got string, want *string) {
		if want != nil && got != *want {
			wrong = append(wrong, fmt.Sprintf("%s is %q, want %q", field, got, *want))
		}
	}
	numbers := func(field string, got int64, want *int64) {
		if want != nil && got != *want {
			wrong = append(wrong, fmt.Sprintf("%s is %d, want %d", field, got, *want))
		}
	}
	texts("verdict", a.Verdict, e.Verdict)
	texts("reason", a.Reason, e.Reason)
	numbers("retry_after_ms", a.RetryAfterMS, e.RetryAfterMS)
	numbers("ttl_ms", a.TTLMS, e.TTLMS)
	numbers("wait_ms", a.WaitMS, e.WaitMS)
	texts("priority", cmp.Or(a.Priority, "none"), e.Priority)
	for _, key := range slices.Sorted(maps.Keys(e.Notes)) {
		if value, there := a.Notes[key]; !there || value != e.Notes[key] {
			wrong = append(wrong, fmt.Sprintf("the note %s is %q, want %q", key, value, e.Notes[key]))
		}
	}
	return wrong
}

// decode reads a document that has nothing unknown in it.
func decode(text []byte, into any) error {
	dec := json.NewDecoder(bytes.NewReader(text))
	dec.DisallowUnknownFields()
	if err := dec.Decode(into); err != nil {
		return err
	}
	if _, err := dec.Token(); !errors.Is(err, io.EOF) {
		return errors.New("there is something after its end")
	}
	return nil
}
