package hooks

import (
	"os"
	"runtime"
	"syscall"
	"testing"

	"github.com/octostore/octostore/hooks/internal/compile"
)

const (
	prSetMDWE            = 65
	prGetMDWE            = 66
	mdweRefuseExecGain   = 1
	withoutExecutable    = "executable memory"
	withoutBeingAskedFor = "executable memory, unasked"
)

func init() {
	engineTests[withoutExecutable] = forbidExecutableMemory
	engineTests[withoutBeingAskedFor] = func() {
		forbidExecutableMemory()
		compile.MachineCodeMissing = func() error { return nil }
	}
}

func forbidExecutableMemory() {
	if _, _, errno := syscall.RawSyscall6(syscall.SYS_PRCTL, prSetMDWE, mdweRefuseExecGain, 0, 0, 0, 0); errno != 0 {
		panic(errno)
	}
}

// Where a service manager forbids executable memory, policies are interpreted, and all
// that is promised of them holds.
func TestInterpreterIsUsedWhereExecutableMemoryIsForbidden(t *testing.T) {
	needMDWE(t)
	runTestsWithout(t, withoutExecutable, anyEngine)
}

// The same if that does not show before the compiler fails on it.
func TestInterpreterIsUsedWhereTheCompilerPanics(t *testing.T) {
	needMDWE(t)
	runTestsWithout(t, withoutBeingAskedFor, anyEngine)
}

func needMDWE(t *testing.T) {
	t.Helper()
	if compile.NoMachineCode() != nil && os.Getenv(engineTest) == "" {
		t.Skip("SKIP: there is no machine code to be forbidden on " + runtime.GOARCH)
	}
	_, _, errno := syscall.RawSyscall6(syscall.SYS_PRCTL, prGetMDWE, 0, 0, 0, 0, 0)
	if errno == syscall.EINVAL || errno == syscall.ENOSYS {
		t.Skip("SKIP: this kernel cannot forbid executable memory; Linux 6.3 can")
	}
}
