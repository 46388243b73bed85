package main

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/spf13/cobra"

	"github.com/octostore/octostore/cmd/octostore/internal/doctor"
	"github.com/octostore/octostore/cmd/octostore/internal/exitcode"
	"github.com/octostore/octostore/core/store/sqlite"
)

// sayDatabase tells on w which database a command works on: the one of the folder it was
// called in is easily the wrong one.
func sayDatabase(w io.Writer, path string) {
	fmt.Fprintf(w, "octostore: the database is %s\n", absolute(path))
}

var errNoDatabase = errors.New("there is no database")

// needDatabase fails, with errNoDatabase, if there is no database at path.
func needDatabase(path string) error {
	_, err := os.Stat(path)
	if errors.Is(err, fs.ErrNotExist) {
		return exitcode.As(exitcode.Missing, fmt.Errorf("%w at %s; OCTOSTORE_DB says where it is", errNoDatabase, absolute(path)))
	}
	return err
}

func absolute(path string) string {
	if abs, err := filepath.Abs(path); err == nil {
		return abs
	}
	return path
}

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
