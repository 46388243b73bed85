package host

import (
	"os"

	"golang.org/x/sys/unix"
)

// CheckSpace refuses to write n bytes into a directory where there are fewer to be
// had, as far as the file system says. Without it every try to put the reserve back
// would take the last bytes of a full disk for a moment, from everybody.
func CheckSpace(dir string, n int64) error {
	if free, known := FreeSpace(dir); known && free < n {
		return &os.PathError{Op: "reserve space in", Path: dir, Err: unix.ENOSPC}
	}
	return nil
}

// InMemory is true of file systems that are kept in memory.
func InMemory(dir string) bool {
	var fs unix.Statfs_t
	err := unix.Statfs(dir, &fs)
	return err == nil && (int64(fs.Type) == unix.TMPFS_MAGIC || int64(fs.Type) == unix.RAMFS_MAGIC)
}

// FreeSpace is what the file system says there is left, if it says so.
func FreeSpace(dir string) (free int64, known bool) {
	var fs unix.Statfs_t
	if err := unix.Statfs(dir, &fs); err != nil || fs.Blocks == 0 {
		return 0, false
	}
	return int64(fs.Bavail) * int64(fs.Bsize), true
}
