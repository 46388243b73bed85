package main

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/octostore/octostore/cmd/octostore/internal/compiler"
	"github.com/octostore/octostore/cmd/octostore/internal/exitcode"
	"github.com/octostore/octostore/cmd/octostore/internal/policytool"
	"github.com/octostore/octostore/cmd/octostore/internal/policytool/fixture"
	"github.com/octostore/octostore/cmd/octostore/internal/policytool/scaffold"
	"github.com/octostore/octostore/cmd/octostore/internal/text"
	"github.com/octostore/octostore/hooks"
	"github.com/octostore/octostore/plugins"
	policyexamples "github.com/octostore/octostore/sdk-examples/policies"
)

func policyCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "policy",
		Short: "Create, test, inspect and load policies",
		Long: "Create, test, inspect and load policies: WebAssembly modules that decide, beside the\n" +
			"server's own rules, about acquiring, renewing and breaking locks.\n\n" +
			"list, reload, explain and replay ask a server, which their flags choose.\n" +
			"new, inspect, test, bench and run work on files only.",
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
	cmd.Flags().Int64Var(&l.Fuel, "fuel", hooks.DefaultFuel, "`UNITS` that a call may use, as in the manifest")
	cmd.Flags().IntVar(&l.MemoryMiB, "memory-mib", hooks.DefaultMemoryMiB, "memory limit of an instance in `MIB`, as in the manifest")
	cmd.PreRun = func(*cobra.Command, []string) { l.CacheDir, l.Compile = authorsCache(), compiler.Compile }
}

// authorsCache returns the folder for compiled modules of commands for policy authors, in
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
		limits            policytool.Limits
		path, junit, name string
		seed              uint64
		asJSON, each      bool
	)
	cmd := &cobra.Command{
		Use:   "test [DIR]",
		Short: "Run a policy's fixtures",
		Long: "Run the fixtures in DIR/fixtures against the one .wasm file in DIR (default: this directory).\n" +
			"Each case is answered by an instance of its own, by one that answers all of them in\n" +
			"order, and by one that answers them shuffled: a policy that keeps something from one\n" +
			"request for another fails. docs/policy-reference.md has the format of fixtures.\n\n" +
			"--run selects cases by name, --junit writes a report for CI beside the usual output.",
		Args: cobra.MaximumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			dir := "."
			if len(args) > 0 {
				dir = args[0]
			}
			selected, err := regexp.Compile(name)
			if err != nil {
				return exitcode.Usagef("--run: %w", err)
			}
			if path == "" {
				if path, err = policytool.FindModule(dir); err != nil {
					return err
				}
			}
			module, err := policytool.ReadModule(path)
			if err != nil {
				return err
			}
			fixtures, err := fixture.Read(filepath.Join(dir, "fixtures"))
			if err != nil {
				return err
			}
			if fixtures, err = fixture.Select(fixtures, selected); err != nil {
				return fmt.Errorf("--run: %w", err)
			}
			if !cmd.Flags().Changed("seed") {
				seed = rand.Uint64N(1_000_000)
			}
			report, err := policytool.Test(cmd.Context(), module, limits, fixtures, seed)
			if err != nil {
				return err
			}
			if err := writeJUnit(junit, report); err != nil {
				return err
			}
			if asJSON {
				err = text.JSON(cmd.OutOrStdout(), report)
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
	cmd.Flags().StringVar(&path, "module", "", "`FILE` to test (default the one .wasm file in DIR)")
	cmd.Flags().Uint64Var(&seed, "seed", 0, "`NUMBER` that decides the shuffled order, as an earlier run printed it (default a random one)")
	cmd.Flags().BoolVarP(&each, "verbose", "v", false, "show every case and its log lines")
	cmd.Flags().StringVar(&name, "run", "", "run only cases whose names match `PATTERN`, a regular expression")
	cmd.Flags().StringVar(&junit, "junit", "", "write a JUnit XML report to `FILE`")
	cmd.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	return cmd
}

// writeJUnit writes a report to a file; without a name it does nothing.
func writeJUnit(path string, report policytool.TestReport) error {
	if path == "" {
		return nil
	}
	var text bytes.Buffer
	if err := report.WriteJUnit(&text); err != nil {
		return err
	}
	if err := os.WriteFile(path, text.Bytes(), 0o666); err != nil {
		return fmt.Errorf("--junit: %w", err)
	}
	return nil
}

func policyNewCommand() *cobra.Command {
	var lang string
	languages := strings.Join(scaffold.Languages(), ", ")
	cmd := &cobra.Command{
		Use:   "new NAME",
		Short: "Create a policy in a new folder",
		Long: "Create a policy in the new folder NAME: source, Makefile, fixtures, and a README that\n" +
			"names the needed tools. In Go, the default, the folder also has tests and the SDK, so\n" +
			"that it needs the Go toolchain and no network. --lang chooses another language.",
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			if !slices.Contains(scaffold.Languages(), lang) {
				return exitcode.Usagef("--lang: is %q; want %s", lang, languages)
			}
			name := args[0]
			if err := scaffold.New(name, name, lang, scaffold.Sources{SDK: plugins.SDK, Examples: policyexamples.Examples}); err != nil {
				return err
			}
			_, err := fmt.Fprintf(
				cmd.OutOrStdout(),
				"%s is a policy that wants a ticket. Make it yours, and build and test it:\n  cd %s && make%s\n",
				name,
				name,
				namingItself(),
			)
			return err
		},
	}
	cmd.Flags().StringVar(&lang, "lang", "go", "`LANGUAGE` of the policy: "+languages)
	completeWords(cmd, "lang", scaffold.Languages()...)
	return cmd
}

// namingItself is what make has to be told where octostore is not to be found by its
// name.
func namingItself() string {
	if _, err := exec.LookPath("octostore"); err == nil {
		return ""
	}
	binary, err := os.Executable()
	if err != nil {
		return ""
	}
	return " OCTOSTORE=" + binary
}
