//go:build !(linux || darwin)

package compile

// tryExecutableMemory checks nothing here: openIn notices if the runtime fails.
func tryExecutableMemory() error { return nil }
