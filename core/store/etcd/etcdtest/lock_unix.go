//go:build linux || darwin || freebsd

package etcdtest

import (
	"os"
	"syscall"
)

// lockFile waits for the lock of a file, so that only one process builds etcd.
func lockFile(path string) (unlock func(), err error) {
	f, err := os.OpenFile(path, os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, err
	}
	if err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX); err != nil {
		_ = f.Close() // nothing was written
		return nil, err
	}
	return func() { _ = f.Close() }, nil // which unlocks it
}
