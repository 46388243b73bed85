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
			"It starts a server with a database of its own and tells what happens as two jobs take\n" +
			"turns, one gives up, one crashes, the server is killed and started again, and a policy\n" +
			"says no. Then it keeps the server up, for you to try with curl, until ctrl-C. Server and database are\n" +
			"gone in the end.",
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
				return errLogged // nobody is there to be told
			}
			return err
		},
	}
	cmd.Flags().BoolVar(&once, "once", false, "end after the story")
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
