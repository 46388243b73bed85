//go:build unix

package filelimit

import "syscall"

// Raise tries to let the process have need files open, and returns how many it may have,
// at most need. Going over the hard limit takes a privilege; up to there the Go runtime
// has gone already.
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

// set exists because FreeBSD counts with a sign.
func set[T int64 | uint64](limit *T, n uint64) { *limit = T(n) }
