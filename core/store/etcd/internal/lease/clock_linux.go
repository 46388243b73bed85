package lease

import (
	"time"

	"golang.org/x/sys/unix"

	"github.com/octostore/octostore/core/boottime"
)

// Now returns the time on a clock that never goes back and counts suspends. It costs less
// than a microsecond.
func Now() time.Duration {
	var ts unix.Timespec
	if err := unix.ClockGettime(unix.CLOCK_BOOTTIME, &ts); err != nil {
		return boottime.Now() // of a kernel that is older than the clock: always, or never
	}
	return time.Duration(ts.Nano())
}
