package hooks

import "syscall"

// guestMemory is the memory of one instance. It comes from the system and goes back to it
// at once: that of instances that trapped, which are thrown away, would otherwise stay
// until the garbage collector comes by, many of them at a time.
type guestMemory struct {
	all  []byte
	used uint64 // bytes the guest has
	kept bool   // it could not be had from the system, and is left to the collector
}

// populateForWriting is an advice of Linux 5.14 and later.
const populateForWriting = 23

// reserve takes the most a guest may have; what it does not touch takes no space.
func (m *guestMemory) reserve(most uint64) {
	if most == 0 {
		return
	}
	const how = syscall.MAP_ANON | syscall.MAP_PRIVATE | syscall.MAP_NORESERVE
	all, err := syscall.Mmap(-1, 0, int(most), syscall.PROT_READ|syscall.PROT_WRITE, how)
	if err != nil { // address space is limited
		all, m.kept = make([]byte, most), true
	}
	m.all = all
}

// Reallocate returns so much of it, and nil if there is not so much.
func (m *guestMemory) Reallocate(size uint64) []byte {
	if size > uint64(len(m.all)) {
		return nil
	}
	if fresh := m.all[min(m.used, size):size]; len(fresh) > 0 && !m.kept {
		// Done here, and not page by page when the guest comes to them: the world can be
		// stopped meanwhile. Where that is not known, it is done then after all.
		_ = syscall.Madvise(fresh, populateForWriting)
	}
	m.used = size
	return m.all[:size:size]
}

// Free gives it back; again, it does nothing.
func (m *guestMemory) Free() {
	if m.all != nil && !m.kept {
		_ = syscall.Munmap(m.all) // it can only fail for what was not mapped
	}
	m.all = nil
}
