package main

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/octostore/octostore/cmd/octostore/internal/audittool"
	"github.com/octostore/octostore/cmd/octostore/internal/exitcode"
	"github.com/octostore/octostore/cmd/octostore/internal/policytool"
	"github.com/octostore/octostore/cmd/octostore/internal/session"
	"github.com/octostore/octostore/cmd/octostore/internal/text"
	"github.com/octostore/octostore/core/timetext"
	"github.com/octostore/octostore/transport/client"
)

func policyListCommand() *cobra.Command {
	var server *session.Server
	var asJSON bool
	cmd := &cobra.Command{
		Use:   "list",
		Short: "List a running server's policies",
		Long: "List the policies of the server, and what they have done since they\n" +
			"were loaded. Fuel is an upper bound, within a factor of two. A policy with mode off is\n" +
			"not loaded, and so has no digest. The server calls a policy with an open breaker, one that\n" +
			"keeps failing, only for a probe at intervals; otherwise on_error decides.",
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			c, err := server.NewClient()
			if err != nil {
				return err
			}
			list, err := c.Policies(cmd.Context())
			if err != nil {
				return err
			}
			return show(cmd, asJSON, text.PolicyList(list))
		},
	}
	server = serverFlags(cmd)
	cmd.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	return cmd
}

func policyReloadCommand() *cobra.Command {
	var server *session.Server
	var reason string
	cmd := &cobra.Command{
		Use:   "reload",
		Short: "Reload a running server's policies",
		Long: "Reload the policies of the server: all of them, or, if one of them\n" +
			"has a mistake, none. The error names every mistake.",
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			c, err := server.NewClient()
			if err != nil {
				return err
			}
			reloaded, err := c.ReloadPolicies(cmd.Context(), reason)
			if err != nil {
				return err
			}
			_, err = fmt.Fprintln(cmd.OutOrStdout(), reloaded.Changes)
			return err
		},
	}
	server = serverFlags(cmd)
	cmd.Flags().StringVar(&reason, "reason", "", "`TEXT` for the audit log: why")
	return cmd
}

func policyExplainCommand() *cobra.Command {
	var server *session.Server
	var query client.ExplainQuery
	var asJSON bool
	cmd := &cobra.Command{
		Use:   "explain NAME",
		Short: "Show what a running server's policies would say to a request, and why",
		Long: "Show what every policy of the server would say to a request for the\n" +
			"lock NAME, and why. Nothing is locked, renewed, broken or recorded.\n\n" +
			"--hook renew and --hook break ask about the present lease; a renewal takes --ttl, a\n" +
			"break takes --reason. --at tells the policies another time, for a window that is yet to\n" +
			"come; locks and queues stay those of now.",
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			query.Name = args[0]
			c, err := server.NewClient()
			if err != nil {
				return err
			}
			e, err := c.ExplainPolicies(cmd.Context(), query)
			if err != nil {
				return err
			}
			return show(cmd, asJSON, text.Explanation(e))
		},
	}
	server = serverFlags(cmd)
	to := cmd.Flags()
	to.StringVar(&query.Hook, "hook", "", "`HOOK` to explain: acquire, renew or break (default acquire)")
	to.StringVar(&query.At, "at", "", "`TIME` of the request, such as 2026-12-24T18:00:00+01:00 (default now)")
	to.StringVar(&query.Account, "account", "", "`ACCOUNT` of the request; another than your own takes the scope read:**")
	to.StringVar(&query.TTL, "ttl", "", "`DURATION` of the lease (default the server's; of a renewal that of the lease)")
	to.StringVar(&query.Wait, "wait", "", "`DURATION` to wait in the queue (default 0s)")
	to.StringVar(&query.Holder, "holder", "", "`TEXT` that names the process")
	to.StringVar(&query.Reason, "reason", "", "`TEXT` of the reason")
	to.StringToStringVar(&query.Metadata, "meta", nil, "metadata, as `KEY=VALUE`; may be repeated")
	to.BoolVar(&asJSON, "json", false, "print JSON")
	completeWords(cmd, "hook", "acquire", "renew", "break")
	cmd.ValidArgsFunction = completeLocks
	return cmd
}

// errNothingCompared fails a check that would pass whatever the policy says.
var errNothingCompared = errors.New(
	"--fail-on: no decision was compared, so the check shows nothing; look at --match, --since, --policy and the source of the records",
)

func policyReplayCommand() *cobra.Command {
	var (
		server          *session.Server
		limits          policytool.Limits
		replayed        policytool.ReplayConfig
		source          audittool.Source
		db              tableFlag
		export          string
		settings, since string
		failOn          []string
		asJSON          bool
	)
	cmd := &cobra.Command{
		Use:   "replay FILE",
		Short: "Run a policy on recorded acquires, and show which decisions change",
		Long: "Run the policy in FILE on the recorded decisions about acquires, and show which of them\n" +
			"change. The records are those of the server, of an export (--export),\n" +
			"or of a database (--db), on which a server may be running. The policy is asked as if it\n" +
			"were the only one, about every lock name or those that --match selects. Keys that the\n" +
			"audit log does not have are absent; the end of the output lists those that the policy\n" +
			"asked for. With --policy, records of kinds policies_loaded and stopped are needed too: they\n" +
			"name the policies that allowed without a verdict. With --fail-on, for use in CI, the\n" +
			"command fails on the named changes, and also if no decision was compared.",
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			for _, name := range []string{"fail-on", "match"} {
				if given := cmd.Flags().Lookup(name); given.Changed && given.Value.String() == "[]" {
					return exitcode.Usagef("--%s: is empty; want a value, or leave it out", name)
				}
			}
			conditions, err := parseConditions(failOn)
			if err != nil {
				return err
			}
			if replayed.Since, err = parseSince(since, time.Now()); err != nil {
				return err
			}
			if replayed.Config, err = policyConfig(settings); err != nil {
				return err
			}
			module, err := policytool.ReadModule(args[0])
			if err != nil {
				return err
			}
			replay, err := policytool.NewReplay(cmd.Context(), module, limits, replayed)
			if err != nil {
				return err
			}
			defer replay.Close()
			source.Client, source.Table = server.NewClient, db.table
			if export != "" {
				source.Exports = []string{export}
			}
			if err := learnSets(cmd, source, replayed.Policy, replay); err != nil {
				return err
			}
			source.Kinds = policytool.ReplayKinds
			if !replayed.Since.IsZero() {
				source.Query.Since = replayed.Since.UTC().Format(time.RFC3339)
			}
			if err := source.Read(cmd.Context(), cmd.InOrStdin(), replay.Add); err != nil {
				return err
			}
			report := replay.Report()
			if err := show(cmd, asJSON, report); err != nil {
				return err
			}
			if len(conditions) > 0 && report.Decisions == 0 {
				return errNothingCompared
			}
			if broken := report.Broken(conditions); len(broken) > 0 {
				return fmt.Errorf("--fail-on %s", strings.Join(broken, "; "))
			}
			return nil
		},
	}
	server = serverFlags(cmd)
	limitFlags(cmd, &limits)
	to := cmd.Flags()
	to.StringVar(&since, "since", "7d", "`TIME` of the first record, or how long ago it was, or all")
	to.StringVar(&export, "export", "", "export `FILE` with the records, plain or compressed with gzip; - is the standard input")
	to.Var(&db, "db", "database `FILE` with the records, or etcd://HOST:PORT/PREFIX/")
	to.StringSliceVar(&replayed.Match, "match", nil, "only locks whose names match these `PATTERNS`, as in a manifest")
	to.StringVar(
		&replayed.Policy,
		"policy",
		"",
		"compare with the recorded verdict of the policy `NAME` (default with the outcome of the request)",
	)
	to.IntVar(&replayed.Examples, "examples", 3, "`NUMBER` of examples of each change")
	to.StringSliceVar(&failOn, "fail-on", nil, "fail on these `CHANGES`, such as allow->deny, *->error, or deny->allow>5 to let five pass")
	to.StringVar(&settings, "config", "", configHelp)
	to.BoolVar(&asJSON, "json", false, "print JSON")
	cmd.MarkFlagsMutuallyExclusive("export", "db")
	return cmd
}

// learnSets has a replay read first which sets of policies there were, if it is to compare
// with one policy. The standard input can be read only once: there the replay learns of a
// set when it comes to it.
func learnSets(cmd *cobra.Command, source audittool.Source, policy string, replay *policytool.Replay) error {
	if policy == "" || slices.Contains(source.Exports, "-") {
		return nil
	}
	source.Kinds = policytool.SetKinds
	return source.Read(cmd.Context(), cmd.InOrStdin(), replay.Learn)
}

func parseConditions(texts []string) (all []policytool.Condition, err error) {
	for _, text := range texts {
		c, err := policytool.ParseCondition(text)
		if err != nil {
			return nil, exitcode.Usagef("--fail-on: %w", err)
		}
		all = append(all, c)
	}
	return all, nil
}

// parseSince returns the time that is meant, the zero time for all.
func parseSince(text string, now time.Time) (time.Time, error) {
	if text == "all" {
		return time.Time{}, nil
	}
	t, err := timetext.Instant(text, now)
	if err != nil {
		return time.Time{}, exitcode.Usagef("--since: %q %w; want %s, or all", text, err, timetext.WantInstant)
	}
	return t, nil
}
