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
		Short: "Show the leases of the past: holder, times, and how each ended",
		Long: "Show the leases of the past: holder, times, how each ended (released, expired, broken,\n" +
			"undone; held if its end is not on record), and what policies decided. The records come\n" +
			"from the server at OCTOSTORE_URL (" + defaultURLHelp + "), from exports\n" +
			"(FILE..., may be compressed with gzip; - is the standard input), or from a database\n" +
			"(--db), on which a server may be running.\n\n" +
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
	to.StringVar(&f.at, "at", "", "only leases held at `TIME`, such as 2026-11-27T14:30:00Z, or that long ago")
	to.StringVar(&f.since, "since", "", "only leases held at `TIME` or later: a time, a date, or how long ago, such as 1d")
	to.StringVar(&f.until, "until", "", "only leases held before `TIME`")
	to.StringVar(&f.name, "name", "", "only the lock `NAME`")
	to.StringVar(&f.prefix, "prefix", "", "only locks whose names begin with `TEXT`")
	to.StringVar(&f.account, "account", "", "only leases of `ACCOUNT`")
	to.StringVar(&f.format, "format", "text", "`FORMAT`: text, json or csv")
	to.StringVar(&f.source.DB, "db", "", "read the records of the database in `FILE`")
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
