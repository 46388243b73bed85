//go:build linux || darwin

package compiler

import (
	"syscall"
	"time"
)

// holdTo lets the system kill this process if its parent does not. Both limits are looser
// than those that the parent watches, which give better errors.
func holdTo(l Limits) {
	seconds := uint64((l.Processor+time.Second-1)/time.Second) + 2
	lower(syscall.RLIMIT_CPU, seconds)
	if slowdown == 1 { // the race detector has a lot of memory that it does not use
		lower(syscall.RLIMIT_DATA, 2*uint64(l.Memory)) // a Go program has more than it uses
	}
	lower(syscall.RLIMIT_CORE, 0)
}

// lower lowers a limit, and leaves one alone that is lower already.
func lower(resource int, most uint64) {
	var l syscall.Rlimit
	if syscall.Getrlimit(resource, &l) != nil {
		return
	}
	l.Cur, l.Max = min(l.Cur, most), min(l.Max, most)
	_ = syscall.Setrlimit(resource, &l)
}
