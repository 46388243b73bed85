// Package memory gives WebAssembly instances their linear memory.
//
// It promises that the memory of an instance goes back to the operating system as soon as the
// instance is closed, where the system can do that, and that growing never copies.
package memory

import "sync/atomic"

// Linear is the memory of one instance. It bypasses the garbage collector, which would free the memory
// of trapped instances late, when many have piled up.
type Linear struct {
	all  []byte
	used uint64        // bytes the guest has
	kept bool          // the system did not provide it; the garbage collector frees it
	held *atomic.Int64 // counts the bytes of all instances of the policy; nil: no counter
}

// NewLinear returns empty memory, which adds its size to held.
func NewLinear(held *atomic.Int64) *Linear { return &Linear{held: held} }

// Reserve takes address space for the maximum size. Untouched pages take no memory.
func (m *Linear) Reserve(most uint64) {
	if most == 0 {
		return
	}
	all, err := mapMemory(most)
	if err != nil { // address space is limited, or the system has no such call
		all, m.kept = make([]byte, most), true
	}
	m.all = all
}

// Reallocate returns memory of this size, nil if it exceeds the maximum.
func (m *Linear) Reallocate(size uint64) []byte {
	if size > uint64(len(m.all)) {
		return nil
	}
	if fresh := m.all[min(m.used, size):size]; len(fresh) > 0 && !m.kept {
		// Populate the pages here, where the garbage collector can stop the world, and not by
		// page faults of the guest.
		populate(fresh)
	}
	m.count(size)
	return m.all[:size:size]
}

// Free returns the memory to the system. No-op if already freed.
func (m *Linear) Free() {
	if m.all != nil && !m.kept {
		unmapMemory(m.all)
	}
	m.all = nil
	m.count(0)
}

// count records the size.
func (m *Linear) count(size uint64) {
	if m.held != nil {
		m.held.Add(int64(size) - int64(m.used))
	}
	m.used = size
}
