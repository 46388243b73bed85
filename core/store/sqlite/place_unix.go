//go:build unix

package sqlite

import "golang.org/x/sys/unix"

// mayWrite asks the system, which knows of modes, lists and mounts.
func mayWrite(path string) error {
	return unix.Faccessat(unix.AT_FDCWD, path, unix.W_OK, unix.AT_EACCESS)
}
