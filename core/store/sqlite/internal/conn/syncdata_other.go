//go:build !linux

package conn

import "modernc.org/libc"

// syncData is for Linux only: other systems sync as SQLite does.
func syncData(*libc.TLS, uintptr) (rc int32, done bool) { return 0, false }
