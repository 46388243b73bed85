package transport

import (
	"net"
	"syscall"
	"unsafe"
)

// unreadBytes returns how many bytes of a connection have arrived that its owner did not read yet.
func unreadBytes(c *net.TCPConn) (n int) {
	raw, err := c.SyscallConn()
	if err != nil {
		return 0
	}
	var waiting int32
	_ = raw.Control(func(fd uintptr) {
		_, _, _ = syscall.Syscall(syscall.SYS_IOCTL, fd, syscall.TIOCINQ, uintptr(unsafe.Pointer(&waiting)))
	})
	return int(waiting)
}
