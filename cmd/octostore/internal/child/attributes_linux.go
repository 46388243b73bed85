package child

import "syscall"

// attributes keeps a ctrl-C in the terminal from the child: the command itself stops its
// children cleanly. If the command is killed, the system kills the child, too.
func attributes() *syscall.SysProcAttr {
	return &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGTERM}
}
