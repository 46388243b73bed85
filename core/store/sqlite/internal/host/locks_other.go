//go:build !unix

package host

import (
	"errors"
	"os"
)

func tryLock(*os.File) (bool, error) { return false, errors.ErrUnsupported }

// isLocked is false: no server runs on such a system.
func isLocked(*os.File) (bool, error) { return false, nil }

// HasInodeLocks reports whether the system has locks for [InodeLock].
const HasInodeLocks = false

func tryLockByte(*os.File, int64) (bool, error) { return false, errors.ErrUnsupported }

func isLockedByte(*os.File, int64) (bool, error) { return false, errors.ErrUnsupported }
