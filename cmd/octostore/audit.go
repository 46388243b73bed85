package main

import (
	"crypto/ed25519"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/octostore/octostore/cmd/octostore/internal/audittool"
	"github.com/octostore/octostore/cmd/octostore/internal/exitcode"
	"github.com/octostore/octostore/cmd/octostore/internal/session"
	"github.com/octostore/octostore/cmd/octostore/internal/terminal"
	"github.com/octostore/octostore/core/journal/record"
	"github.com/octostore/octostore/core/lock"
	"github.com/octostore/octostore/core/timetext"
	"github.com/octostore/octostore/transport/client"
)

func auditCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "audit",
		Short: "Export, follow, verify, replay and search the audit log",
		Long: "Export, follow, verify, replay and search the audit log.\n\n" +
			"export, tail and leases ask a server, which their flags choose.\n" +
			"leases can read exports or a database instead. verify and replay need only files.",
		Args: cobra.NoArgs,
	}
	cmd.AddCommand(
		auditExportCommand(),
		auditTailCommand(),
		auditVerifyCommand(),
		auditReplayCommand(),
		auditLeasesCommand(),
		auditKeyCommand(),
	)
	return cmd
}

func auditKeyCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "key",
		Short: "Show the public key that signs exports of this database",
		Long: "Show the public key that signs exports of this database (OCTOSTORE_DB), or of the table\n" +
			"in etcd (OCTOSTORE_STORE=etcd), on which servers may be running. Keep a copy elsewhere and pass it to octostore audit verify --key: anyone with read access to the\n" +
			"database can sign with its key, and anyone can sign a forged export with another key.",
		Args: cobra.NoArgs,
	}
	envFile := envFileFlag(cmd)
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		loaded, err := loadConfig(*envFile)
		warnUnknown(cmd.ErrOrStderr(), loaded)
		if err != nil {
			return err
		}
		t, err := configuredTable(cmd, loaded.Config)
		if err != nil {
			return err
		}
		in, err := t.Inspect(cmd.Context(), 0, nil)
		if err != nil {
			return err // it names the table
		}
		if in.Key == nil {
			return fmt.Errorf("%s has no key yet: it is of an older version, and a start of octostore serve makes one", t)
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
		Short: "Verify that an export is complete and unchanged",
		Long: "Verify that no record of an export was changed, removed, inserted or moved, and show how\n" +
			"far signatures cover it. No server is needed. Several files must continue each other in\n" +
			"the order given. A folder stands for the files of the archive in it. Files may be\n" +
			"compressed with gzip; - is the standard input.",
		Args: cobra.MinimumNArgs(1),
		RunE: func(cmd *cobra.Command, files []string) error {
			key, err := pinnedKey(pinned)
			if err != nil {
				return err
			}
			return audittool.Verify(cmd.InOrStdin(), cmd.OutOrStdout(), cmd.ErrOrStderr(), key, files)
		},
	}
	cmd.Flags().StringVar(&pinned, "key", "", "require signatures by this public `KEY`, as printed by octostore audit key")
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
	var server *session.Server
	var query client.AuditQuery
	var output, state, format string
	var overwrite bool
	cmd := &cobra.Command{
		Use:   "export",
		Short: "Export the audit log to a file",
		Long: "Export the audit log to a file. An export without filters can be verified. An existing\n" +
			"file is replaced only with --overwrite. With --state the export continues where the last\n" +
			"one ended: new records are appended to the file, or start a new file if -o names another.",
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			switch {
			case format != "ndjson" && format != "csv":
				return exitcode.Usagef("--format is %q; want ndjson or csv", format)
			case state != "" && (output == "-" || format == "csv" || query.Limit > 0 || overwrite):
				return exitcode.Usagef("--state needs a file (-o), and does not go with --format csv, --limit or --overwrite")
			}
			c, err := server.NewClient()
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
	server = serverFlags(cmd)
	auditFilterFlags(cmd, &query)
	cmd.Flags().StringVarP(&output, "output", "o", "-", "write to `FILE`; - is the standard output")
	cmd.Flags().BoolVar(&overwrite, "overwrite", false, "replace an existing file")
	cmd.Flags().StringVar(&state, "state", "", "continue the export whose state is in `FILE`, and update it")
	cmd.Flags().StringVar(&query.Since, "since", "", "start at `TIME`, or that long ago, such as 24h")
	cmd.Flags().StringVar(&query.Until, "until", "", "stop before `TIME`, or that long ago")
	cmd.Flags().StringVar(&query.After, "after", "", "start after `CURSOR`")
	cmd.Flags().Int64Var(&query.Limit, "limit", 0, "export at most this `NUMBER` of records (default no limit)")
	cmd.Flags().StringVar(&format, "format", "ndjson", "`FORMAT`: ndjson, or csv for spreadsheets")
	completeWords(cmd, "format", "ndjson", "csv")
	return cmd
}

func auditTailCommand() *cobra.Command {
	var server *session.Server
	var query client.AuditQuery
	var asJSON bool
	cmd := &cobra.Command{
		Use:   "tail",
		Short: "Show recent audit records, and follow new ones with -f",
		Long: "Show recent audit records, and follow new ones with -f: readable lines on a terminal, JSON\n" +
			"elsewhere. After a lost connection it reconnects and continues where it was.",
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			c, err := server.NewClient()
			if err != nil {
				return err
			}
			if query.After != "" && !cmd.Flags().Changed("since") {
				query.Since = ""
			}
			return audittool.Tail(
				cmd.Context(),
				audittool.TailConfig{Client: c, Query: query, JSON: asJSON, Out: cmd.OutOrStdout(), Errors: cmd.ErrOrStderr()},
			)
		},
	}
	server = serverFlags(cmd)
	auditFilterFlags(cmd, &query)
	cmd.Flags().StringVar(&query.Since, "since", "1h", "start at `TIME`, or that long ago")
	cmd.Flags().StringVar(&query.After, "after", "", "start after `CURSOR`, the seq of a record, instead of an hour ago")
	cmd.Flags().BoolVarP(&query.Follow, "follow", "f", false, "wait for new records and show them")
	cmd.Flags().BoolVar(&asJSON, "json", false, "print JSON also on a terminal")
	return cmd
}

// auditFilterFlags gives a command the filters of the journal.
func auditFilterFlags(cmd *cobra.Command, q *client.AuditQuery) {
	cmd.Flags().StringVar(&q.Prefix, "prefix", "", "only records about lock names that begin with `TEXT`")
	cmd.Flags().StringVar(&q.Kind, "kind", "", "only records of these `KINDS`, separated by commas, such as granted,denied")
	cmd.Flags().StringVar(&q.Account, "account", "", "only records about leases of `ACCOUNT`, or caused by it")
	cmd.Flags().StringVar(&q.Decision, "decision", "", "only policy decisions of this `KIND`: allow, deny or error")
	completeWords(cmd, "decision", "allow", "deny", "error")
	var kinds []string
	for _, k := range lock.Kinds() {
		kinds = append(kinds, string(k))
	}
	completeWords(cmd, "kind", kinds...)
}

func auditReplayCommand() *cobra.Command {
	var db tableFlag
	var pinned string
	cmd := &cobra.Command{
		Use:   "replay FILE...",
		Short: "Rebuild the lease state from an export, and compare it with a database",
		Long: "Verify an export, and rebuild the lease state from it. FILE may be the folder of an\n" +
			"archive. With --db the records after the export are read from that database, and the\n" +
			"result is compared with its leases. A server may be running on the database.",
		Args: cobra.MinimumNArgs(1),
		RunE: func(cmd *cobra.Command, files []string) error {
			key, err := pinnedKey(pinned)
			if err != nil {
				return err
			}
			return audittool.Replay(cmd.Context(), cmd.InOrStdin(), cmd.OutOrStdout(), cmd.ErrOrStderr(), key, db.table, files)
		},
	}
	cmd.Flags().Var(&db, "db", "compare with the database in `FILE`, or with the table at etcd://HOST:PORT/PREFIX/")
	cmd.Flags().StringVar(&pinned, "key", "", "require signatures by this public `KEY`, as printed by octostore audit key")
	return cmd
}

func auditLeasesCommand() *cobra.Command {
	var server *session.Server
	var f leaseFlags
	cmd := &cobra.Command{
		Use:   "leases [FILE...]",
		Short: "Show the leases of the past: holder, times, and how each ended",
		Long: "Show the leases of the past: holder, times, how each ended (released, expired, broken,\n" +
			"undone; held if its end is not on record), and what policies decided. The records come\n" +
			"from the server, from exports (FILE..., may be compressed with gzip, or the folder of an\n" +
			"archive; - is the standard input), or from a database (--db), on which a server may be running.\n\n" +
			"--at selects leases held at one time; --since and --until those held at any time\n" +
			"between. Leases are sorted by their end; leases without an end come last. A lease\n" +
			"granted before the oldest record has no start. Times are in UTC; a date is its\n" +
			"midnight. Exports are not verified; octostore audit verify does that.\n\n" +
			"Policies that only allowed are not listed. The policy set is the id of the policies that\n" +
			"were evaluated; octostore audit export --kind policies_loaded,stopped lists them.",
		Example: "  octostore audit leases --at 2026-11-27T14:30:00Z --prefix deploy/\n" +
			"  octostore audit leases --since 2026-11-27 --until 2026-11-28 --format csv audit.ndjson",
		Args: cobra.ArbitraryArgs,
		RunE: func(cmd *cobra.Command, files []string) error {
			query, err := f.query(time.Now())
			if err != nil {
				return err
			}
			f.source.Table = f.db.table
			f.source.Exports, f.source.Kinds, f.source.Client = files, audittool.LeaseKinds, server.NewClient
			// The server knows prefixes; the account of a lease is not that of who broke it.
			f.source.Query.Prefix = query.Prefix
			if query.Name != "" {
				f.source.Query.Prefix = string(query.Name)
			}
			if len(files) > 0 && f.source.Table != nil {
				return exitcode.Usagef("--db and files exclude each other")
			}
			return audittool.WriteLeases(cmd.Context(), cmd.InOrStdin(), cmd.OutOrStdout(), f.source, query, f.format)
		},
	}
	server = serverFlags(cmd)
	f.add(cmd)
	return cmd
}

// leaseFlags say which leases to show, and how.
type leaseFlags struct {
	source                                          audittool.Source
	db                                              tableFlag
	at, since, until, name, prefix, account, format string
}

func (f *leaseFlags) add(cmd *cobra.Command) {
	to := cmd.Flags()
	to.StringVar(&f.at, "at", "", "only leases held at `TIME`, such as 2026-11-27T14:30:00Z, or that long ago")
	to.StringVar(&f.since, "since", "", "only leases held at `TIME` or later: a time, a date, or how long ago, such as 1d")
	to.StringVar(&f.until, "until", "", "only leases held before `TIME`")
	to.StringVar(&f.name, "name", "", "only the lock `NAME`")
	to.StringVar(&f.prefix, "prefix", "", "only locks whose names begin with `TEXT`")
	to.StringVar(&f.account, "account", "", "only leases of `ACCOUNT`")
	to.StringVar(&f.format, "format", "text", "`FORMAT`: text, json or csv")
	completeWords(cmd, "format", audittool.Formats...)
	to.Var(&f.db, "db", "read the records of the database in `FILE`, or of etcd://HOST:PORT/PREFIX/")
	cmd.MarkFlagsMutuallyExclusive("at", "since")
	cmd.MarkFlagsMutuallyExclusive("at", "until")
	cmd.MarkFlagsMutuallyExclusive("name", "prefix")
}

func (f *leaseFlags) query(now time.Time) (q audittool.Query, err error) {
	if !slices.Contains(audittool.Formats, f.format) {
		return q, exitcode.Usagef("--format is %q; want one of %s", f.format, strings.Join(audittool.Formats, ", "))
	}
	q = audittool.Query{Name: lock.Name(f.name), Prefix: f.prefix, Account: f.account}
	var at time.Time
	for _, t := range []struct {
		flag, text string
		to         *time.Time
	}{{"at", f.at, &at}, {"since", f.since, &q.Since}, {"until", f.until, &q.Until}} {
		if t.text == "" {
			continue
		}
		if *t.to, err = timetext.Instant(t.text, now); err != nil {
			return q, exitcode.Usagef("--%s is %q; want %s", t.flag, t.text, timetext.WantInstant)
		}
	}
	if !q.Since.IsZero() && !q.Until.IsZero() && !q.Since.Before(q.Until) {
		return q, exitcode.Usagef("--since %s is not before --until %s", f.since, f.until)
	}
	if f.at != "" {
		q.At(at)
	}
	return q, nil
}
