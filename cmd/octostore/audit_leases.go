package main

import (
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/octostore/octostore/cmd/octostore/internal/audittool"
	"github.com/octostore/octostore/cmd/octostore/internal/exitcode"
	"github.com/octostore/octostore/cmd/octostore/internal/session"
	"github.com/octostore/octostore/core/lock"
	"github.com/octostore/octostore/core/timetext"
)

func auditLeasesCommand() *cobra.Command {
	var f leaseFlags
	cmd := &cobra.Command{
		Use:   "leases [FILE...]",
		Short: "Show who held what, from when to when, and how it ended",
		Long: "Show who held what, from when to when, how it ended (released, expired, broken, undone;\n" +
			"held: its end is not on record), and what policies said to it. The records are those of\n" +
			"the server at OCTOSTORE_URL (" + defaultURLHelp + "), of exports\n" +
			"(FILE..., may be compressed with gzip; - is the standard input), or of a database (--db),\n" +
			"on which a server may be running.\n\n" +
			"--at shows what was held at one time; --since and --until what was held at any time\n" +
			"between them. Leases come in the order in which they ended, those that have not last. A\n" +
			"lease that was granted before the oldest record has no beginning. Times are in UTC; a\n" +
			"date is its midnight. Exports are read, not verified; octostore audit verify does that.\n\n" +
			"A policy that only allowed is not listed. The policy set is the id of those that were asked;\n" +
			"octostore audit export --kind policies_loaded,stopped says which policies a set has.",
		Example: "  octostore audit leases --at 2026-11-27T14:30:00Z --prefix deploy/\n" +
			"  octostore audit leases --since 2026-11-27 --until 2026-11-28 --format csv audit.ndjson",
		Args: cobra.ArbitraryArgs,
		RunE: func(cmd *cobra.Command, files []string) error {
			query, err := f.query(time.Now())
			if err != nil {
				return err
			}
			f.source.Exports, f.source.Kinds, f.source.Client = files, audittool.LeaseKinds, session.NewClient
			// The server knows prefixes; the account of a lease is not that of who broke it.
			f.source.Query.Prefix = query.Prefix
			if query.Name != "" {
				f.source.Query.Prefix = string(query.Name)
			}
			if len(files) > 0 && f.source.DB != "" {
				return exitcode.Usagef("--db and files exclude each other")
			}
			return audittool.WriteLeases(cmd.Context(), cmd.InOrStdin(), cmd.OutOrStdout(), f.source, query, f.format)
		},
	}
	f.add(cmd)
	return cmd
}

// leaseFlags say which leases to show, and how.
type leaseFlags struct {
	source                                          audittool.Source
	at, since, until, name, prefix, account, format string
}

func (f *leaseFlags) add(cmd *cobra.Command) {
	to := cmd.Flags()
	to.StringVar(&f.at, "at", "", "only what was held at this `time`, such as 2026-11-27T14:30:00Z, or this long ago")
	to.StringVar(&f.since, "since", "", "only what was held at this `time` or later: also a date, or how long ago, such as 1d")
	to.StringVar(&f.until, "until", "", "only what was held before this `time`")
	to.StringVar(&f.name, "name", "", "only the lock of this `name`")
	to.StringVar(&f.prefix, "prefix", "", "only locks whose names begin with this `text`")
	to.StringVar(&f.account, "account", "", "only leases of this `account`")
	to.StringVar(&f.format, "format", "text", "`text`, json or csv")
	to.StringVar(&f.source.DB, "db", "", "the records of this database `file`")
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
