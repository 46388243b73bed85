package main

import (
	"github.com/spf13/cobra"

	"github.com/octostore/octostore/cmd/octostore/internal/doctor"
)

func doctorCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "doctor",
		Short: "Look for what is wrong with the database, the settings and the machine",
		Long: "Look for what is wrong with the database, the settings and the machine, with the\n" +
			"settings a server started here would have: a line for each thing that was looked at,\n" +
			"among them everything for which octostore serve would refuse to start.\n" +
			"The exit code is 1 if something has to be mended before it can be relied on. Nothing\n" +
			"is changed. A server may be running; of a large database the structure and the journal\n" +
			"are then left out, which a backup can be used for.",
		Args: cobra.NoArgs,
	}
	envFile := envFileFlag(cmd)
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		return doctor.Examine(cmd.Context(), cmd.OutOrStdout(), *envFile)
	}
	return cmd
}
