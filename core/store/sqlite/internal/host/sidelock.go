package host

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"strconv"
	"strings"
)

// ErrInUse says that another server has the database open.
var ErrInUse = errors.New("the database is in use by another server")

// SideLock makes this process the only one that writes to a database. It is a lock on a
// file beside the database. It belongs to the open file, so it excludes a second store in
// the same process, too, and the system drops it when the process dies. The file stays,
// unless it was made for a database that is then refused; so a store that has locked the
// file checks that it still exists.
type SideLock struct {
	f    *os.File
	made bool // the file did not exist before
}

// TakeSideLock returns the lock for the database at path, or [ErrInUse].
func TakeSideLock(path string) (*SideLock, error) {
	name := path + "-lock"
	for range 100 {
		l, err := openSideLock(name)
		if err != nil {
			return nil, err
		}
		taken, err := l.take()
		if taken {
			return l, nil
		}
		l.Release()
		if err != nil {
			return nil, err
		}
	}
	return nil, fmt.Errorf("%s is replaced again and again", name)
}

// take locks the file. It returns false without an error if the lock does not count,
// because a refused start removed the file meanwhile.
func (l *SideLock) take() (taken bool, err error) {
	free, err := tryLock(l.f)
	if err != nil {
		return false, fmt.Errorf("lock %s: %w", l.f.Name(), err)
	}
	if !free {
		return false, fmt.Errorf("%w%s (%s is locked)", ErrInUse, owner(l.f), l.f.Name())
	}
	if !l.isNamed() {
		return false, nil
	}
	// The number is for people; the lock does not depend on it.
	l.f.Truncate(0)
	l.f.WriteAt([]byte(strconv.Itoa(os.Getpid())+"\n"), 0)
	return true, nil
}

func openSideLock(name string) (*SideLock, error) {
	f, err := os.OpenFile(name, os.O_RDWR|os.O_CREATE|os.O_EXCL, 0o600)
	if err == nil {
		return &SideLock{f: f, made: true}, nil
	}
	if errors.Is(err, fs.ErrExist) {
		f, err = os.OpenFile(name, os.O_RDWR|os.O_CREATE, 0o600)
	}
	if err != nil {
		return nil, err
	}
	return &SideLock{f: f}, nil
}

// isNamed reports whether the name still leads to the locked file.
func (l *SideLock) isNamed() bool {
	mine, err := l.f.Stat()
	if err != nil {
		return false
	}
	named, err := os.Stat(l.f.Name())
	return err == nil && os.SameFile(mine, named)
}

// owner names the process that holds the lock, if the file tells.
func owner(f *os.File) string {
	b, _ := io.ReadAll(io.LimitReader(f, 32))
	pid, err := strconv.Atoi(strings.TrimSpace(string(b)))
	if err != nil {
		return ""
	}
	return fmt.Sprintf(", process %d", pid)
}

// Stat describes the locked file.
func (l *SideLock) Stat() (os.FileInfo, error) { return l.f.Stat() }

// CopyOwner gives the file that was made for the lock the owner of another file; see
// [CopyOwner].
func (l *SideLock) CopyOwner(from string) error {
	if !l.made {
		return nil
	}
	return CopyOwner(from, l.f.Name())
}

// Release releases the lock.
func (l *SideLock) Release() { l.f.Close() }

// Abandon is Release for a refused database: it removes the lock file if this store made
// it.
func (l *SideLock) Abandon() {
	if l.made {
		os.Remove(l.f.Name())
	}
	l.Release()
}
