package main

import (
	"cmp"
	"context"
	"fmt"
	"log/slog"
	"os"
	"os/signal"
	"syscall"
	"time"

	"github.com/spf13/cobra"

	"github.com/octostore/octostore/cmd/octostore/internal/mcpserver"
	"github.com/octostore/octostore/cmd/octostore/internal/runner"
	"github.com/octostore/octostore/cmd/octostore/internal/terminal"
	"github.com/octostore/octostore/cmd/octostore/internal/version"
)

func mcpCommand() *cobra.Command {
	var ttl time.Duration
	cmd := &cobra.Command{
		Use:   "mcp",
		Short: "Let a coding agent use locks, over the Model Context Protocol",
		Long: "Serve the Model Context Protocol on standard input and output, for one session of a\n" +
			"coding agent, which starts this command. Its tools are acquire, wait, renew, release,\n" +
			"show and list. The locks of the session are renewed while it lives, and released when\n" +
			"it ends. docs/mcp.md shows how to configure an agent.\n\n" +
			"What the agent may lock is up to the scopes of its token.",
		Example: `  claude mcp add octostore -- octostore mcp --url http://127.0.0.1:3000`,
		Args:    cobra.NoArgs,
	}
	durationVar(cmd.Flags(), &ttl, "ttl", "`DURATION` that a lock outlives a session that was killed (default 60s)")
	holder := cmd.Flags().String("holder", "", "`TEXT` that names the session to others (default: the URL of the CI job, or user@host:pid)")
	server := serverFlags(cmd)
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		c, err := server.NewClient()
		if err != nil {
			return err
		}
		ctx, stop := untilLeft(cmd.Context())
		defer stop()
		errs := cmd.ErrOrStderr()
		if terminal.Is(cmd.OutOrStdout()) {
			fmt.Fprintln(errs, "octostore: waiting for the messages of a coding agent; see docs/mcp.md")
		}
		return mcpserver.Run(ctx, cmd.InOrStdin(), terminal.Exact(cmd.OutOrStdout()), mcpserver.Config{
			Client: c, Holder: cmp.Or(*holder, runner.DefaultHolder(os.Getenv)), TTL: ttl, Version: version.Own(),
			Log: slog.New(slog.NewTextHandler(errs, nil)),
		})
	}
	return cmd
}

// untilLeft returns a context that ends when the terminal of the agent is closed, too. An agent
// that no longer reads must not end the process, which has locks to release.
func untilLeft(ctx context.Context) (context.Context, context.CancelFunc) {
	signal.Notify(make(chan os.Signal, 1), syscall.SIGPIPE)
	if signal.Ignored(syscall.SIGHUP) { // as by nohup
		return context.WithCancel(ctx)
	}
	return signal.NotifyContext(ctx, syscall.SIGHUP)
}
