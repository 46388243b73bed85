//go:build unix

package files

import "syscall"

// withoutWaiting keeps open from waiting for the other end of a pipe.
const withoutWaiting = syscall.O_NONBLOCK

// modesTell says that the mode of a file tells who may read and change it.
const modesTell = true
