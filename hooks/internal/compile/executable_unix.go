//go:build linux || darwin

package compile

import (
	"fmt"
	"os"
	"syscall"
)

// tryExecutableMemory makes a written page executable, as the runtime does. A service manager or a
// kernel can forbid that.
func tryExecutableMemory() error {
	page, err := syscall.Mmap(-1, 0, os.Getpagesize(), syscall.PROT_READ|syscall.PROT_WRITE, syscall.MAP_ANON|syscall.MAP_PRIVATE)
	if err != nil {
		return fmt.Errorf("memory for machine code cannot be had: %w", err)
	}
	defer func() { _ = syscall.Munmap(page) }()
	if err := syscall.Mprotect(page, syscall.PROT_READ|syscall.PROT_EXEC); err != nil {
		return fmt.Errorf("executable memory is forbidden: %w", err)
	}
	return nil
}
