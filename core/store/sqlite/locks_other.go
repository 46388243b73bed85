//go:build !unix

package sqlite

import (
	"errors"
	"os"
)

func tryLock(*os.File) (bool, error) { return false, errors.ErrUnsupported }

// isLocked is false: no server runs on such a system.
func isLocked(*os.File) (bool, error) { return false, nil }

const inodesLockable = false

func tryLockByte(*os.File, int64) (bool, error) { return false, errors.ErrUnsupported }

func isLockedByte(*os.File, int64) (bool, error) { return false, errors.ErrUnsupported }
