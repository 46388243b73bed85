package main

import (
	"bufio"
	"bytes"
	"compress/gzip"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/octostore/octostore/cmd/octostore/internal/exitcode"
	"github.com/octostore/octostore/cmd/octostore/internal/policytool"
	"github.com/octostore/octostore/core/journal"
	"github.com/octostore/octostore/core/lock"
	"github.com/octostore/octostore/core/store/sqlite"
	"github.com/octostore/octostore/core/timetext"
	"github.com/octostore/octostore/transport/client"
)

func policyReplayCommand() *cobra.Command {
	var (
		limits          policytool.Limits
		replayed        policytool.ReplayConfig
		source          replaySource
		settings, since string
		failOn          []string
		asJSON          bool
	)
	cmd := &cobra.Command{
		Use:   "replay FILE",
		Short: "Put the recorded decisions about acquires to a policy, and show what would change",
		Long: "Put the recorded decisions about acquires to the policy in FILE, and show which would\n" +
			"be others with it. The records are those of the server at OCTOSTORE_URL, of an export\n" +
			"(--export), or of a database (--db), on which a server may be running. It asks as if\n" +
			"the policy were the only one, by the default for every name; --match narrows that.\n" +
			"What the journal does not have is absent, and the end of the output says what of that\n" +
			"the policy asked for. --fail-on makes it fail on changes, for use in CI.",
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
			if err := source.read(cmd.Context(), cmd.InOrStdin(), replayed.Since, replay.Add); err != nil {
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
	to.StringVar(&source.export, "export", "", "the records of this export, a `file`, may be compressed with gzip; - is the standard input")
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

// replaySource is where records come from: an export, a database, or the server.
type replaySource struct{ export, db string }

// read passes all records to add, and perhaps some that are not wanted.
func (s replaySource) read(ctx context.Context, stdin io.Reader, since time.Time, add func(line []byte) error) error {
	switch {
	case s.db != "":
		return readDatabase(ctx, s.db, add)
	case s.export == "-":
		return readExport(stdin, add)
	case s.export != "":
		f, err := os.Open(s.export)
		if err != nil {
			return fmt.Errorf("--export: %w", err)
		}
		defer f.Close()
		if err := readExport(f, add); err != nil {
			return fmt.Errorf("%s: %w", s.export, err)
		}
		return nil
	}
	c, err := newClient()
	if err != nil {
		return err
	}
	body, err := c.Audit(ctx, replayQuery(since))
	if err != nil {
		return err
	}
	defer body.Close()
	return readExport(body, add)
}

func replayQuery(since time.Time) client.AuditQuery {
	var kinds []string
	for _, k := range policytool.ReplayKinds {
		kinds = append(kinds, string(k))
	}
	q := client.AuditQuery{Kind: strings.Join(kinds, ",")}
	if !since.IsZero() {
		q.Since = since.UTC().Format(time.RFC3339)
	}
	return q
}

func readDatabase(ctx context.Context, path string, add func(line []byte) error) error {
	if _, err := os.Stat(path); err != nil {
		return fmt.Errorf("--db: %w", err)
	}
	_, err := sqlite.Inspect(ctx, path, 0, func(s lock.Segment) error {
		for l := range journal.Lines(s, 0) {
			if !slices.Contains(policytool.ReplayKinds, l.Kind) {
				continue
			}
			if err := add(l.Bytes); err != nil {
				return err
			}
		}
		return nil
	})
	return err
}

// readExport reads the lines of an export, which has to be whole: it may have broken off
// just before what matters.
func readExport(from io.Reader, add func(line []byte) error) error {
	in := bufio.NewReaderSize(from, 256<<10)
	if magic, _ := in.Peek(2); bytes.Equal(magic, []byte{0x1f, 0x8b}) {
		unpacked, err := gzip.NewReader(in)
		if err != nil {
			return err
		}
		in = bufio.NewReaderSize(unpacked, 256<<10)
	}
	var last []byte
	for {
		line, err := in.ReadBytes('\n')
		if len(line) > 0 {
			last = line
			if err := add(line); err != nil {
				return err
			}
		}
		if err == io.EOF {
			break
		}
		if err != nil {
			return err
		}
	}
	if !bytes.HasPrefix(last, []byte(`{"end":true`)) {
		return errors.New("the export broke off before its closing line")
	}
	return nil
}
