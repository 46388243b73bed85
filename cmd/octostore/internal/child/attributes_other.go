//go:build !linux

package child

import "syscall"

// attributes is empty where the system has no way to tie a child to its parent.
func attributes() *syscall.SysProcAttr { return nil }
