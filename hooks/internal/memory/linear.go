// Package memory gives WebAssembly instances their linear memory.
//
// It promises that the memory of an instance goes back to the operating system as soon as the
// instance is closed, where the system can do that, and that growing never copies.
package memory

import "sync/atomic"

// Linear is the memory of one instance. It comes from the system and goes back to it
// at once: that of instances that trapped, which are thrown away, would otherwise stay
// until the garbage collector comes by, many of them at a time.
type Linear struct {
	all  []byte
	used uint64        // bytes the guest has
	kept bool          // it could not be had from the system, and is left to the collector
	held *atomic.Int64 // counts the bytes of all instances of the policy; nil: nothing does
}

// NewLinear returns memory whose size is counted in held as well, and takes none yet.
func NewLinear(held *atomic.Int64) *Linear { return &Linear{held: held} }

// Reserve takes the most a guest may have; what it does not touch takes no space.
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

// Reallocate returns so much of it, and nil if there is not so much.
func (m *Linear) Reallocate(size uint64) []byte {
	if size > uint64(len(m.all)) {
		return nil
	}
	if fresh := m.all[min(m.used, size):size]; len(fresh) > 0 && !m.kept {
		// Done here, and not page by page when the guest comes to them: the world can be
		// stopped meanwhile. Where that is not known, it is done then after all.
		populate(fresh)
	}
	m.count(size)
	return m.all[:size:size]
}

// Free gives it back; again, it does nothing.
func (m *Linear) Free() {
	if m.all != nil && !m.kept {
		unmapMemory(m.all)
	}
	m.all = nil
	m.count(0)
}

// count notes how many bytes the guest has.
func (m *Linear) count(size uint64) {
	if m.held != nil {
		m.held.Add(int64(size) - int64(m.used))
	}
	m.used = size
}
