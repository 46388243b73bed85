//go:build !linux

package bench

import "syscall"

// childAttributes is empty where the system has no way to tie a child to its parent.
func childAttributes() *syscall.SysProcAttr { return nil }
