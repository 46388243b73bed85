//go:build !unix

package etcdtest

import "os"

// There is no way to pause a process here; [program] skips the tests before.
var stopSignal, contSignal = os.Interrupt, os.Interrupt
