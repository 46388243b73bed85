//go:build !(linux || darwin)

package compile

// tryExecutableMemory does not know: a runtime that fails shows it; see openIn.
func tryExecutableMemory() error { return nil }
