// Package filelock keeps two processes from writing the same file. The lock belongs to the
// open file, and ends when the file is closed or the process ends.
package filelock

import "errors"

// ErrLocked says that another process, or another open file of this one, holds the lock.
var ErrLocked = errors.New("the file is locked")
