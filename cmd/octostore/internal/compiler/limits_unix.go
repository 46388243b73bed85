//go:build linux || darwin

package compiler

import (
	"syscall"
	"time"
)

// holdTo has the system end this process if its parent cannot. Both limits are
// looser than those that are watched, which have the better words.
func holdTo(l Limits) {
	seconds := uint64((l.Processor+time.Second-1)/time.Second) + 2
	lower(syscall.RLIMIT_CPU, seconds)
	if slowdown == 1 { // the race detector has a lot of memory that it does not use
		lower(syscall.RLIMIT_DATA, 2*uint64(l.Memory)) // a Go program has more than it uses
	}
	lower(syscall.RLIMIT_CORE, 0)
}

// lower lowers a limit. One that is lower already stays.
func lower(resource int, most uint64) {
	var l syscall.Rlimit
	if syscall.Getrlimit(resource, &l) != nil {
		return
	}
	l.Cur, l.Max = min(l.Cur, most), min(l.Max, most)
	_ = syscall.Setrlimit(resource, &l)
}
