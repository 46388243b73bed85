//go:build !linux

package host

// CheckSpace leaves it to the writing to find out whether there is space.
func CheckSpace(string, int64) error { return nil }

// InMemory is false: the system does not say.
func InMemory(string) bool { return false }

// FreeSpace is not known.
func FreeSpace(string) (free int64, known bool) { return 0, false }
