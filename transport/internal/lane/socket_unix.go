//go:build unix

package lane

import "syscall"

// canTry says that a socket can be read without waiting.
const canTry = true

func readSocket(fd uintptr, to []byte) (int, error) {
	for {
		n, err := syscall.Read(int(fd), to)
		if err != syscall.EINTR {
			return n, err
		}
	}
}

func wouldBlock(err error) bool { return err == syscall.EAGAIN } //nolint:errorlint // it is what the system returned
