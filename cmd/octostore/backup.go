package main

import (
	"fmt"

	"github.com/spf13/cobra"

	"github.com/octostore/octostore/cmd/octostore/internal/exitcode"
	"github.com/octostore/octostore/core/store/sqlite"
)

func backupCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "backup TARGET",
		Short: "Back up the database to a new file, while a server runs or not",
		Long: "Back up the database (OCTOSTORE_DB) to a new file, and check the copy. A server may be\n" +
			"running on the database. Keep the copy as secret as the database: it contains the keys\n" +
			"that sign lease ids. To restore, stop the server, replace the database with the copy,\n" +
			"and remove the files named like the database with -wal or -shm appended, if they exist:\n" +
			"they belong to the old database.",
		Args: func(_ *cobra.Command, args []string) error {
			if len(args) != 1 {
				return exitcode.Usagef("want one argument, the file to back up the database to")
			}
			return nil
		},
	}
	envFile := envFileFlag(cmd)
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		loaded, err := loadConfig(*envFile)
		warnUnknown(cmd.ErrOrStderr(), loaded)
		if err != nil {
			return err
		}
		source, target := string(loaded.DB), args[0]
		if err := needDatabase(source); err != nil {
			return err
		}
		if err := sqlite.Backup(cmd.Context(), source, target); err != nil {
			return err // it names both files
		}
		_, err = fmt.Fprintf(cmd.OutOrStdout(), "copied %s to %s\n", absolute(source), absolute(target))
		return err
	}
	return cmd
}
