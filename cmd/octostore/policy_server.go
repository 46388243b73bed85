package main

import (
	"fmt"

	"github.com/spf13/cobra"

	"github.com/octostore/octostore/cmd/octostore/internal/session"
	"github.com/octostore/octostore/cmd/octostore/internal/text"
	"github.com/octostore/octostore/transport/client"
)

func policyListCommand() *cobra.Command {
	var server *session.Server
	var asJSON bool
	cmd := &cobra.Command{
		Use:   "list",
		Short: "List a running server's policies",
		Long: "List the policies of the server, and what they have done since they\n" +
			"were loaded. Fuel is an upper bound, within a factor of two. A policy with mode off is\n" +
			"not loaded, and so has no digest. The server calls a policy with an open breaker, one that\n" +
			"keeps failing, only for a probe at intervals; otherwise on_error decides.",
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			c, err := server.NewClient()
			if err != nil {
				return err
			}
			list, err := c.Policies(cmd.Context())
			if err != nil {
				return err
			}
			return show(cmd, asJSON, text.PolicyList(list))
		},
	}
	server = serverFlags(cmd)
	cmd.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	return cmd
}

func policyReloadCommand() *cobra.Command {
	var server *session.Server
	cmd := &cobra.Command{
		Use:   "reload",
		Short: "Reload a running server's policies",
		Long: "Reload the policies of the server: all of them, or, if one of them\n" +
			"has a mistake, none. The error names every mistake.",
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			c, err := server.NewClient()
			if err != nil {
				return err
			}
			reloaded, err := c.ReloadPolicies(cmd.Context())
			if err != nil {
				return err
			}
			_, err = fmt.Fprintln(cmd.OutOrStdout(), reloaded.Changes)
			return err
		},
	}
	server = serverFlags(cmd)
	return cmd
}

func policyExplainCommand() *cobra.Command {
	var server *session.Server
	var query client.ExplainQuery
	var asJSON bool
	cmd := &cobra.Command{
		Use:   "explain NAME",
		Short: "Show what a running server's policies would say to a request, and why",
		Long: "Show what every policy of the server would say to a request for the\n" +
			"lock NAME, and why. Nothing is locked, renewed, broken or recorded.\n\n" +
			"--hook renew and --hook break ask about the present lease; a renewal takes --ttl, a\n" +
			"break takes --reason. --at tells the policies another time, for a window that is yet to\n" +
			"come; locks and queues stay those of now.",
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			query.Name = args[0]
			c, err := server.NewClient()
			if err != nil {
				return err
			}
			e, err := c.ExplainPolicies(cmd.Context(), query)
			if err != nil {
				return err
			}
			return show(cmd, asJSON, text.Explanation(e))
		},
	}
	server = serverFlags(cmd)
	to := cmd.Flags()
	to.StringVar(&query.Hook, "hook", "", "`HOOK` to explain: acquire, renew or break (default acquire)")
	to.StringVar(&query.At, "at", "", "`TIME` of the request, such as 2026-12-24T18:00:00+01:00 (default now)")
	to.StringVar(&query.Account, "account", "", "`ACCOUNT` of the request; another than your own takes the scope read:**")
	to.StringVar(&query.TTL, "ttl", "", "`DURATION` of the lease (default the server's; of a renewal that of the lease)")
	to.StringVar(&query.Wait, "wait", "", "`DURATION` to wait in the queue (default 0s)")
	to.StringVar(&query.Holder, "holder", "", "`TEXT` that names the process")
	to.StringVar(&query.Reason, "reason", "", "`TEXT` of the reason")
	to.StringToStringVar(&query.Metadata, "meta", nil, "metadata, as `KEY=VALUE`; may be repeated")
	to.BoolVar(&asJSON, "json", false, "print JSON")
	return cmd
}
