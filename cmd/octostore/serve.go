package main

import (
	"os"

	"github.com/spf13/cobra"

	"github.com/octostore/octostore/cmd/octostore/internal/server"
)

func serveCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "serve",
		Short: "Run the server",
		Long: "Run the server with the settings of the environment and of a .env file; see\n" +
			"octostore config. SIGTERM or an interrupt stops it in good order: waiters are\n" +
			"told, requests under way are answered. A second one ends it at once.",
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
