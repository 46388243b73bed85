package job

import (
	"errors"
	"syscall"
)

// process is what the system tells about a process.
type process struct {
	started string
	ended   bool // it has not been waited for
}

// look returns what the system tells about a process; false: there is none.
func look(pid int) (process, bool) {
	err := syscall.Kill(pid, 0)
	return process{}, err == nil || err == syscall.EPERM
}

// running returns 1 if there is a process left in the group.
func (g group) running() int {
	if errors.Is(g.signal(0), syscall.ESRCH) {
		return 0
	}
	return 1
}
