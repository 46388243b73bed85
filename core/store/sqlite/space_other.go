//go:build !linux

package sqlite

// checkSpace leaves it to the writing to find out whether there is space.
func checkSpace(string, int64) error { return nil }

func volatile(string) bool { return false }

func space(string) (free int64, known bool) { return 0, false }
