//go:build unix

package filelimit

import "syscall"

// Raise tries to raise the file descriptor limit to need, and returns the new limit, at
// most need. The Go runtime has raised it to the hard limit already; more takes a
// privilege.
func Raise(need uint64) uint64 {
	var limit syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_NOFILE, &limit); err != nil || uint64(limit.Cur) >= need {
		return need
	}
	raised := limit
	set(&raised.Cur, need)
	set(&raised.Max, max(need, uint64(limit.Max)))
	if err := syscall.Setrlimit(syscall.RLIMIT_NOFILE, &raised); err != nil {
		return uint64(limit.Cur)
	}
	return need
}

// set exists because FreeBSD has signed limits.
func set[T int64 | uint64](limit *T, n uint64) { *limit = T(n) }
