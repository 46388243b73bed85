package main

import (
	"crypto/ed25519"
	"fmt"

	"github.com/spf13/cobra"

	"github.com/octostore/octostore/cmd/octostore/internal/audittool"
	"github.com/octostore/octostore/cmd/octostore/internal/exitcode"
	"github.com/octostore/octostore/cmd/octostore/internal/session"
	"github.com/octostore/octostore/cmd/octostore/internal/terminal"
	"github.com/octostore/octostore/core/journal/record"
	"github.com/octostore/octostore/core/store/sqlite"
	"github.com/octostore/octostore/transport/client"
)

const defaultURLHelp = client.DefaultURL + " if it is not set"

func auditCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "audit",
		Short: "Export, follow, verify, replay and search the audit log",
		Long: "Export, follow, verify, replay and search the audit log.\n\n" +
			"export, tail and leases ask the server at OCTOSTORE_URL (" + defaultURLHelp + ");\n" +
			"leases can read exports and a database, too. verify and replay need nothing but files.",
		Args: cobra.NoArgs,
	}
	cmd.AddCommand(auditExportCommand(), auditTailCommand(), auditVerifyCommand(), auditReplayCommand(), auditLeasesCommand(), auditKeyCommand())
	return cmd
}

func auditKeyCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "key",
		Short: "Print the public key that exports of this database are signed with",
		Long: "Print the public key that exports of this database (OCTOSTORE_DB) are signed with. Keep\n" +
			"it somewhere else, and pass it to octostore audit verify --key: whoever can read the\n" +
			"database can sign with its key, and whoever can write an export can make another.",
		Args: cobra.NoArgs,
	}
	envFile := envFileFlag(cmd)
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		loaded, err := loadConfig(*envFile)
		warnUnknown(cmd.ErrOrStderr(), loaded)
		if err != nil {
			return err
		}
		if err := needDatabase(string(loaded.DB)); err != nil {
			return err
		}
		sayDatabase(cmd.ErrOrStderr(), string(loaded.DB))
		in, err := sqlite.Inspect(cmd.Context(), string(loaded.DB), 0, nil)
		if err != nil {
			return err // it names the file
		}
		if in.Key == nil {
			return fmt.Errorf("%s has no key yet: it is of an older version, and a start of octostore serve makes one", loaded.DB)
		}
		_, err = fmt.Fprintln(cmd.OutOrStdout(), record.FormatKey(in.Key))
		return err
	}
	return cmd
}

func auditVerifyCommand() *cobra.Command {
	var pinned string
	cmd := &cobra.Command{
		Use:   "verify FILE...",
		Short: "Check that nothing in an export was changed, dropped, inserted or moved",
		Long: "Check that nothing in an export was changed, dropped, inserted or moved, and say how far\n" +
			"signatures vouch for it. It needs no server. Several files are to continue each other,\n" +
			"in this order; they may be compressed with gzip. - is the standard input.",
		Args: cobra.MinimumNArgs(1),
		RunE: func(cmd *cobra.Command, files []string) error {
			key, err := pinnedKey(pinned)
			if err != nil {
				return err
			}
			return audittool.Verify(cmd.InOrStdin(), cmd.OutOrStdout(), cmd.ErrOrStderr(), key, files)
		},
	}
	cmd.Flags().StringVar(&pinned, "key", "", "the public `key` all signatures have to be by, as octostore audit key prints it")
	return cmd
}

func pinnedKey(text string) (ed25519.PublicKey, error) {
	if text == "" {
		return nil, nil
	}
	key, err := record.ParseKey(text)
	if err != nil {
		return nil, exitcode.Usagef("--key: %w", err)
	}
	return key, nil
}

func auditExportCommand() *cobra.Command {
	var query client.AuditQuery
	var output, state, format string
	var overwrite bool
	cmd := &cobra.Command{
		Use:   "export",
		Short: "Write the record of what happened to a file",
		Long: "Write the record of what happened to a file, to keep it elsewhere. Without filters it\n" +
			"can be verified. A file that is there already is refused, unless --overwrite says to\n" +
			"replace it. With --state it goes on where it ended the last time: what is new is\n" +
			"appended to the file, or begins another one if -o names another.",
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			switch {
			case format != "ndjson" && format != "csv":
				return exitcode.Usagef("--format is %q; want ndjson or csv", format)
			case state != "" && (output == "-" || format == "csv" || query.Limit > 0 || overwrite):
				return exitcode.Usagef("--state needs a file (-o), and does not go with --format csv, --limit or --overwrite")
			}
			c, err := session.NewClient()
			if err != nil {
				return err
			}
			export := audittool.ExportConfig{Client: c, Query: query, CSV: format == "csv", Progress: cmd.ErrOrStderr()}
			switch {
			case state != "":
				return export.Resume(cmd.Context(), output, state)
			case output == "-":
				return export.Stream(cmd.Context(), terminal.Exact(cmd.OutOrStdout()))
			}
			return export.File(cmd.Context(), output, overwrite)
		},
	}
	auditFilterFlags(cmd, &query)
	cmd.Flags().StringVarP(&output, "output", "o", "-", "write to this `file`; - is the standard output")
	cmd.Flags().BoolVar(&overwrite, "overwrite", false, "replace the file of -o if it is there")
	cmd.Flags().StringVar(&state, "state", "", "remember in this `file` where the export ended, and go on there")
	cmd.Flags().StringVar(&query.Since, "since", "", "begin with the first record of this `time`, or this long ago, such as 24h")
	cmd.Flags().StringVar(&query.Until, "until", "", "end before the first record of this `time`, or this long ago")
	cmd.Flags().StringVar(&query.After, "after", "", "begin after this `cursor`")
	cmd.Flags().Int64Var(&query.Limit, "limit", 0, "write at most this many records")
	cmd.Flags().StringVar(&format, "format", "ndjson", "`ndjson`, or csv for spreadsheets")
	return cmd
}

func auditTailCommand() *cobra.Command {
	var query client.AuditQuery
	var asJSON bool
	cmd := &cobra.Command{
		Use:   "tail",
		Short: "Show what was recorded lately, and follow what happens with -f",
		Long: "Show what was recorded lately, and follow what happens with -f: a line for people on a\n" +
			"terminal, JSON elsewhere. A connection that breaks is made again, and goes on where\n" +
			"it was.",
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			c, err := session.NewClient()
			if err != nil {
				return err
			}
			return audittool.Tail(cmd.Context(), audittool.TailConfig{Client: c, Query: query, JSON: asJSON, Out: cmd.OutOrStdout(), Errors: cmd.ErrOrStderr()})
		},
	}
	auditFilterFlags(cmd, &query)
	cmd.Flags().StringVar(&query.Since, "since", "1h", "begin with the first record of this `time`, or this long ago")
	cmd.Flags().BoolVarP(&query.Follow, "follow", "f", false, "go on with what happens")
	cmd.Flags().BoolVar(&asJSON, "json", false, "print JSON on a terminal too")
	return cmd
}

// auditFilterFlags gives a command the filters of the journal.
func auditFilterFlags(cmd *cobra.Command, q *client.AuditQuery) {
	cmd.Flags().StringVar(&q.Prefix, "prefix", "", "only records about names that begin with this `text`")
	cmd.Flags().StringVar(&q.Kind, "kind", "", "only records of these `kinds`, separated by commas, such as granted,denied")
	cmd.Flags().StringVar(&q.Account, "account", "", "only records about leases of this `account`, or that it caused")
	cmd.Flags().StringVar(&q.Decision, "decision", "", "only decisions: `allow`, deny or error")
}

func auditReplayCommand() *cobra.Command {
	var db, pinned string
	cmd := &cobra.Command{
		Use:   "replay FILE...",
		Short: "Rebuild from an export alone who holds what, and compare that with a database",
		Long: "Verify an export, and rebuild from it alone who holds what. With --db what came after\n" +
			"the export is read from that database, and the leases in it are compared. A server may\n" +
			"be running on it.",
		Args: cobra.MinimumNArgs(1),
		RunE: func(cmd *cobra.Command, files []string) error {
			key, err := pinnedKey(pinned)
			if err != nil {
				return err
			}
			return audittool.Replay(cmd.Context(), cmd.InOrStdin(), cmd.OutOrStdout(), key, db, files)
		},
	}
	cmd.Flags().StringVar(&db, "db", "", "compare with this database `file`")
	cmd.Flags().StringVar(&pinned, "key", "", "the public `key` all signatures have to be by, as octostore audit key prints it")
	return cmd
}
