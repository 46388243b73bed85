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
		Short: "Copy the database to a new file, while a server runs or not",
		Long: "Copy the database (OCTOSTORE_DB) to a new file, and check the copy. A server may be\n" +
			"running on it. Keep the copy as secret as the database: it holds the keys that\n" +
			"lease ids are made with. To restore, stop the server, put the copy in the place of\n" +
			"the database, and remove the files whose names are that of the database and -wal or\n" +
			"-shm, if there are any: they belong to the old database.",
		Args: func(_ *cobra.Command, args []string) error {
			if len(args) != 1 {
				return exitcode.Usagef("backup takes one argument, the file to copy the database to")
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
