//go:build unix

package server

import (
	"os"
	"syscall"
)

// hangUp sends this process SIGHUP.
func hangUp() error { return syscall.Kill(os.Getpid(), syscall.SIGHUP) }
