package hooks

import (
	"errors"
	"runtime"
)

// errNoCompiler says that the runtime has no compiler for this processor.
var errNoCompiler = errors.New("there is no compiler for " + runtime.GOARCH)

// machineCodeMissing is [noMachineCode], but for tests.
var machineCodeMissing = noMachineCode

// noMachineCode returns why this process cannot make and run machine code, and nil if it
// can. The runtime itself would panic later.
func noMachineCode() error {
	if runtime.GOARCH != "amd64" && runtime.GOARCH != "arm64" {
		return errNoCompiler
	}
	return tryExecutableMemory()
}
