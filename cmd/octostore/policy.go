package main

import (
	"encoding/json"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"path/filepath"

	"github.com/spf13/cobra"

	"github.com/octostore/octostore/cmd/octostore/internal/compiler"
	"github.com/octostore/octostore/cmd/octostore/internal/policytool"
	"github.com/octostore/octostore/hooks"
)

func policyCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "policy",
		Short: "Write, test, look at and load policies",
		Long: "Write, test, look at and load policies: WebAssembly modules that are asked before a lock\n" +
			"is given.\n\n" +
			"list, reload, explain and replay ask the server at OCTOSTORE_URL (" + defaultURLHelp + ").\n" +
			"new, inspect, test, bench and run need nothing but files.",
		Args: cobra.NoArgs,
	}
	cmd.AddCommand(
		policyNewCommand(), policyInspectCommand(), policyTestCommand(), policyBenchCommand(), policyRunCommand(),
		policyListCommand(), policyReloadCommand(), policyExplainCommand(), policyReplayCommand(),
	)
	return cmd
}

// limitFlags gives a command the limits of a module.
func limitFlags(cmd *cobra.Command, l *policytool.Limits) {
	cmd.Flags().Int64Var(&l.Fuel, "fuel", hooks.DefaultFuel, "how many `units` a call may use, as in the manifest")
	cmd.Flags().IntVar(&l.MemoryMiB, "memory-mib", hooks.DefaultMemoryMiB, "how many `MiB` of memory an instance may have, as in the manifest")
	cmd.PreRun = func(*cobra.Command, []string) { l.CacheDir, l.Compile = authorsCache(), compiler.Compile }
}

// authorsCache returns where the commands of those who write policies keep compiled modules:
// the cache folder of the user. A server has a folder of its own, beside its database.
func authorsCache() string {
	base, err := os.UserCacheDir()
	if err != nil {
		return ""
	}
	dir := filepath.Join(base, "octostore", "policies")
	if os.MkdirAll(filepath.Dir(dir), 0o700) != nil {
		return ""
	}
	return dir
}

func policyTestCommand() *cobra.Command {
	var (
		limits       policytool.Limits
		path         string
		seed         uint64
		asJSON, each bool
	)
	cmd := &cobra.Command{
		Use:   "test [DIR]",
		Short: "Run a policy's fixtures",
		Long: "Run the fixtures in DIR/fixtures against the one .wasm file in DIR (default: this directory).\n" +
			"Each case is answered by an instance of its own, by one that answers all of them in\n" +
			"order, and by one that answers them shuffled: a policy that keeps something from one\n" +
			"request for another fails. docs/plugins.md has the format of fixtures.",
		Args: cobra.MaximumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			dir := "."
			if len(args) > 0 {
				dir = args[0]
			}
			var err error
			if path == "" {
				if path, err = policytool.FindModule(dir); err != nil {
					return err
				}
			}
			module, err := policytool.ReadModule(path)
			if err != nil {
				return err
			}
			fixtures, err := policytool.ReadFixtures(filepath.Join(dir, "fixtures"))
			if err != nil {
				return err
			}
			if !cmd.Flags().Changed("seed") {
				seed = rand.Uint64N(1_000_000)
			}
			report, err := policytool.Test(cmd.Context(), module, limits, fixtures, seed)
			if err != nil {
				return err
			}
			if asJSON {
				err = printJSON(cmd.OutOrStdout(), report)
			} else {
				err = report.Print(cmd.OutOrStdout(), each)
			}
			if err == nil && report.Failed > 0 {
				err = fmt.Errorf("%d of the cases of %s failed", report.Failed, module.Path)
			}
			return err
		},
	}
	limitFlags(cmd, &limits)
	cmd.Flags().StringVar(&path, "module", "", "test this `file`")
	cmd.Flags().Uint64Var(&seed, "seed", 0, "shuffle by this `number`, as a run before has printed it; default: a random one")
	cmd.Flags().BoolVarP(&each, "verbose", "v", false, "show every case, and what it logged")
	cmd.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	return cmd
}

func printJSON(w io.Writer, v any) error {
	enc := json.NewEncoder(exact(w))
	enc.SetEscapeHTML(false)
	enc.SetIndent("", "  ")
	return enc.Encode(v)
}
