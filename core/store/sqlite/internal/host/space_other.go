//go:build !linux

package host

// CheckSpace returns nil: the write finds out whether there is space.
func CheckSpace(string, int64) error { return nil }

// InMemory returns false: the system does not say.
func InMemory(string) bool { return false }

// FreeSpace returns that it is not known.
func FreeSpace(string) (free int64, known bool) { return 0, false }
