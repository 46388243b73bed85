package config

import (
	"errors"
	"time"

	"github.com/octostore/octostore/core/timetext"
)

// ParseDuration reads a duration as [timetext.Duration] does. It refuses negative ones and
// fractions of a millisecond, which nothing here can keep.
func ParseDuration(s string) (time.Duration, error) {
	d, err := timetext.Duration(s)
	switch {
	case err != nil:
		return 0, err
	case d < 0:
		return 0, errors.New("is negative")
	case d%time.Millisecond != 0:
		return 0, errors.New("has a fraction of a millisecond")
	}
	return d, nil
}
