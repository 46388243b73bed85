//go:build unix

package files

import "syscall"

// withoutWaiting keeps open from waiting for the other end of a pipe.
const withoutWaiting = syscall.O_NONBLOCK
