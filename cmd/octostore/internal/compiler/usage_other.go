//go:build !linux

package compiler

import "time"

// usage is unknown: the deadline ends a process here.
func usage(int) (processor time.Duration, memory int64, known bool) { return 0, 0, false }
