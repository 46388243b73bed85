//go:build !(linux || darwin)

package compiler

// holdTo does nothing: the parent process enforces the limits.
func holdTo(Limits) {}
