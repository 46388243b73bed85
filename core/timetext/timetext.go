// Package timetext parses times and durations as people write them, in request parameters,
// flags and settings alike.
package timetext

import (
	"errors"
	"math"
	"strconv"
	"strings"
	"time"
)

// Hints for a text that cannot be parsed.
const (
	WantDuration = `a duration like "90s", "1h30m" or "1d", or a number of seconds`
	WantTime     = `a time like "2026-01-02T15:04:05Z", or a date like "2026-01-02", which is midnight UTC`
	WantInstant  = `a time like "2026-01-02T15:04:05Z", a date like "2026-01-02", which is midnight UTC, or how long ago with its unit, like "24h" or "7d"`
)

var (
	errNotADuration = errors.New("is not a duration")
	errNotATime     = errors.New("is not a time")
)

const day = 24 * time.Hour

// Duration parses a Go duration ("90s", "1h30m"), which may begin with whole days ("1d",
// "1d12h"), or a number of seconds with optional decimals ("90", "1.5"). It may be
// negative. A day has 24 hours.
func Duration(s string) (time.Duration, error) {
	if bareNumber(s) {
		s += "s"
	}
	days, rest, is := strings.Cut(s, "d")
	if !is {
		d, err := time.ParseDuration(s)
		if err != nil {
			return 0, errNotADuration
		}
		return d, nil
	}
	return withDays(days, rest)
}

func withDays(days, rest string) (time.Duration, error) {
	days, negative := strings.CutPrefix(days, "-")
	n, err := strconv.ParseUint(days, 10, 64)
	if err != nil || n > uint64(math.MaxInt64/day) || !digitsFirst(days) || rest != "" && !digitsFirst(rest) {
		return 0, errNotADuration
	}
	d := time.Duration(n) * day
	if rest != "" {
		more, err := time.ParseDuration(rest)
		if err != nil || more > math.MaxInt64-d {
			return 0, errNotADuration
		}
		d += more
	}
	if negative {
		d = -d
	}
	return d, nil
}

// digitsFirst refuses a second sign.
func digitsFirst(s string) bool { return s != "" && (s[0] >= '0' && s[0] <= '9' || s[0] == '.') }

func bareNumber(s string) bool {
	for i := 0; i < len(s); i++ {
		if (s[i] < '0' || s[i] > '9') && s[i] != '.' && s[i] != '-' {
			return false
		}
	}
	return s != "" && s != "0"
}

// Time parses an RFC 3339 time ("2026-01-02T15:04:05Z"), or a date ("2026-01-02"), which is
// midnight UTC. It refuses times before 1970: the zero time of a program is not a time.
func Time(s string) (time.Time, error) {
	t, err := time.Parse(time.RFC3339, s)
	if err != nil {
		t, err = time.Parse(time.DateOnly, s)
	}
	if err != nil || t.Year() < 1970 {
		return time.Time{}, errNotATime
	}
	return t, nil
}

// Instant parses a [Time], or an age before now as a [Duration] that is not negative and
// has a unit: a number alone could be a year, a date or a Unix time.
func Instant(s string, now time.Time) (time.Time, error) {
	if t, err := Time(s); err == nil {
		return t, nil
	}
	ago, err := Duration(s)
	if err != nil || ago < 0 || bareNumber(s) {
		return time.Time{}, errNotATime
	}
	return now.Add(-ago), nil
}
