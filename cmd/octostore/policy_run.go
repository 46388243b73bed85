package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/octostore/octostore/cmd/octostore/internal/config"
	"github.com/octostore/octostore/cmd/octostore/internal/exitcode"
	"github.com/octostore/octostore/cmd/octostore/internal/policytool"
	"github.com/octostore/octostore/cmd/octostore/internal/policytool/fixture"
	"github.com/octostore/octostore/cmd/octostore/internal/text"
	"github.com/octostore/octostore/core/jsontext"
	"github.com/octostore/octostore/core/timetext"
)

var errNoAnswer = errors.New("the policy could not answer")

func policyInspectCommand() *cobra.Command {
	var limits policytool.Limits
	var asJSON bool
	cmd := &cobra.Command{
		Use:   "inspect FILE",
		Short: "Show a module's exports and imports, and whether a server accepts it",
		Long: "Show a module's exports, imports and digest, and every reason why a server refuses it.\n" +
			"The module does not run, so its start and its answer to a configuration do not show.\n" +
			"The command fails if a server refuses the module.",
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			module, err := policytool.ReadModule(args[0])
			if err != nil {
				return err
			}
			in, err := policytool.Inspect(cmd.Context(), module, limits)
			if err != nil {
				return err
			}
			if err := show(cmd, asJSON, in); err != nil {
				return err
			}
			if !in.Loads {
				return fmt.Errorf("%s would be refused", module.Path)
			}
			return nil
		},
	}
	limitFlags(cmd, &limits)
	cmd.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	return cmd
}

func policyBenchCommand() *cobra.Command {
	var (
		limits        policytool.Limits
		bench         policytool.BenchConfig
		dir, settings string
		asJSON        bool
	)
	cmd := &cobra.Command{
		Use:   "bench FILE",
		Short: "Measure the cost of a policy's calls",
		Long: "Measure the cost of a policy's calls: time and fuel, next to a module that does nothing,\n" +
			"and memory growth. --fixtures takes the requests of DIR/fixtures.",
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			module, err := policytool.ReadModule(args[0])
			if err != nil {
				return err
			}
			if dir != "" {
				if bench.Fixtures, err = fixture.Read(filepath.Join(dir, "fixtures")); err != nil {
					return err
				}
			}
			if bench.Config, err = policyConfig(settings); err != nil {
				return err
			}
			if bench.Calls < 1 {
				return exitcode.Usagef("--calls is %d; want 1 or more", bench.Calls)
			}
			report, err := policytool.Bench(cmd.Context(), module, limits, bench)
			if err != nil {
				return err
			}
			return show(cmd, asJSON, report)
		},
	}
	limitFlags(cmd, &limits)
	cmd.Flags().StringVar(
		&dir,
		"fixtures",
		"",
		"`DIR` with the folder fixtures, whose requests and configuration are used (default one request)",
	)
	cmd.Flags().StringVar(&settings, "config", "", configHelp)
	cmd.Flags().IntVar(&bench.Calls, "calls", 100_000, "`NUMBER` of calls")
	cmd.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	cmd.MarkFlagsMutuallyExclusive("fixtures", "config")
	return cmd
}

const configHelp = "configuration of the policy: `JSON`, or the path of a file that holds it"

func policyRunCommand() *cobra.Command {
	var limits policytool.Limits
	var asked requestFlags
	var settings string
	cmd := &cobra.Command{
		Use:   "run FILE",
		Short: "Ask a policy about one request, and print its answer",
		Long: "Ask a policy about one request, and print its answer as JSON: verdict, reason, ttl and\n" +
			"wait after its caps, notes, logs, fuel. --request is a JSON document as in a fixture;\n" +
			"flags replace its members. The time of the request is now unless it is given. The\n" +
			"command fails if the policy could not answer; a denial is an answer.",
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			module, err := policytool.ReadModule(args[0])
			if err != nil {
				return err
			}
			document, err := asked.document(cmd)
			if err != nil {
				return err
			}
			request, err := fixture.ParseRequest(document)
			if err != nil {
				return err
			}
			given, err := policyConfig(settings)
			if err != nil {
				return err
			}
			report, err := policytool.Run(cmd.Context(), module, limits, given, request)
			if err != nil {
				return err
			}
			if err := text.JSON(cmd.OutOrStdout(), report); err != nil {
				return err
			}
			if report.Verdict == "error" {
				err = fmt.Errorf("%w: %s", errNoAnswer, report.Error)
			}
			if report.Advice == nil {
				return err
			}
			if err != nil {
				return fmt.Errorf("%w; it %v", err, report.Advice)
			}
			cmd.PrintErrf("octostore: the call %v\n", report.Advice)
			return nil
		},
	}
	limitFlags(cmd, &limits)
	asked.flags(cmd)
	cmd.Flags().StringVar(&settings, "config", "", configHelp)
	return cmd
}

// show prints a report as JSON or for people.
func show(cmd *cobra.Command, asJSON bool, report interface{ Print(io.Writer) error }) error {
	if asJSON {
		return text.JSON(cmd.OutOrStdout(), report)
	}
	return report.Print(cmd.OutOrStdout())
}

// policyConfig returns a configuration that is given as JSON or by the path of a file.
func policyConfig(given string) (json.RawMessage, error) {
	text := []byte(given)
	if given != "" && !strings.HasPrefix(strings.TrimSpace(given), "{") {
		var err error
		if text, err = os.ReadFile(given); err != nil {
			return nil, fmt.Errorf("--config: %w", err)
		}
	}
	if len(text) == 0 {
		return nil, nil
	}
	if err := jsontext.Check(text); err != nil {
		return nil, exitcode.Usagef("--config: %w", err)
	}
	return text, nil
}

// requestFlags say what request to put to a policy.
type requestFlags struct {
	file, name, account, holder, reason, hook, now string

	ttl, wait string
	metadata  map[string]string
}

func (f *requestFlags) flags(cmd *cobra.Command) {
	to := cmd.Flags()
	to.StringVar(&f.file, "request", "", "`FILE` with the request; - is the standard input")
	to.StringVar(&f.name, "name", "", "`NAME` of the lock (default example)")
	to.StringVar(&f.account, "account", "", "`ACCOUNT` of the request (default local)")
	to.StringVar(&f.holder, "holder", "", "`TEXT` that names the process")
	to.StringVar(&f.reason, "reason", "", "`TEXT` of the reason")
	to.StringVar(&f.hook, "hook", "", "`HOOK` of the request: acquire, renew or break (default acquire)")
	to.StringVar(&f.ttl, "ttl", "", "`DURATION` of the lease (default 60s)")
	to.StringVar(&f.wait, "wait", "", "`DURATION` to wait in the queue (default 0s)")
	to.StringVar(&f.now, "now", "", "`TIME` of the request, such as 2026-12-24T08:00:00Z (default now)")
	to.StringToStringVar(&f.metadata, "meta", nil, "metadata, as `KEY=VALUE`; may be repeated")
}

// document builds the request out of the file and the flags that are given.
func (f *requestFlags) document(cmd *cobra.Command) ([]byte, error) {
	members, err := f.base(cmd.InOrStdin())
	if err != nil {
		return nil, err
	}
	for name, value := range map[string]string{"account": f.account, "holder": f.holder, "reason": f.reason, "hook": f.hook} {
		if cmd.Flags().Changed(name) {
			members[name] = value
		}
	}
	if err := within(members, "lock", map[string]string{"name": f.name}); err != nil {
		return nil, err
	}
	if err := within(members, "metadata", f.metadata); err != nil {
		return nil, err
	}
	for name, text := range map[string]string{"ttl": f.ttl, "wait": f.wait} {
		if text == "" {
			continue
		}
		d, err := config.ParseDuration(text)
		if err != nil {
			return nil, exitcode.Usagef("--%s: %q %w; want one like 90s", name, text, err)
		}
		delete(members, name) // its readable form
		members[name+"_ms"] = d.Milliseconds()
	}
	if f.now != "" {
		t, err := timetext.Time(f.now)
		if err != nil {
			return nil, exitcode.Usagef("--now: is %q; want %s", f.now, timetext.WantTime)
		}
		delete(members, "now")
		members["now_ms"] = t.UnixMilli()
	} else if members["now"] == nil && members["now_ms"] == nil {
		members["now_ms"] = time.Now().UnixMilli()
	}
	return json.Marshal(members)
}

// base is the request of the file, or an empty one.
func (f *requestFlags) base(stdin io.Reader) (map[string]any, error) {
	members := map[string]any{}
	if f.file == "" {
		return members, nil
	}
	var text []byte
	var err error
	if f.file == "-" {
		text, err = io.ReadAll(stdin)
	} else {
		text, err = os.ReadFile(f.file)
	}
	if err != nil {
		return nil, fmt.Errorf("--request: %w", err)
	}
	if _, err := jsontext.Object(text); err != nil {
		return nil, exitcode.Usagef("--request: %s %w", f.file, err)
	}
	dec := json.NewDecoder(strings.NewReader(string(text)))
	dec.UseNumber()
	if err := dec.Decode(&members); err != nil {
		return nil, exitcode.Usagef("--request: %s: %w", f.file, err)
	}
	return members, nil
}

// within sets members of an object that is a member.
func within(members map[string]any, name string, set map[string]string) error {
	for _, key := range slices.Sorted(maps.Keys(set)) {
		if set[key] == "" && name == "lock" {
			continue
		}
		inner, is := members[name].(map[string]any)
		if _, there := members[name]; there && !is {
			return exitcode.Usagef("--request: %s is not an object", name)
		}
		if inner == nil {
			inner = map[string]any{}
			members[name] = inner
		}
		inner[key] = set[key]
	}
	return nil
}
