//go:build unix

package sqlite

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"
)

// resolve returns the one path all names of a database file lead to, so that a
// symbolic link is no way around the side lock.
func resolve(path string) (string, error) {
	if path == "" {
		return "", errors.New("no path given")
	}
	path, err := filepath.Abs(path)
	if err != nil {
		return "", err
	}
	real, err := filepath.EvalSymlinks(path)
	if err == nil {
		return real, nil
	}
	if target, e := os.Readlink(path); e == nil {
		return "", fmt.Errorf("it is a symbolic link to %s: %w", target, err)
	}
	dir, err := filepath.EvalSymlinks(filepath.Dir(path))
	if err != nil {
		return "", err
	}
	return filepath.Join(dir, filepath.Base(path)), nil
}

// checkNames refuses a file with several names. Unlike symbolic links they do not
// lead to one of them: under each the file would have a side lock of its own, and a
// write-ahead log that the others know nothing of.
func checkNames(path string) error {
	fi, err := os.Stat(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	stat, ok := fi.Sys().(*syscall.Stat_t)
	if ok && fi.Mode().IsRegular() && stat.Nlink > 1 {
		return fmt.Errorf("the file has %d names (hard links), and servers that open it by different ones would destroy it; remove all names but one, or copy the file", stat.Nlink)
	}
	return nil
}
