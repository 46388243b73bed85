package timetext_test

import (
	"testing"
	"time"

	"github.com/octostore/octostore/core/timetext"
)

func TestDurationIsReadAsPeopleWriteIt(t *testing.T) {
	for _, test := range []struct {
		in   string
		want time.Duration
		ok   bool
	}{
		{"0", 0, true},
		{"30", 30 * time.Second, true},
		{"030", 30 * time.Second, true},
		{"1.5", 1500 * time.Millisecond, true},
		{".5", 500 * time.Millisecond, true},
		{"0.0009", 900 * time.Microsecond, true},
		{"-1", -time.Second, true},
		{"90s", 90 * time.Second, true},
		{"1m30s", 90 * time.Second, true},
		{"1.5h", 90 * time.Minute, true},
		{"100ms", 100 * time.Millisecond, true},
		{"1d", 24 * time.Hour, true},
		{"0d", 0, true},
		{"30d", 720 * time.Hour, true},
		{"1d12h", 36 * time.Hour, true},
		{"1d0.5s", 24*time.Hour + 500*time.Millisecond, true},
		{"-1d12h", -36 * time.Hour, true},
		{"106751d", 106751 * 24 * time.Hour, true},
		{"", 0, false},
		{".", 0, false},
		{"-", 0, false},
		{"--1", 0, false},
		{"1.2.3", 0, false},
		{"1e3", 0, false},
		{"0x10", 0, false},
		{"1_000", 0, false},
		{"inf", 0, false},
		{"nan", 0, false},
		{"1 s", 0, false},
		{" 1s", 0, false},
		{"d", 0, false},
		{"1.5d", 0, false},
		{"+1d", 0, false},
		{"1d-12h", 0, false},
		{"1d1d", 0, false},
		{"1h1d", 0, false},
		{"1dx", 0, false},
		{"106752d", 0, false},
		{"106751d24h", 0, false},
		{"9223372037", 0, false},
		{"18446744073709551616d", 0, false},
	} {
		got, err := timetext.Duration(test.in)
		if got != test.want || (err == nil) != test.ok {
			t.Errorf("%q: %s, %v; want %s, ok %t", test.in, got, err, test.want, test.ok)
		}
	}
}

func TestInstantIsATimeADateOrHowLongAgo(t *testing.T) {
	now := time.Date(2026, 11, 27, 12, 0, 0, 0, time.UTC)
	for in, want := range map[string]string{
		"2026-11-27":                "2026-11-27T00:00:00Z",
		"2026-11-27T08:00:00Z":      "2026-11-27T08:00:00Z",
		"2026-11-27T08:00:00+01:00": "2026-11-27T07:00:00Z",
		"2026-11-27T08:00:00.5Z":    "2026-11-27T08:00:00.5Z",
		"1d":                        "2026-11-26T12:00:00Z",
		"90m":                       "2026-11-27T10:30:00Z",
		"0":                         "2026-11-27T12:00:00Z",
	} {
		got, err := timetext.Instant(in, now)
		if err != nil || got.UTC().Format(time.RFC3339Nano) != want {
			t.Errorf("%q: %s, %v; want %s", in, got, err, want)
		}
	}
	for _, in := range []string{"", "2026", "20261127", "1764201600", "90", "1.5", "soon", "-1d", "-1", "2026-13-01", "2026-02-30", "2026-1-2", "27.11.2026", "0001-01-01T00:00:00Z", "1969-12-31", "2026-11-27 08:00:00", "2026-11-27T08:00:00"} {
		if got, err := timetext.Instant(in, now); err == nil {
			t.Errorf("%q is %s, want an error", in, got)
		}
	}
	if got, err := timetext.Time("24h"); err == nil {
		t.Errorf("how long ago is the time %s", got)
	}
}

// A bare number means the same number of seconds, and without days only durations of Go are
// accepted.
func FuzzDuration(f *testing.F) {
	for _, s := range []string{"0", "30", "1.5", "-1", "1m30s", ".", "1e3", "9223372037", "1d", "1d12h", "-0d", "106751d23h47m16.9s"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		got, err := timetext.Duration(s)
		bare, bareErr := time.ParseDuration(s + "s")
		whole, wholeErr := time.ParseDuration(s)
		switch {
		case err != nil && wholeErr == nil:
			t.Errorf("%q is a duration, and refused", s)
		case err != nil:
		case wholeErr == nil && got != whole:
			t.Errorf("%q is %s, want %s", s, got, whole)
		case wholeErr != nil && bareErr == nil && got != bare:
			t.Errorf("%q is %s, want %s", s, got, bare)
		case s[0] == '-' && got > 0 || s[0] != '-' && got < 0:
			t.Errorf("%q is %s", s, got)
		}
	})
}
