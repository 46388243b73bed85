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
