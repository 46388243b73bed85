package main

import (
	"cmp"
	"context"
	"fmt"
	"os"
	"time"

	"github.com/spf13/cobra"

	"github.com/octostore/octostore/cmd/octostore/internal/clustertool"
	"github.com/octostore/octostore/cmd/octostore/internal/config"
	"github.com/octostore/octostore/cmd/octostore/internal/exitcode"
	"github.com/octostore/octostore/cmd/octostore/internal/server"
	"github.com/octostore/octostore/cmd/octostore/internal/session"
	"github.com/octostore/octostore/cmd/octostore/internal/text"
	"github.com/octostore/octostore/transport/client"
)

func serveCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "serve",
		Short: "Run the server",
		Long: "Run the server with the settings of the environment and of a .env file; octostore config\n" +
			"shows them. SIGTERM or ctrl-C shuts it down gracefully: waiting requests are refused,\n" +
			"requests in progress are finished. A second signal ends the process at once.",
		Args: cobra.NoArgs,
	}
	envFile := envFileFlag(cmd)
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		loaded, err := loadConfig(*envFile)
		if err != nil {
			warnUnknown(cmd.ErrOrStderr(), loaded)
			return err
		}
		if server.Run(cmd.Context(), loaded, os.Stderr) != nil {
			return errLogged
		}
		return nil
	}
	return cmd
}

// healthTimeout is shorter than the second that Kubernetes gives a probe.
const healthTimeout = 900 * time.Millisecond

func healthcheckCommand() *cobra.Command {
	check := new(healthcheck)
	cmd := &cobra.Command{
		Use:   "healthcheck",
		Short: "Ask the server of this machine whether it is well",
		Long: "Ask the server that runs on this machine with these settings whether it is well. The exit\n" +
			"code is 0 if it is, else 1, as container runtimes expect it: no curl is needed there. Without\n" +
			"a flag only a server that has to be restarted is not well (/healthz). With --url another\n" +
			"server is asked, and its certificate is verified (OCTOSTORE_CA_FILE).",
		Args: cobra.NoArgs,
	}
	check.envFile = envFileFlag(cmd)
	cmd.Flags().StringVar(&check.url, "url", "", "`URL` of the server, instead of its settings")
	cmd.Flags().BoolVar(&check.ready, "ready", false, "fail while the server stops, too (/readyz)")
	cmd.Flags().BoolVar(&check.grants, "grants", false, "fail while no locks are granted, as on a full disk (/readyz?grants=1)")
	durationVar(cmd.Flags(), &check.timeout, "timeout", fmt.Sprintf("`DURATION` to wait for the answer (default %s)", healthTimeout))
	completeNothing(cmd, "url", "timeout")
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		at, err := check.run(cmd.Context())
		if err != nil {
			return exitcode.As(exitcode.Failed, err)
		}
		_, err = fmt.Fprintln(cmd.OutOrStdout(), "ok", at)
		return err
	}
	return cmd
}

// healthcheck has the flags of the command.
type healthcheck struct {
	url           string
	envFile       *string
	ready, grants bool
	timeout       time.Duration
}

// run asks the server, and returns its URL.
func (h *healthcheck) run(ctx context.Context) (string, error) {
	at, c, err := h.server()
	if err != nil {
		return at, err
	}
	ctx, cancel := context.WithTimeout(ctx, h.patience())
	defer cancel()
	if h.ready || h.grants {
		err = c.Ready(ctx, h.grants)
	} else {
		err = c.Health(ctx)
	}
	if err != nil {
		err = fmt.Errorf("%s: %w", session.Redacted(at), err)
	}
	return session.Redacted(at), err
}

func (h *healthcheck) patience() time.Duration { return cmp.Or(h.timeout, healthTimeout) }

// server returns the URL of the server to ask, and a client for it.
func (h *healthcheck) server() (string, *client.Client, error) {
	if h.url != "" {
		c, err := session.ClientFor(h.url, "")
		return h.url, c, err
	}
	loaded, err := loadConfig(*h.envFile)
	if err != nil {
		return "", nil, err
	}
	setting, addr, greeting := "OCTOSTORE_ADDR", string(loaded.Addr), loaded.LocalGreeting()
	if (h.ready || h.grants) && loaded.ReadyOn == config.OnAdmin {
		setting, addr, greeting = "OCTOSTORE_ADMIN_ADDR", string(loaded.AdminAddr), ""
	}
	at, err := loaded.LocalURL(addr)
	if err != nil {
		return "", nil, fmt.Errorf("%s: %w; --url names the server", setting, err)
	}
	c, err := session.LocalClient(at, greeting, h.patience())
	return at, c, err
}

func clusterCommand() *cobra.Command {
	var asJSON bool
	cmd := &cobra.Command{
		Use:   "cluster",
		Short: "Show the nodes that share a lock table in etcd, and which of them serves",
		Long: "Show the nodes that share a lock table in etcd, which of them serves and since when, and\n" +
			"the policies that are loaded on each. Any of the nodes can be asked, with a token that has\n" +
			"the scope admin. Warnings are about policies that differ, about nodes that take the table\n" +
			"again and again, and about versions that differ.",
		Args: cobra.NoArgs,
	}
	server := serverFlags(cmd)
	cmd.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		c, err := server.NewClient()
		if err != nil {
			return err
		}
		nodes, err := c.Cluster(cmd.Context())
		if err != nil {
			return err
		}
		if asJSON {
			return text.JSON(cmd.OutOrStdout(), nodes)
		}
		return clustertool.Show(cmd.OutOrStdout(), nodes, time.Now())
	}
	cmd.AddCommand(handOverCommand())
	return cmd
}

func handOverCommand() *cobra.Command {
	var reason string
	cmd := &cobra.Command{
		Use:   "hand-over",
		Short: "Have the node that serves give the lock table to another one",
		Long: "Have the node that serves give the lock table to another one, and wait until that serves.\n" +
			"Held locks stay held; requests that wait are told to come back. The first node goes on and\n" +
			"forwards. It takes the scope admin, and is recorded. A node that is stopped hands over by\n" +
			"itself.",
		Args: cobra.NoArgs,
	}
	server := serverFlags(cmd)
	cmd.Flags().StringVar(&reason, "reason", "", "why, as `TEXT` for the audit log")
	completeNothing(cmd, "reason")
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		c, err := server.NewClient()
		if err != nil {
			return err
		}
		return clustertool.HandOver(cmd.Context(), cmd.OutOrStdout(), c, reason)
	}
	return cmd
}
