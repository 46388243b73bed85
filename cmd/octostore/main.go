// Command octostore is a lock service in one binary: named locks over plain HTTP,
// leases that expire, fencing tokens that only grow, state in one SQLite file.
package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"syscall"

	"github.com/spf13/cobra"
)

func main() { os.Exit(run()) }

// run executes the command line and returns the exit code.
func run() int {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	// The first signal asks to stop. Giving the signals back to the system then makes
	// the second one end the process at once.
	context.AfterFunc(ctx, stop)

	err := rootCommand().ExecuteContext(ctx)
	if err == nil {
		return 0
	}
	if !errors.Is(err, errLogged) {
		fmt.Fprintln(os.Stderr, "octostore:", err)
	}
	return 1
}

// errLogged is what a command returns that has put its error into the log already.
var errLogged = errors.New("the error is in the log")

func rootCommand() *cobra.Command {
	root := &cobra.Command{
		Use:   "octostore",
		Short: "A lock service: named locks over HTTP with leases and fencing tokens",
		// Errors are printed once, by run; usage is for those who ask for it.
		SilenceErrors: true,
		SilenceUsage:  true,
	}
	root.CompletionOptions.HiddenDefaultCmd = true
	root.AddCommand(
		serveCommand(),
		demoCommand(),
		benchCommand(),
		configCommand(),
		doctorCommand(),
		backupCommand(),
		auditCommand(),
		tokenCommand(),
		loginCommand(),
		logoutCommand(),
		policyCommand(),
		versionCommand(),
	)
	return root
}
