//go:build !unix

package archive

// mayWrite returns nil: only a write tells.
func mayWrite(string) error { return nil }
