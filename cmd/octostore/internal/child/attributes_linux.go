package child

import "syscall"

// attributes keeps a ctrl-C on the terminal to the command itself, which then
// stops its children in order, and ends them with it should it be killed.
func attributes() *syscall.SysProcAttr {
	return &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGTERM}
}
