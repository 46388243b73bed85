// Package boottime is the clock on which a client counts a lease: one that counts the time
// for which the machine was suspended, which Go's monotonic clock does not.
package boottime

import (
	"sync/atomic"
	"time"
)

// Behind is the most by which the clock of one process is behind that of another on the same
// machine, where they share it: the kernel tells hundredths of a second.
const Behind = 10 * time.Millisecond

var (
	start = time.Now()

	// ahead is by how much the clock is ahead of the monotonic clock since start: the largest
	// difference seen.
	ahead atomic.Int64

	shared bool
)

func init() {
	_, shared = uptime()
	Now()
}

// Now returns the time on a clock that never goes back and counts suspends. Any goroutine
// may call it; it costs some microseconds.
//
// On Linux it is CLOCK_BOOTTIME, read from /proc/uptime, hence the same in all processes of
// the machine; it may be up to [Behind] behind. Elsewhere, and without /proc, it is the time
// since the process started: the larger of what the monotonic and the wall clock say. A wall
// clock that is set forward then moves this clock forward, too: a client gives up its lease
// early, never late.
//
// In a bubble of testing/synctest it is the bubble's clock.
func Now() time.Duration {
	reading, ok := uptime()
	now := time.Now() // after the reading: ahead is never taken for more than it is
	elapsed := now.Sub(start)
	if elapsed < 0 { // the monotonic clock cannot: this is a bubble, in the year 2000
		return time.Duration(now.UnixNano())
	}
	if !ok {
		reading = now.Round(0).Sub(start.Round(0)) // of the wall clock alone
	}
	return elapsed + largest(&ahead, reading-elapsed)
}

// Shared reports whether Now is the same clock in all processes of this machine, as on Linux.
func Shared() bool { return shared }

// largest raises seen to d, if it is less, and returns the larger.
func largest(seen *atomic.Int64, d time.Duration) time.Duration {
	for {
		s := seen.Load()
		if int64(d) <= s {
			return time.Duration(s)
		}
		if seen.CompareAndSwap(s, int64(d)) {
			return d
		}
	}
}
