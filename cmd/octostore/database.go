package main

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"

	"github.com/octostore/octostore/cmd/octostore/internal/audittool"
	"github.com/octostore/octostore/cmd/octostore/internal/backuptool"
	"github.com/octostore/octostore/cmd/octostore/internal/config"
	"github.com/octostore/octostore/cmd/octostore/internal/doctor"
	"github.com/octostore/octostore/cmd/octostore/internal/exitcode"
	"github.com/octostore/octostore/cmd/octostore/internal/preflight"
	"github.com/octostore/octostore/cmd/octostore/internal/session"
	"github.com/octostore/octostore/cmd/octostore/internal/storetool"
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

// tableFlag is a flag for a table that a command reads: a file, or a URL of a table in etcd.
type tableFlag struct {
	text  string
	table audittool.Table // nil: not given
}

// String implements [pflag.Value].
func (f *tableFlag) String() string { return f.text }

// Set implements [pflag.Value].
func (f *tableFlag) Set(text string) (err error) {
	f.text = text
	url, is := strings.CutPrefix(text, "etcd://")
	if !is {
		f.table = storetool.FileTable(text)
		return nil
	}
	loaded, err := loadConfig("")
	if err != nil {
		return err
	}
	cfg, err := storetool.EtcdAt(url, loaded.Config)
	f.table = storetool.EtcdTable(cfg)
	return err
}

// Type implements [pflag.Value].
func (f *tableFlag) Type() string { return "string" }

// configuredTable returns the table of these settings, and tells which it is.
func configuredTable(cmd *cobra.Command, cfg config.Config) (audittool.Table, error) {
	if cfg.Store == config.Etcd {
		c, err := preflight.EtcdConfig(cfg)
		return storetool.EtcdTable(c), err
	}
	if err := needDatabase(string(cfg.DB)); err != nil {
		return nil, err
	}
	sayDatabase(cmd.ErrOrStderr(), string(cfg.DB))
	return storetool.FileTable(string(cfg.DB)), nil
}

func backupCommand() *cobra.Command {
	var verified bool
	var pinned string
	cmd := &cobra.Command{
		Use:   "backup FILE",
		Short: "Back up the database to a new file, or verify a backup",
		Long: "Back up the database to a new file, and check the copy; - is the standard output. The\n" +
			"database is that of the server that --url, --profile or a variable names, which takes a\n" +
			"token with the scope admin; else it is the file of OCTOSTORE_DB, on which a server may run.\n" +
			"A table in etcd (OCTOSTORE_STORE=etcd) is copied to a database, as of one revision; octostore\n" +
			"store copy brings it back.\n" +
			"Keep the copy as secret as the database: it contains the keys that sign lease ids.\n\n" +
			"With --verify nothing is copied: FILE is checked to be a whole database, with an unbroken\n" +
			"audit log that leads to its leases and is signed as far as it has checkpoints.\n\n" +
			"octostore restore puts a backup in the place of the database.",
		Args: func(_ *cobra.Command, args []string) error {
			if len(args) != 1 {
				return exitcode.Usagef("want one argument, the file to back up the database to, or to verify")
			}
			return nil
		},
	}
	server := serverFlags(cmd)
	envFile := envFileFlag(cmd)
	cmd.Flags().BoolVar(&verified, "verify", false, "verify the backup FILE instead of making one")
	cmd.Flags().StringVar(&pinned, "key", "", "with --verify: require signatures by this public `KEY`, as printed by octostore audit key")
	completeNothing(cmd, "key")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		if verified {
			key, err := pinnedKey(pinned)
			if err != nil {
				return err
			}
			return backuptool.Verify(cmd.Context(), cmd.OutOrStdout(), cmd.ErrOrStderr(), args[0], key)
		}
		if pinned != "" {
			return exitcode.Usagef("--key is for --verify")
		}
		loaded, err := loadConfig(*envFile)
		if !server.Named() && err == nil && loaded.Store == config.Etcd {
			return backupEtcd(cmd, loaded, args[0])
		}
		source, err := backupSource(cmd, server, *envFile)
		if err != nil {
			return err
		}
		if err := source.Backup(cmd.Context(), args[0], cmd.OutOrStdout(), cmd.ErrOrStderr()); err != nil || args[0] == "-" {
			return err // it names both files
		}
		_, err = fmt.Fprintf(cmd.OutOrStdout(), "copied %s to %s\n", source.Name, absolute(args[0]))
		return err
	}
	return cmd
}

// backupEtcd copies the table in etcd to a new database.
func backupEtcd(cmd *cobra.Command, loaded config.Loaded, target string) error {
	warnUnknown(cmd.ErrOrStderr(), loaded)
	if target == "-" {
		return exitcode.Usagef("a table in etcd is backed up to a file; want its name")
	}
	cfg, err := preflight.EtcdConfig(loaded.Config)
	if err != nil {
		return err
	}
	return storetool.BackupOf(cfg, target).Run(cmd.Context(), cmd.OutOrStdout(), cmd.ErrOrStderr())
}

// backupSource returns the server that a flag or the environment names, or else the database.
func backupSource(cmd *cobra.Command, server *session.Server, envFile string) (backuptool.Source, error) {
	if server.Named() {
		c, err := server.NewClient()
		return backuptool.Source{Client: c, Name: "the database of the server"}, err
	}
	loaded, err := loadConfig(envFile)
	warnUnknown(cmd.ErrOrStderr(), loaded)
	if err != nil {
		return backuptool.Source{}, err
	}
	file := string(loaded.DB)
	return backuptool.Source{File: file, Name: absolute(file)}, needDatabase(file)
}

func restoreCommand() *cobra.Command {
	var discard bool
	cmd := &cobra.Command{
		Use:   "restore FILE",
		Short: "Put a backup in the place of the database",
		Long: "Verify a backup and put it in the place of the database (OCTOSTORE_DB), in one step. No\n" +
			"server may run on it. The database that was there is kept beside it, as\n" +
			"NAME.replaced-TIME, and has to be removed by hand.\n\n" +
			"If the database that is there has newer records, or is another one, nothing is restored,\n" +
			"and the error says what would be lost. --discard-newer restores the backup all the same.",
		Args: func(_ *cobra.Command, args []string) error {
			if len(args) != 1 {
				return exitcode.Usagef("want one argument, the backup to restore")
			}
			return nil
		},
	}
	envFile := envFileFlag(cmd)
	cmd.Flags().BoolVar(&discard, "discard-newer", false, "restore a backup that is older than the database, or of another one")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		loaded, err := loadConfig(*envFile)
		warnUnknown(cmd.ErrOrStderr(), loaded)
		if err != nil {
			return err
		}
		if loaded.Store == config.Etcd {
			return exitcode.Usagef(
				"a table in etcd is restored with octostore store copy --from sqlite://%s --to etcd://, to a prefix with nothing in it", args[0])
		}
		r := backuptool.RestoreConfig{Backup: args[0], Database: string(loaded.DB), DiscardNewer: discard}
		return r.Restore(cmd.Context(), cmd.OutOrStdout(), cmd.ErrOrStderr())
	}
	return cmd
}

func doctorCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "doctor",
		Short: "Check the database, the settings and the machine for problems",
		Long: "Check the database, or etcd and the table in it, the settings and the machine for\n" +
			"problems, with the settings that a server started here would have, and print one line for\n" +
			"each check. The checks include every reason for which octostore serve refuses to start.\n" +
			"The exit code is 1 if a check fails. Nothing is changed. A server may be running; then the\n" +
			"structure and the audit log of a large database are not checked, but those of a backup can\n" +
			"be.",
		Args: cobra.NoArgs,
	}
	envFile := envFileFlag(cmd)
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		return doctor.Examine(cmd.Context(), cmd.OutOrStdout(), cmd.ErrOrStderr(), *envFile)
	}
	return cmd
}

func storeCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "store",
		Short: "Move a table between SQLite and etcd",
		Args:  cobra.NoArgs,
	}
	cmd.AddCommand(storeCopyCommand())
	return cmd
}

func storeCopyCommand() *cobra.Command {
	var from, to string
	var drop bool
	cmd := &cobra.Command{
		Use:   "copy --from URL --to URL",
		Short: "Copy a store that no server serves to a new one of another kind",
		Long: "Copy a store that no server serves to a new one, with leases, tokens, audit log, keys and\n" +
			"the cursors of observers, and compare the two. A store is sqlite://PATH, or\n" +
			"etcd://HOST:PORT,HOST:PORT/PREFIX/. What a URL leaves out the settings say, and for etcd\n" +
			"always certificates and user (OCTOSTORE_ETCD_*).\n\n" +
			"A target that is not empty is refused, and so is an audit log that is larger than a quarter\n" +
			"of etcd's quota. Each lease runs again for its full time. Never start a server on the old\n" +
			"store again: it would give the same locks to others.",
		Example: "  octostore store copy --from sqlite:///var/lib/octostore/octostore.db --to etcd://10.0.0.1:2379\n" +
			"  octostore store copy --from etcd:// --to sqlite://octostore.db",
		Args: cobra.NoArgs,
	}
	envFile := envFileFlag(cmd)
	cmd.Flags().StringVar(&from, "from", "", "copy the store at `URL`, which stays as it is")
	cmd.Flags().StringVar(&to, "to", "", "make the store at `URL`")
	cmd.Flags().BoolVar(&drop, "drop-oldest", false, "leave out the oldest audit records if the target has no room for all")
	completeNothing(cmd, "from", "to")
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		if from == "" || to == "" {
			return exitcode.Usagef("want --from and --to, each sqlite://PATH or etcd://HOST:PORT/PREFIX/")
		}
		loaded, err := loadConfig(*envFile)
		warnUnknown(cmd.ErrOrStderr(), loaded)
		if err != nil {
			return err
		}
		c := storetool.Copy{DropOldest: drop}
		if c.From, err = storetool.Parse(from, loaded.Config); err != nil {
			return err
		}
		if c.To, err = storetool.Parse(to, loaded.Config); err != nil {
			return err
		}
		return c.Run(cmd.Context(), cmd.OutOrStdout(), cmd.ErrOrStderr())
	}
	return cmd
}
