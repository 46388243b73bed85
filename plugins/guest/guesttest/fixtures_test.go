//go:build !wasip1

package guesttest

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/octostore/octostore/core/timetext"
)

// A fixture that does not hold, or is not one, must not pass.
func TestFixtureDifferencesAreSeen(t *testing.T) {
	got := Answer{Verdict: "deny", Reason: "not today", RetryAfterMS: 1000, TTLMS: 5000, WaitMS: 0, Notes: map[string]string{"a": "b"}}
	for expect, want := range map[string]string{
		`{}`: "",
		`{"verdict":"deny","reason":"not today","retry_after_ms":1000,"ttl_ms":5000,"wait_ms":0,"notes":{"a":"b"}}`: "",
		`{"verdict":"allow"}`:      `verdict is "deny", want "allow"`,
		`{"reason":""}`:            `reason is "not today", want ""`,
		`{"retry_after_ms":0}`:     `retry_after_ms is 1000, want 0`,
		`{"ttl_ms":60000}`:         `ttl_ms is 5000, want 60000`,
		`{"wait_ms":1}`:            `wait_ms is 0, want 1`,
		`{"notes":{"a":"c"}}`:      `the note a is "b", want "c"`,
		`{"notes":{"none":""}}`:    `the note none is "", want ""`,
		`{"verdict":"deny","x":1}`: `unknown field "x"`,
	} {
		var e expectation
		err := decode([]byte(expect), &e)
		said := strings.Join(e.wrong(got), "; ")
		if err != nil {
			said = err.Error()
		}
		if said != want && !(err != nil && strings.Contains(said, want)) {
			t.Errorf("%s: %s, want %s", expect, said, want)
		}
	}
}

func TestFixtureMistakesAreRefused(t *testing.T) {
	for text, want := range map[string]string{
		`{"expect":{"ttl_ms":1}}`:                                                    "name",
		`{"name":"x"}`:                                                               "expect: is missing",
		`{"name":"x","expect":{}}`:                                                   "expect: is empty",
		`{"name":"x","expect":{"notes":{}}}`:                                         "expect: is empty",
		`{"name":"x","expect":null}`:                                                 "expect: is empty",
		`{"name":"x","expect":{"colour":"x"}}`:                                       "colour",
		`{"name":"x","expect":{"ttl_ms":1},"request":{},"event":{}}`:                 "request",
		`{"name":"x","expect":{"ttl_ms":1},"request":{"colour":1}}`:                  "colour",
		`{"name":"x","expect":{"ttl_ms":1},"request":{"lock":{"colour":1}}}`:         "colour",
		`{"name":"x","expect":{"ttl_ms":1},"request":{"ttl_ms":"1m"}}`:               "ttl_ms",
		`{"name":"x","expect":{"ttl_ms":1},"request":{"metadata":{"a":true}}}`:       "metadata",
		`{"name":"x","expect":{"ttl_ms":1},"request":{"ttl":"1m","ttl_ms":1}}`:       "request: ttl: is there beside ttl_ms",
		`{"name":"x","expect":{"wait":"soon"}}`:                                      `expect: wait: is "soon"; want a duration`,
		`{"name":"x","expect":{"ttl":60}}`:                                           `expect: ttl: is 60; want a string`,
		`{"name":"x","expect":{"ttl":"1s"},"request":{"lock":{"expires_at":"x"}}}`:   `request: lock.expires_at: is "x"; want a time`,
		`{"name":"x","expect":{"ttl":"1s"},"request":{"retry_after":"1s"}}`:          "retry_after_ms",
		`{"name":"x","expect":{"ttl":"1s"},"request":{"now":"2026-12-24T18:00:00"}}`: "request: now: is",
	} {
		var c fixture
		err := decode([]byte(text), &c)
		if err == nil {
			_, _, err = c.answer()
		}
		if err == nil || !strings.Contains(fmt.Sprint(err), want) {
			t.Errorf("%s: got %v, want %s in it", text, err, want)
		}
	}
}

// Times and durations can be written for people, as octostore policy test reads them.
func TestFixturesReadTimesForPeople(t *testing.T) {
	text, err := inMilliseconds([]byte(`{"now":"2026-12-24T18:00:00+01:00","ttl":"1h","wait":"30","waited":"1d2h",
		"lock":{"name":"a","held":true,"expires_at":"2026-12-25"},"account":"a"}`))
	if err != nil {
		t.Fatal(err)
	}
	want := `{"account":"a","lock":{"expires_at_ms":1798156800000,"held":true,"name":"a"},"now_ms":1798131600000,"ttl_ms":3600000,"wait_ms":30000,"waited_ms":93600000}`
	if string(text) != want {
		t.Errorf("got  %s\nwant %s", text, want)
	}
}

// The SDK has no package of the server, but reads the same texts.
func FuzzFixtureTimesAreThoseOfTheServer(f *testing.F) {
	for _, text := range []string{
		"0", "30", "030", "1.5", ".5", "0.0009", "-1", "90s", "1m30s", "1.5h", "100ms", "1d", "0d", "30d", "1d12h", "1d0.5s", "-1d12h",
		"", ".", "-", "--1", "1.2.3", "1e3", "0x10", "1_000", "inf", "1 s", "d", "1.5d", "+1d", "1d-12h", "1d+1h", "1d1d", "1h1d", "1dx", "+1s", "1d.5h",
		"2026-12-24", "2026-12-24T18:00:00+01:00", "2026-12-24T18:00:00", "1969-12-31", "2026-02-30", "2026-12-24T18:00:00.5Z",
	} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		d, err := timetext.Duration(text)
		wrong := err != nil || d%time.Millisecond != 0
		n, err := span(text)
		if d.Abs() < 1<<16*24*time.Hour && (wrong != (err != nil) || !wrong && n != d.Milliseconds()) {
			t.Errorf("%q is %d, %v; the server reads %s, wrong: %t", text, n, err, d, wrong)
		}
		at, err := timetext.Time(text)
		wrong = err != nil
		if n, err = instant(text); wrong != (err != nil) || !wrong && n != at.UnixMilli() {
			t.Errorf("%q is %d, %v; the server reads %s, wrong: %t", text, n, err, at, wrong)
		}
	})
}
