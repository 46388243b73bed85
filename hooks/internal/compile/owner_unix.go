//go:build unix

package compile

import (
	"io/fs"
	"os"
	"syscall"
)

// ownedHere reports whether a file belongs to the user of this process.
func ownedHere(info fs.FileInfo) bool {
	stat, is := info.Sys().(*syscall.Stat_t)
	return is && int(stat.Uid) == os.Geteuid()
}

// writableByOthers reports whether another user may write to a file.
func writableByOthers(info fs.FileInfo) bool { return info.Mode().Perm()&0o022 != 0 }
