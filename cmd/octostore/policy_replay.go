package main

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/octostore/octostore/cmd/octostore/internal/exitcode"
	"github.com/octostore/octostore/cmd/octostore/internal/policytool"
	"github.com/octostore/octostore/core/timetext"
)

func policyReplayCommand() *cobra.Command {
	var (
		limits          policytool.Limits
		replayed        policytool.ReplayConfig
		source          recordSource
		export          string
		settings, since string
		failOn          []string
		asJSON          bool
	)
	cmd := &cobra.Command{
		Use:   "replay FILE",
		Short: "Ask a policy about recorded acquires, and show what would change",
		Long: "Ask the policy in FILE about the recorded decisions on acquires, and show which would\n" +
			"be others with it. The records are those of the server at OCTOSTORE_URL, of an export\n" +
			"(--export), or of a database (--db), on which a server may be running. It asks as if\n" +
			"the policy were the only one, by the default for every name; --match narrows that.\n" +
			"What the journal does not have is absent, and the end of the output says what of that\n" +
			"the policy asked for. With --policy it needs the records of kinds policies_loaded and\n" +
			"stopped, too: they say which policies allowed in silence. --fail-on makes it fail on\n" +
			"changes, for use in CI.",
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
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
			if export != "" {
				source.exports = []string{export}
			}
			if err := learnSets(cmd, source, replayed.Policy, replay); err != nil {
				return err
			}
			source.kinds = policytool.ReplayKinds
			if !replayed.Since.IsZero() {
				source.query.Since = replayed.Since.UTC().Format(time.RFC3339)
			}
			if err := source.read(cmd.Context(), cmd.InOrStdin(), replay.Add); err != nil {
				return err
			}
			report := replay.Report()
			if err := show(cmd, asJSON, report); err != nil {
				return err
			}
			if broken := report.Broken(conditions); len(broken) > 0 {
				return fmt.Errorf("--fail-on %s", strings.Join(broken, "; "))
			}
			return nil
		},
	}
	limitFlags(cmd, &limits)
	to := cmd.Flags()
	to.StringVar(&since, "since", "7d", "begin with the first record of this `time`, or this long ago; all: with the oldest")
	to.StringVar(&export, "export", "", "the records of this export, a `file`, may be compressed with gzip; - is the standard input")
	to.StringVar(&source.db, "db", "", "the records of this database `file`")
	to.StringSliceVar(&replayed.Match, "match", nil, "only locks whose names match these `patterns`, as in a manifest")
	to.StringVar(&replayed.Policy, "policy", "", "compare with what the policy of this `name` said; default: with what came of the request")
	to.IntVar(&replayed.Examples, "examples", 3, "how many `examples` of each change to show")
	to.StringSliceVar(&failOn, "fail-on", nil, "fail on these `changes`, such as allow->deny, *->error, or deny->allow>5 to let five pass")
	to.StringVar(&settings, "config", "", configHelp)
	to.BoolVar(&asJSON, "json", false, "print JSON")
	cmd.MarkFlagsMutuallyExclusive("export", "db")
	return cmd
}

// learnSets has a replay read first which sets of policies there were, if it is to compare
// with one policy. The standard input can be read only once: there the replay learns of a
// set when it comes to it.
func learnSets(cmd *cobra.Command, source recordSource, policy string, replay *policytool.Replay) error {
	if policy == "" || slices.Contains(source.exports, "-") {
		return nil
	}
	source.kinds = policytool.SetKinds
	return source.read(cmd.Context(), cmd.InOrStdin(), replay.Learn)
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
