package server

import (
	"os"
	"os/signal"
	"syscall"
	"testing"

	"github.com/octostore/octostore/cmd/octostore/internal/compiler"
	"github.com/octostore/octostore/cmd/octostore/internal/octotest"
)

// TestMain lets the test binary be the process that compiles policies.
func TestMain(m *testing.M) {
	if len(os.Args) > 1 && os.Args[1] == compiler.Argument {
		os.Exit(compiler.Main(os.Args[2:], os.Stdin, os.Stdout, os.Stderr))
	}
	// Tests send this process SIGHUP. One that arrives when their server has just ended
	// must not end the tests.
	signal.Notify(make(chan os.Signal, 1), syscall.SIGHUP)
	octotest.Main(m)
}
