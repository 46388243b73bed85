package main

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"syscall"

	"github.com/spf13/cobra"

	"github.com/octostore/octostore/cmd/octostore/internal/demo"
	"github.com/octostore/octostore/cmd/octostore/internal/exitcode"
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
		RunE: func(cmd *cobra.Command, _ []string) error { return perform(cmd, once, demo.Run) },
	}
	cmd.Flags().BoolVar(&once, "once", false, "exit after the demonstration")
	cmd.AddCommand(demoClusterCommand())
	return cmd
}

func demoClusterCommand() *cobra.Command {
	var (
		once  bool
		etcd  string
		etcds int
	)
	cmd := &cobra.Command{
		Use:   "cluster",
		Short: "Show three nodes over etcd, of which the serving one is killed",
		Long: "Show three nodes over etcd, of which the serving one is killed.\n\n" +
			"It starts etcd 3.6 or newer, which has to be installed, and three nodes, all with temporary\n" +
			"data. It shows clients of different nodes sharing a lock, the serving node being killed while\n" +
			"one holds the lock and one waits, a rolling restart, and the audit log. Then the nodes stay\n" +
			"up until ctrl-C.",
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if etcds < 1 || etcds > 9 {
				return exitcode.Usagef("--etcds is %d; want 1 to 9", etcds)
			}
			return perform(cmd, once, func(ctx context.Context, cfg demo.Config) error {
				path, err := exec.LookPath(etcd)
				if err != nil {
					return fmt.Errorf("etcd is needed, see --etcd: %w", err)
				}
				return demo.RunCluster(ctx, demo.ClusterConfig{Config: cfg, Etcd: path, Etcds: etcds})
			})
		},
	}
	cmd.Flags().BoolVar(&once, "once", false, "exit after the demonstration")
	cmd.Flags().StringVar(&etcd, "etcd", "etcd", "`path` of etcd")
	cmd.Flags().IntVar(&etcds, "etcds", 1, "`number` of members of etcd, 1 to 9")
	return cmd
}

// perform runs a demonstration for the output of a command.
func perform(cmd *cobra.Command, once bool, run func(context.Context, demo.Config) error) error {
	binary, err := os.Executable()
	if err != nil {
		return err
	}
	ctx, stop := signal.NotifyContext(cmd.Context(), audienceLeaves()...)
	defer stop()
	err = run(ctx, demo.Config{
		Serve: []string{binary, "serve"},
		Out:   terminal.Raw(cmd.OutOrStdout()),
		Color: terminal.Is(cmd.OutOrStdout()) && os.Getenv("NO_COLOR") == "",
		Once:  once,
	})
	if err != nil && ctx.Err() != nil && cmd.Context().Err() == nil {
		return errLogged // the reader of the error is gone
	}
	return err
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
