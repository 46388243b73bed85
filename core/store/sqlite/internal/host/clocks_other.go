//go:build !linux

package host

import (
	"errors"
	"time"
)

// Without these functions every lease runs its full time again after a restart: late, but
// never early.

func sinceBoot() (time.Duration, error) { return 0, errors.ErrUnsupported }

func bootID() (string, error) { return "", errors.ErrUnsupported }
