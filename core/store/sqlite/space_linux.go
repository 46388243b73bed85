package sqlite

import (
	"os"

	"golang.org/x/sys/unix"
)

// checkSpace refuses to write n bytes into a directory where there are fewer to be
// had, as far as the file system says. Without it every try to put the reserve back
// would take the last bytes of a full disk for a moment, from everybody.
func checkSpace(dir string, n int64) error {
	var fs unix.Statfs_t
	if err := unix.Statfs(dir, &fs); err != nil || fs.Blocks == 0 {
		return nil // it does not say
	}
	if int64(fs.Bavail)*int64(fs.Bsize) < n {
		return &os.PathError{Op: "reserve space in", Path: dir, Err: unix.ENOSPC}
	}
	return nil
}
