package host

import (
	"os"

	"golang.org/x/sys/unix"
)

// CheckSpace returns an error if the file system says that a folder has less than n bytes
// left. Without it every try to refill the reserve would take the last bytes of a full disk
// for a moment.
func CheckSpace(dir string, n int64) error {
	if free, known := FreeSpace(dir); known && free < n {
		return &os.PathError{Op: "reserve space in", Path: dir, Err: unix.ENOSPC}
	}
	return nil
}

// InMemory reports whether a folder is on a file system in memory.
func InMemory(dir string) bool {
	var fs unix.Statfs_t
	err := unix.Statfs(dir, &fs)
	return err == nil && (int64(fs.Type) == unix.TMPFS_MAGIC || int64(fs.Type) == unix.RAMFS_MAGIC)
}

// FreeSpace returns the space left for this process, if the file system says so.
func FreeSpace(dir string) (free int64, known bool) {
	var fs unix.Statfs_t
	if err := unix.Statfs(dir, &fs); err != nil || fs.Blocks == 0 {
		return 0, false
	}
	return int64(fs.Bavail) * int64(fs.Bsize), true
}
