package host

import (
	"fmt"
	"os"

	"github.com/octostore/octostore/core/files"
)

// InodeLock is the lock on the database file itself, beside the [SideLock] on PATH-lock.
// The side lock belongs to the name of the file. This one stays with the file under every
// other name: a bind mount, a hard link, a lock file that was deleted. On systems without
// open file description locks it locks nothing.
//
// Its descriptor stays open until SQLite has closed the file: with the older POSIX locks,
// which SQLite may have to use, closing any descriptor of a file drops all locks.
type InodeLock struct {
	f *os.File // nil: this system has no such lock
}

// inodeByte is the locked byte. It is far beyond the 512 bytes from 0x40000000 on that
// SQLite locks, and beyond the end of every file.
const inodeByte = 1 << 62

// TakeInodeLock returns the lock on the file at path, which exists, or [ErrInUse].
func TakeInodeLock(path string) (InodeLock, error) {
	if !HasInodeLocks {
		return InodeLock{}, nil
	}
	f, err := os.OpenFile(path, os.O_RDWR, 0)
	if err != nil {
		return InodeLock{}, err
	}
	free, err := tryLockByte(f, inodeByte)
	if err != nil {
		f.Close()
		return InodeLock{}, fmt.Errorf("lock %s: %w", path, err)
	}
	if !free {
		f.Close()
		return InodeLock{}, fmt.Errorf("%w, which opened the file under another name, or whose %s-lock was deleted", ErrInUse, path)
	}
	return InodeLock{f}, nil
}

// inodeLocked reports whether a server has the file at path open, under whatever name.
func inodeLocked(path string) (bool, error) {
	if !HasInodeLocks {
		return false, nil
	}
	f, _, err := files.Open(path)
	if err != nil {
		return false, err
	}
	defer f.Close()
	return isLockedByte(f, inodeByte)
}

// Held reports whether the lock is held, so that no other server can have the file open.
func (l InodeLock) Held() bool { return l.f != nil }

// File returns the database file, opened before SQLite opened it; only if the lock is held.
func (l InodeLock) File() *os.File { return l.f }

// Release releases the lock.
func (l InodeLock) Release() {
	if l.f != nil {
		l.f.Close()
	}
}
