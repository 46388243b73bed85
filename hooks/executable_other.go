//go:build !(linux || darwin)

package hooks

// tryExecutableMemory does not know: a runtime that fails shows it; see openEngineIn.
func tryExecutableMemory() error { return nil }
