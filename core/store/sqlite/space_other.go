//go:build !linux

package sqlite

// checkSpace leaves it to the writing to find out whether there is space.
func checkSpace(string, int64) error { return nil }

func inMemory(string) bool { return false }

func freeSpace(string) (free int64, known bool) { return 0, false }
