package host

import (
	"fmt"
	"os"

	"github.com/octostore/octostore/core/files"
)

// InodeLock is the lock on the database file itself, beside the one on PATH-lock. That
// one goes by the name of the file; this one stays with the file under every other
// name: a bind mount, a hard link, a lock file that was deleted. On systems without
// open file description locks it locks nothing.
//
// Its descriptor stays open until SQLite has closed the file: where SQLite had to use
// the older locks of POSIX, closing any descriptor of a file drops them all.
type InodeLock struct {
	f *os.File // nil: this system has no such lock
}

// inodeByte is the byte that is locked. It is far beyond the 512 bytes from 0x40000000
// on that SQLite locks, and beyond every file.
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
		return InodeLock{}, fmt.Errorf("%w, which opened the file by another name, or whose %s-lock was deleted", ErrInUse, path)
	}
	return InodeLock{f}, nil
}

// inodeLocked reports whether a server has the file at path open, by whatever name.
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

// Held reports whether no other server can have the file open.
func (l InodeLock) Held() bool { return l.f != nil }

// File is the database file, opened before SQLite opened it. Only if the lock is held.
func (l InodeLock) File() *os.File { return l.f }

// Release gives the lock back.
func (l InodeLock) Release() {
	if l.f != nil {
		l.f.Close()
	}
}
