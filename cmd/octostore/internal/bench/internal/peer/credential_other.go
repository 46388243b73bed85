//go:build !unix

package peer

import "syscall"

func attributes(string, bool) (*syscall.SysProcAttr, error) { return nil, nil }
