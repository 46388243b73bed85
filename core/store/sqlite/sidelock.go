package sqlite

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"strconv"
	"strings"
)

// errLocked says that another server has the database open.
var errLocked = errors.New("the database is in use by another server")

// sideLock is what makes this process the only one that writes to a database: a
// lock on a file beside it. The lock belongs to the open file, so it excludes a
// second store in the same process too, and the system drops it when the process
// dies. The file stays, but for one that was made for a database that is then
// refused; so a store that has locked it looks whether it is still there.
type sideLock struct {
	f    *os.File
	made bool // it was not there before
}

// takeSideLock returns the lock for the database at path, or [errLocked].
func takeSideLock(path string) (*sideLock, error) {
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
		l.release()
		if err != nil {
			return nil, err
		}
	}
	return nil, fmt.Errorf("%s is replaced again and again", name)
}

// take locks the file. Where that does not count, since a start that was refused took
// the file away meanwhile, it is not taken, and there is no error.
func (l *sideLock) take() (taken bool, err error) {
	free, err := tryLock(l.f)
	if err != nil {
		return false, fmt.Errorf("lock %s: %w", l.f.Name(), err)
	}
	if !free {
		return false, fmt.Errorf("%w%s (%s is locked)", errLocked, owner(l.f), l.f.Name())
	}
	if !l.inPlace() {
		return false, nil
	}
	// The number is for people; the lock does not depend on it.
	l.f.Truncate(0)
	l.f.WriteAt([]byte(strconv.Itoa(os.Getpid())+"\n"), 0)
	return true, nil
}

func openSideLock(name string) (*sideLock, error) {
	f, err := os.OpenFile(name, os.O_RDWR|os.O_CREATE|os.O_EXCL, 0o600)
	if err == nil {
		return &sideLock{f: f, made: true}, nil
	}
	if errors.Is(err, fs.ErrExist) {
		f, err = os.OpenFile(name, os.O_RDWR|os.O_CREATE, 0o600)
	}
	if err != nil {
		return nil, err
	}
	return &sideLock{f: f}, nil
}

// inPlace reports whether the locked file is still the one of its name.
func (l *sideLock) inPlace() bool {
	mine, err := l.f.Stat()
	if err != nil {
		return false
	}
	named, err := os.Stat(l.f.Name())
	return err == nil && os.SameFile(mine, named)
}

// owner says who holds the lock, as far as the file tells.
func owner(f *os.File) string {
	b, _ := io.ReadAll(io.LimitReader(f, 32))
	pid, err := strconv.Atoi(strings.TrimSpace(string(b)))
	if err != nil {
		return ""
	}
	return fmt.Sprintf(", process %d", pid)
}

// stat describes the file that is locked.
func (l *sideLock) stat() (os.FileInfo, error) { return l.f.Stat() }

func (l *sideLock) release() { l.f.Close() }

// abandon is release for a database that is refused: nothing is left beside it that
// was not there before.
func (l *sideLock) abandon() {
	if l.made {
		os.Remove(l.f.Name())
	}
	l.release()
}
