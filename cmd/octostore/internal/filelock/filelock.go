// Package filelock keeps two processes from writing one file. The lock belongs to the
// open file, and ends with the process or when the file is closed.
package filelock

import "errors"

// ErrLocked means that another process, or another open file of this one, has the lock.
var ErrLocked = errors.New("the file is locked")
