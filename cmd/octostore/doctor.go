package main

import (
	"github.com/spf13/cobra"

	"github.com/octostore/octostore/cmd/octostore/internal/doctor"
)

func doctorCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "doctor",
		Short: "Check the database, the settings and the machine for problems",
		Long: "Check the database, the settings and the machine for problems, with the settings that a\n" +
			"server started here would have, and print one line for each check. The checks include\n" +
			"every reason for which octostore serve refuses to start. The exit code is 1 if a check\n" +
			"fails. Nothing is changed. A server may be running; then the structure and the audit\n" +
			"log of a large database are not checked, but those of a backup can be.",
		Args: cobra.NoArgs,
	}
	envFile := envFileFlag(cmd)
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		return doctor.Examine(cmd.Context(), cmd.OutOrStdout(), *envFile)
	}
	return cmd
}
