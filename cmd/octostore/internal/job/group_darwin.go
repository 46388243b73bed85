package job

import (
	"errors"
	"fmt"
	"syscall"

	"golang.org/x/sys/unix"
)

// process is what the system tells about a process.
type process struct {
	started string
	ended   bool // it has not been waited for
}

// look returns what the system tells about a process; false: there is none.
func look(pid int) (process, bool) {
	p, err := unix.SysctlKinfoProc("kern.proc.pid", pid)
	if err != nil || int(p.Proc.P_pid) != pid {
		return process{}, false
	}
	const zombie = 5 // SZOMB
	return process{started: fmt.Sprint(p.Proc.P_starttime), ended: p.Proc.P_stat == zombie}, true
}

// running returns the number of processes of the group that have not ended, or 1 if there
// are any.
func (g group) running() int {
	if errors.Is(g.signal(0), syscall.ESRCH) {
		return 0
	}
	return 1
}
