//go:build !linux

package boottime

import "time"

// uptime returns the time since the machine was started, which this system does not tell.
func uptime() (time.Duration, bool) { return 0, false }
