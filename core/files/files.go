// Package files reads the files that settings name: secrets, certificates, manifests,
// modules. It also replaces files in one step ([Replace], [Draft]).
//
// Only regular files are read. A named pipe keeps a reader waiting for a writer, and a device
// may have no end: both could hang a server at its start, or at the reload that should
// revoke a token. The size of what is read is limited. Symbolic links are followed.
package files

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
)

// ErrNotRegular is returned for a path that is not that of a regular file.
var ErrNotRegular = errors.New("not a regular file")

// ErrTooLarge is returned for a file that is larger than the limit.
var ErrTooLarge = errors.New("too large")

// Open opens a regular file for reading, without blocking. The caller closes it. Errors:
// [ErrNotRegular], and those of the file system; they name the path.
func Open(path string) (*os.File, fs.FileInfo, error) {
	info, err := os.Stat(path) // opening a pipe or a device can have side effects
	if err != nil {
		return nil, nil, asOfOpen(err)
	}
	if err := CheckRegular(path, info); err != nil {
		return nil, nil, err
	}
	f, err := os.OpenFile(path, os.O_RDONLY|withoutWaiting, 0)
	if err != nil {
		return nil, nil, err
	}
	if info, err = f.Stat(); err == nil {
		err = CheckRegular(path, info) // it may have been replaced meanwhile
	}
	if err != nil {
		f.Close()
		return nil, nil, err
	}
	return f, info, nil
}

// asOfOpen gives the error the operation that the caller asked for.
func asOfOpen(err error) error {
	if e, ok := errors.AsType[*fs.PathError](err); ok {
		return &fs.PathError{Op: "open", Path: e.Path, Err: e.Err}
	}
	return err
}

// Read returns the content of a regular file of at most this many bytes. Errors: those of
// [Open], and [ErrTooLarge].
func Read(path string, most int64) ([]byte, error) {
	f, _, err := Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	return readUpTo(f, path, most)
}

// readUpTo limits what it reads; it does not trust the size of the file.
func readUpTo(f *os.File, path string, most int64) ([]byte, error) {
	text, err := io.ReadAll(io.LimitReader(f, most+1))
	if err != nil {
		return nil, err
	}
	if int64(len(text)) > most {
		return nil, fmt.Errorf("%s has more than %d bytes: %w", path, most, ErrTooLarge)
	}
	return text, nil
}

// CheckRegular returns nil for a regular file, else an [ErrNotRegular] that names the kind of
// file.
func CheckRegular(path string, info fs.FileInfo) error {
	if info.Mode().IsRegular() {
		return nil
	}
	return fmt.Errorf("%s is %s, %w", path, kind(info.Mode()), ErrNotRegular)
}

func kind(mode fs.FileMode) string {
	switch {
	case mode.IsDir():
		return "a folder"
	case mode&fs.ModeNamedPipe != 0:
		return "a named pipe (FIFO)"
	case mode&fs.ModeSocket != 0:
		return "a socket"
	case mode&fs.ModeDevice != 0:
		return "a device"
	}
	return "something else"
}
