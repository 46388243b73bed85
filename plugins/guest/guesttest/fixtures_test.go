//go:build !wasip1

package guesttest

import (
	"fmt"
	"strings"
	"testing"
)

// A fixture that does not hold, or is not one, must not pass.
func TestWhatIsNotAsExpectedIsSeen(t *testing.T) {
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

func TestWhatIsNoFixtureIsRefused(t *testing.T) {
	for text, want := range map[string]string{
		`{"expect":{}}`: "name",
		`{"name":"x"}`:  "expect",
		`{"name":"x","expect":{},"request":{},"event":{}}`:           "request",
		`{"name":"x","expect":{},"request":{"colour":1}}`:            "colour",
		`{"name":"x","expect":{},"request":{"lock":{"colour":1}}}`:   "colour",
		`{"name":"x","expect":{},"request":{"ttl_ms":"1m"}}`:         "ttl_ms",
		`{"name":"x","expect":{},"request":{"metadata":{"a":true}}}`: "metadata",
	} {
		var c fixture
		err := decode([]byte(text), &c)
		if err == nil {
			_, err = c.answer()
		}
		if err == nil || !strings.Contains(fmt.Sprint(err), want) {
			t.Errorf("%s: got %v, want %s in it", text, err, want)
		}
	}
}
