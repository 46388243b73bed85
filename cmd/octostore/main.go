// Command octostore is a lock service in one binary: named locks over plain HTTP,
// leases that expire, fencing tokens that only grow, state in one SQLite file.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"syscall"

	"github.com/spf13/cobra"

	"github.com/octostore/octostore/cmd/octostore/internal/compiler"
	"github.com/octostore/octostore/cmd/octostore/internal/exitcode"
	"github.com/octostore/octostore/cmd/octostore/internal/job"
	"github.com/octostore/octostore/cmd/octostore/internal/session"
	"github.com/octostore/octostore/cmd/octostore/internal/terminal"
	"github.com/octostore/octostore/cmd/octostore/internal/version"
)

func main() { os.Exit(run()) }

// run executes the command line of the process and returns the exit code.
func run() int {
	if len(os.Args) > 1 && os.Args[1] == compiler.Argument {
		return compiler.Main(os.Args[2:], os.Stdin, os.Stdout, os.Stderr)
	}
	if len(os.Args) > 1 && os.Args[1] == job.Argument {
		return job.Main()
	}
	if len(os.Args) > 1 && os.Args[1] == "run" { // it passes signals on, and keeps ignored what was ignored
		// A reader of its words who has left must not end the command: the write fails, and that is all.
		signal.Notify(make(chan os.Signal, 1), syscall.SIGPIPE)
		return execute(context.Background(), os.Args[1:], os.Stdin, os.Stdout, os.Stderr)
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	// The first signal asks to stop. Giving the signals back to the system then makes
	// the second one end the process at once.
	context.AfterFunc(ctx, stop)
	return execute(ctx, os.Args[1:], os.Stdin, os.Stdout, os.Stderr)
}

// execute runs a command line and returns the exit code. Everything goes through a
// [terminal.Writer]: what a server answers cannot command the terminal it is shown on.
func execute(ctx context.Context, args []string, in io.Reader, out, errs io.Writer) int {
	root := rootCommand()
	root.SetArgs(args)
	root.SetIn(in)
	root.SetOut(terminal.NewWriter(out))
	root.SetErr(terminal.NewWriter(errs))
	cmd, err := root.ExecuteContextC(ctx)
	if err != nil && !errors.Is(err, errLogged) {
		fmt.Fprintln(root.ErrOrStderr(), "octostore:", session.Explain(err))
	}
	code := codeOf(err)
	if err != nil {
		failEval(cmd, args, code)
	}
	return int(code)
}

// errLogged is the error of a command that has already logged its error.
var errLogged = errors.New("the error is in the log")

func rootCommand() *cobra.Command {
	root := &cobra.Command{
		Use:   "octostore",
		Short: "A lock service: named locks over HTTP with leases and fencing tokens",
		Long: "A lock service: named locks over HTTP with leases and fencing tokens.\n\n" +
			exitcode.Help(),
		Version: version.Own(),
		// Errors are printed once, by execute; usage only on request.
		SilenceErrors: true,
		SilenceUsage:  true,
	}
	root.SetVersionTemplate(version.Text())
	addGroup(root, "Locks:", runnerCommand(), acquireCommand(), renewCommand(), releaseCommand(), breakCommand(),
		showCommand(), listCommand(), watchCommand(), topCommand(), mcpCommand())
	addGroup(root, "Server:", serveCommand(), healthcheckCommand(), configCommand(), doctorCommand(), backupCommand(), restoreCommand(),
		storeCommand(), clusterCommand(),
		demoCommand(), benchCommand())
	addGroup(root, "Audit log, policies and tokens:", auditCommand(), policyCommand(), tokenCommand())
	addGroup(root, "Connection to a server:", loginCommand(), logoutCommand(), profileCommand())
	root.AddCommand(versionCommand())
	root.SetHelpCommand(helpCommand())
	root.InitDefaultHelpCmd()
	root.InitDefaultCompletionCmd()
	groupFlags(root)
	strict(root)
	return root
}

// addGroup adds commands that help lists under a heading of their own.
func addGroup(root *cobra.Command, title string, commands ...*cobra.Command) {
	root.AddGroup(&cobra.Group{ID: title, Title: title})
	for _, c := range commands {
		c.GroupID = title
	}
	root.AddCommand(commands...)
}
