package peer

import "syscall"

// ownGroup keeps a ctrl-C in the terminal from the server: the command itself stops it. If the
// command is killed, the system ends the server, too.
func ownGroup() *syscall.SysProcAttr {
	return &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGTERM}
}
