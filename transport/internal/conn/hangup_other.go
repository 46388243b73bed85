//go:build !linux

package conn

import (
	"errors"
	"net"
)

// poller needs epoll. On other systems net/http notices that a client leaves, unless the client
// has sent bytes after its request.
type poller struct{}

func openPoller() (*poller, error) { return nil, errors.ErrUnsupported }

func (*poller) add(*net.TCPConn, uint64) {}
func (*poller) remove(*net.TCPConn)      {}
func (*poller) run(func(uint64, bool))   {}
func (*poller) close()                   {}
func hungUp(*net.TCPConn) bool           { return false }
func fills(*net.TCPConn, []byte) bool    { return false }
