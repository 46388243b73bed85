//go:build unix

package archive

import "golang.org/x/sys/unix"

// mayWrite returns nil if this process may make files in a folder.
func mayWrite(dir string) error {
	return unix.Faccessat(unix.AT_FDCWD, dir, unix.W_OK|unix.X_OK, unix.AT_EACCESS)
}
