package conn

import (
	"encoding/binary"
	"net"
	"os"
	"syscall"
)

// poller is an epoll instance. The runtime waits for its file as for any other, so it takes no
// thread.
type poller struct {
	file *os.File
	raw  syscall.RawConn
}

func openPoller() (*poller, error) {
	fd, err := syscall.EpollCreate1(syscall.EPOLL_CLOEXEC)
	if err != nil {
		return nil, err
	}
	if err := syscall.SetNonblock(fd, true); err != nil {
		_ = syscall.Close(fd)
		return nil, err
	}
	p := &poller{file: os.NewFile(uintptr(fd), "epoll")}
	if p.raw, err = p.file.SyscallConn(); err != nil {
		_ = p.file.Close()
		return nil, err
	}
	return p, nil
}

// leftEvents are the events of a client that has closed the connection, or its half of it.
const leftEvents = syscall.EPOLLRDHUP | syscall.EPOLLHUP | syscall.EPOLLERR

// add watches a connection under an id. Its present state is reported too, afterwards only
// changes. A connection that is closed already reports nothing.
func (p *poller) add(conn *net.TCPConn, id uint64) {
	const edges = 1 << 31 // syscall.EPOLLET is negative
	event := syscall.EpollEvent{Events: syscall.EPOLLIN | leftEvents | edges, Fd: int32(id), Pad: int32(id >> 32)}
	p.control(conn, syscall.EPOLL_CTL_ADD, &event)
}

// remove stops watching a connection. If it was closed, the system has done that already.
func (p *poller) remove(conn *net.TCPConn) { p.control(conn, syscall.EPOLL_CTL_DEL, nil) }

func (p *poller) control(conn *net.TCPConn, op int, event *syscall.EpollEvent) {
	_ = p.raw.Control(func(epoll uintptr) {
		descriptor(conn, func(fd int) { _ = syscall.EpollCtl(int(epoll), op, fd, event) })
	})
}

// run reports events until the poller is closed.
func (p *poller) run(happened func(id uint64, left bool)) {
	events := make([]syscall.EpollEvent, 64)
	_ = p.raw.Read(func(epoll uintptr) bool {
		for {
			n, err := syscall.EpollWait(int(epoll), events, 0)
			if err == syscall.EINTR {
				continue
			}
			if n <= 0 {
				return false // wait
			}
			for _, e := range events[:n] {
				happened(uint64(uint32(e.Fd))|uint64(uint32(e.Pad))<<32, e.Events&leftEvents != 0)
			}
		}
	})
}

func (p *poller) close() { _ = p.file.Close() }

// hungUp reports whether the client has closed the connection, or its half of it.
func hungUp(conn *net.TCPConn) (is bool) {
	const established = 1 // TCP_ESTABLISHED, the first byte of struct tcp_info
	descriptor(conn, func(fd int) {
		info, err := syscall.GetsockoptInt(fd, syscall.IPPROTO_TCP, syscall.TCP_INFO)
		var bytes [4]byte
		binary.NativeEndian.PutUint32(bytes[:], uint32(info))
		is = err == nil && bytes[0] != established
	})
	return is
}

// fills reports whether the bytes that were received but not read fill buf. It does not read
// them.
func fills(conn *net.TCPConn, buf []byte) (does bool) {
	descriptor(conn, func(fd int) {
		n, _, err := syscall.Recvfrom(fd, buf, syscall.MSG_PEEK|syscall.MSG_DONTWAIT)
		does = err == nil && n == len(buf)
	})
	return does
}

// descriptor calls f with the file descriptor, unless the connection is closed. It stays open
// meanwhile.
func descriptor(conn *net.TCPConn, f func(fd int)) {
	if raw, err := conn.SyscallConn(); err == nil {
		_ = raw.Control(func(fd uintptr) { f(int(fd)) })
	}
}
