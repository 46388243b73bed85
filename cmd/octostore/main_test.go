package main

import (
	"fmt"
	"os"
	"os/signal"
	"syscall"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"
	"go.uber.org/goleak"
)

// commands are what the test binary is when it is called by their names.
var commands = map[string]func(){"octostore": main}

// TestMain lets the test binary be the octostore command when it is called by that
// name, in scripts and by command.
func TestMain(m *testing.M) {
	testscript.Main(leakChecked{m}, commands)
}

// leakChecked fails a run of tests that leaves goroutines behind.
type leakChecked struct{ *testing.M }

func (m leakChecked) Run() int {
	// Tests send this process SIGHUP. One that arrives when their server has just ended
	// must not end the tests.
	signal.Notify(make(chan os.Signal, 1), syscall.SIGHUP)
	code := m.M.Run()
	if code != 0 {
		return code
	}
	if err := goleak.Find(); err != nil {
		fmt.Fprintln(os.Stderr, "goleak:", err)
		return 1
	}
	return 0
}
