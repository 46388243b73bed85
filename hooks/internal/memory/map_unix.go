//go:build unix

package memory

import "syscall"

// mapMemory takes address space. Pages take memory when they are touched.
func mapMemory(size uint64) ([]byte, error) {
	const how = syscall.MAP_ANON | syscall.MAP_PRIVATE | syscall.MAP_NORESERVE
	return syscall.Mmap(-1, 0, int(size), syscall.PROT_READ|syscall.PROT_WRITE, how)
}

// unmapMemory returns memory of [mapMemory], for which it cannot fail.
func unmapMemory(all []byte) { _ = syscall.Munmap(all) }
