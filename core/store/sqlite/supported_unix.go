//go:build unix

package sqlite

// supported reports why this system cannot keep the promises of a [Store]; nil: it can.
func supported() error { return nil }
