package compile

import (
	"errors"
	"runtime"
)

// errNoCompiler says that the runtime has no compiler for this processor.
var errNoCompiler = errors.New("there is no compiler for " + runtime.GOARCH)

// MachineCodeMissing is [NoMachineCode]. Only tests set it, to see what happens without.
var MachineCodeMissing = NoMachineCode

// NoMachineCode returns why this process cannot make and run machine code, and nil if it
// can. The runtime itself would panic later.
func NoMachineCode() error {
	if runtime.GOARCH != "amd64" && runtime.GOARCH != "arm64" {
		return errNoCompiler
	}
	return tryExecutableMemory()
}
