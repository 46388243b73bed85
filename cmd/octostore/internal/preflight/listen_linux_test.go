package preflight

import (
	"net"
	"syscall"
	"testing"
)

// TestListenIsPlainTCP looks at the protocol of a listener. The server learns from the
// state of a TCP socket that a client has left; one of multipath TCP does not show it.
func TestListenIsPlainTCP(t *testing.T) {
	const (
		soProtocol    = 0x26
		protocolMPTCP = 262
	)
	fd, err := syscall.Socket(syscall.AF_INET, syscall.SOCK_STREAM|syscall.SOCK_CLOEXEC, protocolMPTCP)
	if err != nil {
		t.Skipf("SKIP: this system has no multipath TCP: %v", err)
	}
	_ = syscall.Close(fd)
	l, err := listen("OCTOSTORE_ADDR", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	raw, err := l.(*net.TCPListener).SyscallConn()
	if err != nil {
		t.Fatal(err)
	}
	protocol := 0
	controlled := raw.Control(func(fd uintptr) {
		protocol, err = syscall.GetsockoptInt(int(fd), syscall.SOL_SOCKET, soProtocol)
	})
	if controlled != nil || err != nil || protocol != syscall.IPPROTO_TCP {
		t.Errorf("protocol %d (%v, %v), want that of TCP, %d", protocol, controlled, err, syscall.IPPROTO_TCP)
	}
}
