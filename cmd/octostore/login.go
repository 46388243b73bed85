package main

import (
	"github.com/spf13/cobra"

	"github.com/octostore/octostore/cmd/octostore/internal/session"
)

func loginCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "login",
		Short: "Log in with GitHub, and store the token for other commands",
		Long: "Log in with GitHub to the server at OCTOSTORE_URL (" + defaultURLHelp + "):\n" +
			"the command shows a code to enter at GitHub, waits, and stores the token in a file that\n" +
			"only you can read. Commands use it for this server unless OCTOSTORE_TOKEN is set.",
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return session.LogIn(cmd.Context(), cmd.ErrOrStderr()) },
	}
}

func logoutCommand() *cobra.Command {
	var local bool
	cmd := &cobra.Command{
		Use:   "logout",
		Short: "Revoke the token of octostore login, and delete it",
		Long: "Revoke the token that octostore login has stored for the server at OCTOSTORE_URL\n" +
			"(" + defaultURLHelp + "), and delete it from this machine. Leases\n" +
			"acquired with it stay until they end.",
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return session.LogOut(cmd.Context(), cmd.ErrOrStderr(), local)
		},
	}
	cmd.Flags().BoolVar(&local, "local", false, "only delete the stored token, without asking the server")
	return cmd
}
