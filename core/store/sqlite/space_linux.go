package sqlite

import (
	"os"

	"golang.org/x/sys/unix"
)

// checkSpace refuses to write n bytes into a directory where there are fewer to be
// had, as far as the file system says. Without it every try to put the reserve back
// would take the last bytes of a full disk for a moment, from everybody.
func checkSpace(dir string, n int64) error {
	if free, known := freeSpace(dir); known && free < n {
		return &os.PathError{Op: "reserve space in", Path: dir, Err: unix.ENOSPC}
	}
	return nil
}

// inMemory is true of file systems that are kept in memory.
func inMemory(dir string) bool {
	var fs unix.Statfs_t
	err := unix.Statfs(dir, &fs)
	return err == nil && (int64(fs.Type) == unix.TMPFS_MAGIC || int64(fs.Type) == unix.RAMFS_MAGIC)
}

// freeSpace is what the file system says there is left, if it says so.
func freeSpace(dir string) (free int64, known bool) {
	var fs unix.Statfs_t
	if err := unix.Statfs(dir, &fs); err != nil || fs.Blocks == 0 {
		return 0, false
	}
	return int64(fs.Bavail) * int64(fs.Bsize), true
}
