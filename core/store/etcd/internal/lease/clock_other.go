//go:build !linux

package lease

import (
	"time"

	"github.com/octostore/octostore/core/boottime"
)

// Now returns the time on a clock that never goes back and counts suspends.
func Now() time.Duration { return boottime.Now() }
