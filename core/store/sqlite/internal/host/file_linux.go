package host

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// mountedAlone reports whether the file at path, which is absolute and no symbolic link, is
// mounted by itself, such as a bind mount of one file. If the kernel does not say, the
// mount table does.
func mountedAlone(path string) (bool, error) {
	var st unix.Statx_t
	err := unix.Statx(unix.AT_FDCWD, path, unix.AT_SYMLINK_NOFOLLOW, unix.STATX_BASIC_STATS, &st)
	if err == nil && st.Attributes_mask&unix.STATX_ATTR_MOUNT_ROOT != 0 {
		return st.Attributes&unix.STATX_ATTR_MOUNT_ROOT != 0, nil
	}
	if errors.Is(err, unix.ENOENT) {
		return false, nil
	}
	table, err := os.ReadFile("/proc/self/mountinfo")
	if err != nil {
		return false, fmt.Errorf("find out whether it is mounted by itself: %w", err)
	}
	return inMountTable(table, path), nil
}

// inMountTable reports whether path is a mount point, according to the lines of
// /proc/self/mountinfo. Their fifth field is the mount point.
func inMountTable(table []byte, path string) bool {
	for line := range bytes.Lines(table) {
		if fields := bytes.Fields(line); len(fields) > 4 && unescapeMount(string(fields[4])) == path {
			return true
		}
	}
	return false
}

// unescapeMount reads a path as the mount table writes it: a space, a tab, a line feed and
// a backslash are a backslash and three octal digits.
func unescapeMount(s string) string {
	var b strings.Builder
	for i := 0; i < len(s); i++ {
		if s[i] == '\\' && i+4 <= len(s) {
			if n, err := strconv.ParseUint(s[i+1:i+4], 8, 8); err == nil {
				b.WriteByte(byte(n))
				i += 3
				continue
			}
		}
		b.WriteByte(s[i])
	}
	return b.String()
}

// Map maps n bytes of the file at path into memory, shared with SQLite, which maps its
// index the same way. The descriptor stays open, see [InodeLock].
func Map(path string, n int) (Mapped, error) {
	f, err := os.Open(path)
	if err != nil {
		return Mapped{}, err
	}
	b, err := unix.Mmap(int(f.Fd()), 0, n, unix.PROT_READ, unix.MAP_SHARED)
	if err != nil {
		f.Close()
		return Mapped{}, err
	}
	return Mapped{f: f, b: b}, nil
}

// Close ends the mapping.
func (m Mapped) Close() {
	if m.f != nil {
		unix.Munmap(m.b)
		m.f.Close()
	}
}

// Exchange swaps two files of a folder in one step; an error if the file system cannot.
func Exchange(a, b string) error {
	return unix.Renameat2(unix.AT_FDCWD, a, unix.AT_FDCWD, b, unix.RENAME_EXCHANGE)
}
