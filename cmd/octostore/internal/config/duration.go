package config

import (
	"errors"
	"math"
	"strconv"
	"time"
)

// ParseDuration reads a Go duration ("90s", "1h30m") or a number of seconds
// ("90"). It refuses negative durations and fractions of a millisecond, which
// nothing here can keep.
func ParseDuration(s string) (time.Duration, error) {
	d, err := time.ParseDuration(s)
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
