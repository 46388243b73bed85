package sqlite

import (
	"fmt"
	"io"
	"os"
	"strconv"
	"strings"
)

// sideLock is what makes this process the only one that writes to a database: a
// lock on a file beside it. The lock belongs to the open file, so it excludes a
// second store in the same process too, and the system drops it when the process
// dies. The file stays: deleting it would let two processes lock two files of one
// name.
type sideLock struct{ f *os.File }

// takeSideLock returns the lock for the database at path, or [ErrInUse].
func takeSideLock(path string) (*sideLock, error) {
	name := path + "-lock"
	f, err := os.OpenFile(name, os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, err
	}
	free, err := tryLock(f)
	if err != nil {
		f.Close()
		return nil, fmt.Errorf("lock %s: %w", name, err)
	}
	if !free {
		defer f.Close()
		return nil, fmt.Errorf("%w%s (%s is locked)", ErrInUse, owner(f), name)
	}
	// The number is for people; the lock does not depend on it.
	f.Truncate(0)
	f.WriteAt([]byte(strconv.Itoa(os.Getpid())+"\n"), 0)
	return &sideLock{f: f}, nil
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

func (l *sideLock) release() { l.f.Close() }
