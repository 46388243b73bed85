//go:build unix

package sqlite

import (
	"time"

	"golang.org/x/sys/unix"
)

// cpuTime is the processor time of this process, checkpoints included. Unlike the elapsed
// time it depends little on the disk and on other programs.
func cpuTime() time.Duration {
	var u unix.Rusage
	if err := unix.Getrusage(unix.RUSAGE_SELF, &u); err != nil {
		return 0
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}
