// Package files reads the files that settings name: secrets, certificates, manifests,
// modules. It also replaces files in one step ([Replace], [Draft]).
//
// A path can lead to something else than a file. A named pipe keeps a reader waiting for
// a writer, a device may never end; so both would hang a server at its start, or at the
// reload that should have taken a token away. Only regular files are read, and no more
// of them than a caller asks for. Symbolic links are followed.
package files

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
)

// ErrNotRegular says that a path does not lead to a regular file.
var ErrNotRegular = errors.New("not a regular file")

// ErrTooLarge says that a file has more bytes than can be right.
var ErrTooLarge = errors.New("too large")

// Open opens a regular file for reading, without waiting for anything. The caller closes
// it. Errors: [ErrNotRegular], and those of the file system. They name the path.
func Open(path string) (*os.File, fs.FileInfo, error) {
	info, err := os.Stat(path) // opening a pipe or a device may already do something
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
		err = CheckRegular(path, info) // it may have been exchanged meanwhile
	}
	if err != nil {
		f.Close()
		return nil, nil, err
	}
	return f, info, nil
}

// asOfOpen names what the caller wanted.
func asOfOpen(err error) error {
	if e, ok := errors.AsType[*fs.PathError](err); ok {
		return &fs.PathError{Op: "open", Path: e.Path, Err: e.Err}
	}
	return err
}

// Read returns what a regular file of at most so many bytes holds. Errors: those of
// [Open], and [ErrTooLarge].
func Read(path string, most int64) ([]byte, error) {
	f, _, err := Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	return readUpTo(f, path, most)
}

// readUpTo does not believe the size a file says it has.
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

// CheckRegular returns an [ErrNotRegular] that says what a path leads to, unless it is a
// regular file.
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
