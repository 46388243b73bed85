package config

import (
	"errors"
	"math"
	"strconv"
	"strings"
	"time"
)

// ParseDuration reads a Go duration ("90s", "1h30m"), a number of days ("30d") or a
// number of seconds ("90"). It refuses negative durations and fractions of a millisecond, which
// nothing here can keep.
func ParseDuration(s string) (time.Duration, error) {
	d, err := time.ParseDuration(s)
	if days, is := strings.CutSuffix(s, "d"); is {
		d, err = parseDays(days)
	}
	if err != nil {
		d, err = parseSeconds(s)
	}
	if err != nil {
		return 0, errors.New("is not a duration")
	}
	if d < 0 {
		return 0, errors.New("is negative")
	}
	if d%time.Millisecond != 0 {
		return 0, errors.New("has a fraction of a millisecond")
	}
	return d, nil
}

func parseDays(s string) (time.Duration, error) {
	const day = 24 * time.Hour
	n, err := strconv.ParseInt(s, 10, 64)
	if err == nil && (n > int64(math.MaxInt64/day) || n < 0) {
		err = errors.New("out of range")
	}
	return time.Duration(n) * day, err
}

func parseSeconds(s string) (time.Duration, error) {
	seconds, err := strconv.ParseFloat(s, 64)
	if err != nil {
		return 0, err
	}
	nanos := math.Round(seconds*1e3) * 1e6
	if math.IsNaN(nanos) || math.Abs(nanos) >= math.MaxInt64 {
		return 0, errors.New("out of range")
	}
	return time.Duration(nanos), nil
}
