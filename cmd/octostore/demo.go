package main

import (
	"os"
	"os/signal"
	"syscall"

	"github.com/spf13/cobra"

	"github.com/octostore/octostore/cmd/octostore/internal/demo"
	"github.com/octostore/octostore/cmd/octostore/internal/terminal"
)

func demoCommand() *cobra.Command {
	var once bool
	cmd := &cobra.Command{
		Use:   "demo",
		Short: "Show what OctoStore does, on a real server, in a few seconds",
		Long: "Show what OctoStore does, on a real server, in a few seconds.\n\n" +
			"It starts a server with a temporary database and shows two jobs sharing a lock, a job that\n" +
			"gives up, a job that crashes, a server that is killed and restarted, and a policy that\n" +
			"denies. Then the server stays up, for you to try with curl, until ctrl-C. Server and\n" +
			"database are removed at the end.",
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			binary, err := os.Executable()
			if err != nil {
				return err
			}
			ctx, stop := signal.NotifyContext(cmd.Context(), audienceLeaves()...)
			defer stop()
			err = demo.Run(ctx, demo.Config{
				Serve: []string{binary, "serve"},
				Out:   terminal.Raw(cmd.OutOrStdout()),
				Color: terminal.Is(cmd.OutOrStdout()) && os.Getenv("NO_COLOR") == "",
				Once:  once,
			})
			if err != nil && ctx.Err() != nil && cmd.Context().Err() == nil {
				return errLogged // the reader of the error is gone
			}
			return err
		},
	}
	cmd.Flags().BoolVar(&once, "once", false, "exit after the demonstration")
	return cmd
}

// audienceLeaves are the signals of a reader that goes, as head does, and of a
// terminal that is closed. Killed by one the demonstration would leave its directory
// behind. A hang-up it was started to ignore it goes on ignoring.
func audienceLeaves() []os.Signal {
	if signal.Ignored(syscall.SIGHUP) {
		return []os.Signal{syscall.SIGPIPE}
	}
	return []os.Signal{syscall.SIGPIPE, syscall.SIGHUP}
}
