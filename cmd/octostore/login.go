package main

import (
	"github.com/spf13/cobra"

	"github.com/octostore/octostore/cmd/octostore/internal/session"
)

func loginCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "login",
		Short: "Log in with GitHub, and keep the token for other commands",
		Long: "Log in with GitHub to the server at OCTOSTORE_URL (" + defaultURLHelp + "): show a code\n" +
			"that is to be typed in there, wait, and keep the token in a file that only you can read.\n" +
			"Commands use it for this server whenever OCTOSTORE_TOKEN is not set.",
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return session.LogIn(cmd.Context(), cmd.ErrOrStderr()) },
	}
}

func logoutCommand() *cobra.Command {
	var local bool
	cmd := &cobra.Command{
		Use:   "logout",
		Short: "Revoke the token of octostore login, and remove it here",
		Long: "Revoke the token that octostore login has kept for the server at OCTOSTORE_URL\n" +
			"(" + defaultURLHelp + "), and remove it here. Leases that were acquired\n" +
			"by it stay until they end.",
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return session.LogOut(cmd.Context(), cmd.ErrOrStderr(), local)
		},
	}
	cmd.Flags().BoolVar(&local, "local", false, "only remove it here; the server is not asked")
	return cmd
}
