//go:build !linux

package child

import "syscall"

// attributes is empty: the system cannot tie a child to its parent.
func attributes() *syscall.SysProcAttr { return nil }
