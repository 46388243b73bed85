package compile

import (
	"errors"
	"runtime"
)

// errNoCompiler is the error for processors that the runtime has no compiler for.
var errNoCompiler = errors.New("there is no compiler for " + runtime.GOARCH)

// MachineCodeMissing is [NoMachineCode], which tests replace.
var MachineCodeMissing = NoMachineCode

// NoMachineCode returns an error if this process cannot make and run machine code: the runtime would
// panic later.
func NoMachineCode() error {
	if runtime.GOARCH != "amd64" && runtime.GOARCH != "arm64" {
		return errNoCompiler
	}
	return tryExecutableMemory()
}
