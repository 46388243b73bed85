//go:build unix

package host

import (
	"cmp"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"

	"golang.org/x/sys/unix"

	"github.com/octostore/octostore/core/files"
)

// Resolve returns the one path that all names of a database file lead to, so that a
// symbolic link cannot bypass the side lock.
func Resolve(path string) (string, error) {
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

// CheckNames refuses a file that is mounted by itself, and one with several names. Unlike
// symbolic links, hard links do not lead to one path: each name would have a side lock and
// a write-ahead log of its own.
func CheckNames(path string) error {
	return cmp.Or(checkMounts(path), checkLinks(path))
}

// checkMounts refuses a database of which a single file is mounted, as by docker -v
// host.db:/data/octostore.db. The write-ahead log, which holds the newest commits, would
// stay in the folder that is not mounted, and be lost with it.
func checkMounts(path string) error {
	for _, suffix := range []string{"", "-wal", "-shm"} {
		alone, err := mountedAlone(path + suffix)
		if err != nil {
			return err
		}
		if alone {
			return fmt.Errorf(
				"the file %s%s is mounted by itself, so the write-ahead log and the lock file would stay outside of the mount and be lost; mount the folder that contains it instead (docker run -v FOLDER:%s)",
				path,
				suffix,
				filepath.Dir(path),
			)
		}
	}
	return nil
}

func checkLinks(path string) error {
	fi, err := os.Stat(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	if err := files.CheckRegular(path, fi); err != nil {
		return err
	}
	stat, ok := fi.Sys().(*syscall.Stat_t)
	if ok && stat.Nlink > 1 {
		return fmt.Errorf(
			"the file has %d names (hard links), and servers that open it under different names would destroy it; remove all names but one, or copy the file",
			stat.Nlink,
		)
	}
	return nil
}

// MayWrite returns why this process may not write to a file or folder; nil: it may. It asks
// the system, which knows modes, access lists and mounts.
func MayWrite(path string) error {
	return unix.Faccessat(unix.AT_FDCWD, path, unix.W_OK, unix.AT_EACCESS)
}

// SameDisk reports whether two folders are on one file system.
func SameDisk(a, b string) bool {
	first, err := os.Stat(a)
	second, err2 := os.Stat(b)
	if err != nil || err2 != nil {
		return false
	}
	one, ok := first.Sys().(*syscall.Stat_t)
	two, ok2 := second.Sys().(*syscall.Stat_t)
	return ok && ok2 && one.Dev == two.Dev
}

// Supported returns why this system cannot keep the promises of a store; nil: it can.
func Supported() error { return nil }

// CopyOwner gives a file the owner and the group of another, if this process runs as root:
// what root puts in the place of a file its user has to be able to open.
func CopyOwner(from, to string) error {
	if os.Geteuid() != 0 {
		return nil
	}
	fi, err := os.Stat(from)
	if err != nil {
		return err
	}
	stat, ok := fi.Sys().(*syscall.Stat_t)
	if !ok {
		return nil
	}
	return os.Chown(to, int(stat.Uid), int(stat.Gid))
}
