package main

import (
	"encoding/json"
	"os"
	"time"

	"github.com/spf13/cobra"

	"github.com/octostore/octostore/cmd/octostore/internal/bench"
	"github.com/octostore/octostore/cmd/octostore/internal/server"
)

func benchCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "bench",
		Short: "Measure how fast a server is on this machine",
		Long: "Measure how fast a server is on this machine.\n\n" +
			"Without --url it starts a server of its own, with the settings a server started\n" +
			"here would have and a fresh database, and stops it afterwards. By turns with it\n" +
			"runs the ceiling: a server that answers the same requests with fixed text, so that\n" +
			"every figure can be read as a share of what net/http gives on this machine.\n\n" +
			"The load runs beside the server and takes its part of the processor. Fencing tokens\n" +
			"and answers are checked all the time; anything wrong makes the exit code 1.",
		Args: cobra.NoArgs, // else a mode that does not exist is a success
		RunE: func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	cmd.AddCommand(
		benchMode(bench.Acquire, "Acquire and release locks that nobody else wants", "connections", "timing", "variant", "with-token"),
		benchMode(bench.Handover, "Hand a lock from holder to waiter, as fast as it goes", "waiters", "locks", "timing"),
		benchMode(bench.Status, "Read a lock that is held", "connections", "writers", "timing"),
		benchMode(bench.Waiters, "Let many requests wait: what each costs, and how soon all are answered", "waiters", "locks"),
		benchMode(bench.Locks, "Hold many locks: what each costs", "connections", "locks"),
		benchMode(bench.Ceiling, "Measure only what net/http gives on this machine", "connections", "timing"),
		ceilingServerCommand(),
	)
	return cmd
}

// benchMode returns the command of a mode, with the flags that mean something to it.
func benchMode(mode bench.Mode, short string, flags ...string) *cobra.Command {
	cfg := bench.Config{Mode: mode}
	var asJSON bool
	cmd := &cobra.Command{Use: string(mode), Short: short, Args: cobra.NoArgs}
	cmd.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	cmd.Flags().IntVar(&cfg.Rounds, "rounds", 3, "how often everything is measured, by turns with the ceiling")
	cmd.Flags().StringVar(&cfg.Dir, "dir", "", "measure on the disk of this `folder` (default: that of temporary files)")
	if mode != bench.Ceiling {
		cmd.Flags().StringVar(&cfg.URL, "url", os.Getenv("OCTOSTORE_URL"), "measure the server at this `URL`, http only (default: start one)")
	}
	for _, flag := range flags {
		benchFlag(cmd, &cfg, flag)
	}
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		binary, err := os.Executable()
		if err != nil {
			return err
		}
		cfg.Token = os.Getenv("OCTOSTORE_TOKEN")
		cfg.Serve = []string{binary, "serve"}
		cfg.CeilingServer = []string{binary, "bench", "ceiling-server"}
		cfg.Progress = cmd.ErrOrStderr()
		if cfg.Warmup == 0 {
			cfg.Warmup = -1 // the user said none
		}
		return runBench(cmd, cfg, asJSON)
	}
	return cmd
}

func benchFlag(cmd *cobra.Command, cfg *bench.Config, name string) {
	flags := cmd.Flags()
	switch name {
	case "connections":
		flags.IntSliceVar(&cfg.Connections, "connections", []int{64}, "number of `connections`; several, with commas, are measured one after the other")
	case "timing":
		flags.DurationVar(&cfg.Duration, "duration", 3*time.Second, "how long a round measures")
		flags.DurationVar(&cfg.Warmup, "warmup", time.Second, "how long it runs before that")
	case "with-token":
		flags.BoolVar(&cfg.Guarded, "with-token", false, "measure also, by turns, a server that has a token")
	case "variant":
		flags.StringArrayVar(&cfg.Variant, "variant", nil, "measure also, by turns, a server with this `setting`, such as OCTOSTORE_POLICIES=policies.json; may be repeated")
	case "writers":
		flags.IntVar(&cfg.Writers, "writers", 0, "measure also with so many connections that acquire and release beside the readers")
	case "waiters":
		if cfg.Mode == bench.Handover {
			flags.IntVar(&cfg.Waiters, "waiters", 8, "how many wait for each lock; one connection more than that is opened")
			return
		}
		flags.IntVar(&cfg.Waiters, "waiters", 1000, "how many wait, in all")
	case "locks":
		if cfg.Mode == bench.Locks {
			flags.IntVar(&cfg.Locks, "locks", 100_000, "how many locks to hold")
			return
		}
		flags.IntVar(&cfg.Locks, "locks", 1, "how many locks they wait for")
	}
}

// runBench prints the report also of a run that failed: it says what went wrong.
func runBench(cmd *cobra.Command, cfg bench.Config, asJSON bool) error {
	report, err := bench.Run(cmd.Context(), cfg)
	if report == nil {
		return err
	}
	out := cmd.OutOrStdout()
	if asJSON {
		json := json.NewEncoder(out)
		json.SetIndent("", "  ")
		if printErr := json.Encode(report); printErr != nil {
			return printErr
		}
		return err
	}
	if printErr := report.WriteText(out); printErr != nil {
		return printErr
	}
	return err
}

// ceilingServerCommand is how the bench starts the server it compares with, so that
// generator and server never share a process.
func ceilingServerCommand() *cobra.Command {
	return &cobra.Command{
		Use:    "ceiling-server",
		Short:  "Answer with fixed text until told to stop",
		Args:   cobra.NoArgs,
		Hidden: true,
		RunE: func(cmd *cobra.Command, _ []string) error {
			server.Tune() // as the server it is compared with
			return bench.ServeCeiling(cmd.Context(), cmd.OutOrStdout())
		},
	}
}
