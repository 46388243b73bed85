//go:build unix && !linux

package host

import (
	"errors"
	"os"

	"golang.org/x/sys/unix"
)

// tryLock locks the file unless another open file has a lock on it.
func tryLock(f *os.File) (bool, error) {
	err := unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB)
	if errors.Is(err, unix.EWOULDBLOCK) {
		return false, nil
	}
	return err == nil, err
}

// isLocked reports whether another open file has a lock on the file. It has to lock the
// file itself for a moment.
func isLocked(f *os.File) (bool, error) {
	free, err := tryLock(f)
	if free {
		err = unix.Flock(int(f.Fd()), unix.LOCK_UN)
	}
	return !free, err
}

// HasInodeLocks reports whether the system has locks for [InodeLock].
const HasInodeLocks = false

func tryLockByte(*os.File, int64) (bool, error) { return false, errors.ErrUnsupported }

func isLockedByte(*os.File, int64) (bool, error) { return false, errors.ErrUnsupported }
