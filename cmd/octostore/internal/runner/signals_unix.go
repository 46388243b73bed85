//go:build unix

package runner

import (
	"os"
	"os/signal"
	"syscall"
	"time"
)

// stopSignals ask to stop.
var stopSignals = []os.Signal{syscall.SIGINT, syscall.SIGTERM, syscall.SIGHUP, syscall.SIGQUIT}

var signalNames = map[syscall.Signal]string{
	syscall.SIGHUP: "SIGHUP", syscall.SIGINT: "SIGINT", syscall.SIGQUIT: "SIGQUIT", syscall.SIGILL: "SIGILL",
	syscall.SIGTRAP: "SIGTRAP", syscall.SIGABRT: "SIGABRT", syscall.SIGBUS: "SIGBUS", syscall.SIGFPE: "SIGFPE",
	syscall.SIGKILL: "SIGKILL", syscall.SIGUSR1: "SIGUSR1", syscall.SIGSEGV: "SIGSEGV", syscall.SIGUSR2: "SIGUSR2",
	syscall.SIGPIPE: "SIGPIPE", syscall.SIGALRM: "SIGALRM", syscall.SIGTERM: "SIGTERM", syscall.SIGXCPU: "SIGXCPU",
	syscall.SIGXFSZ: "SIGXFSZ", syscall.SIGSYS: "SIGSYS",
}

// signalName returns the name of a signal, such as SIGTERM.
func signalName(s os.Signal) string {
	if number, is := s.(syscall.Signal); is {
		if name := signalNames[number]; name != "" {
			return name
		}
	}
	return s.String()
}

// signalStatus is the exit status of a shell for a signal.
func signalStatus(s os.Signal) int {
	if number, is := s.(syscall.Signal); is {
		return 128 + int(number)
	}
	return 1
}

// Die ends this process by a signal that asked it to stop, so that a shell that runs it in a
// loop sees that it was interrupted, and stops, too. It returns if that does not work, for
// SIGQUIT, which would dump core, and in the first process of a container, which no signal of
// its own can end: there the runtime of Go would exit with 2.
func Die(s os.Signal) {
	number, is := s.(syscall.Signal)
	if !is || number == syscall.SIGQUIT || os.Getpid() == 1 {
		return
	}
	signal.Reset(number)
	if syscall.Kill(os.Getpid(), number) == nil {
		time.Sleep(time.Second) // the signal is delivered to any thread
	}
}
