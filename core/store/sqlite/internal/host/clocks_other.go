//go:build !linux

package host

import (
	"errors"
	"time"
)

// Without these every lease runs its full time again after a restart, which is late
// but never early.

func sinceBoot() (time.Duration, error) { return 0, errors.ErrUnsupported }

func bootID() (string, error) { return "", errors.ErrUnsupported }
