//go:build unix

package files

import "syscall"

// withoutWaiting makes open not wait for the other end of a pipe.
const withoutWaiting = syscall.O_NONBLOCK

// modesTell means that the mode of a file shows which users may read and change it.
const modesTell = true
