package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"os"
	"slices"
	"time"

	"github.com/spf13/cobra"

	"github.com/octostore/octostore/cmd/octostore/internal/bench"
	"github.com/octostore/octostore/cmd/octostore/internal/server"
	"github.com/octostore/octostore/cmd/octostore/internal/version"
)

func benchCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "bench",
		Short: "Benchmark a server on this machine",
		Long: "Benchmark a server on this machine.\n\n" +
			"Without --url it starts a server with the settings of a server started here and an empty\n" +
			"database, and stops it at the end. It alternates with the ceiling: a server that answers\n" +
			"the same requests with fixed text. So every figure can be read as a share of what\n" +
			"net/http reaches on this machine.\n\n" +
			"The load generator shares the processor with the server. Fencing tokens and answers are\n" +
			"checked throughout; the exit code is 1 if one is wrong.",
		Args: cobra.NoArgs, // else a mode that does not exist is a success
		RunE: func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	cmd.AddCommand(
		benchMode(bench.Acquire, "Measure acquiring and releasing uncontended locks", "connections", "timing", "variant", "with-token", "pages"),
		benchMode(bench.Handover, "Measure handing a lock from holder to waiter", "waiters", "locks", "timing"),
		benchMode(bench.Status, "Measure reading a held lock", "connections", "writers", "timing"),
		benchMode(bench.Waiters, "Measure many waiting requests: the cost of each, and how fast all are answered", "waiters", "locks"),
		benchMode(bench.Locks, "Measure many held locks: the cost of each", "connections", "locks"),
		benchMode(bench.Ceiling, "Measure what net/http alone reaches on this machine", "connections", "timing"),
		compareCommand(),
		ceilingServerCommand(),
	)
	return cmd
}

// compareCommand is the mode that starts other programs, too.
func compareCommand() *cobra.Command {
	cmd := benchMode(bench.Compare, "Compare a server with Redis, etcd and PostgreSQL on this machine",
		"connections", "timing", "peers", "plot", "memory")
	cmd.Long = cmd.Short + ".\n\n" +
		"Starts the ceiling, an OctoStore server and the peers that are installed, in folders and on\n" +
		"ports of their own, with settings that keep an acknowledged lock through a power cut, and\n" +
		"alternates between them: acquire and release, hand-over to a waiter, reading a held lock. At\n" +
		"the end it measures the memory of waiters and of held locks. The report says what an operation\n" +
		"is for each peer, with its version and command line.\n\n" +
		"make bench-peers installs Redis and PostgreSQL, and builds etcd beside this program."
	return cmd
}

// benchMode returns the command of a mode, with the flags that mean something to it.
func benchMode(mode bench.Mode, short string, flags ...string) *cobra.Command {
	cfg := bench.Config{Mode: mode}
	var asJSON bool
	cmd := &cobra.Command{Use: string(mode), Short: short, Args: cobra.NoArgs}
	cmd.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	cmd.Flags().IntVar(&cfg.Rounds, "rounds", 3, "`NUMBER` of rounds, alternating with the ceiling")
	cmd.Flags().StringVar(&cfg.Dir, "dir", "", "use the disk of the folder `DIR` (default the one of temporary files)")
	if mode != bench.Ceiling && mode != bench.Compare {
		cmd.Flags().StringVar(&cfg.URL, "url", os.Getenv("OCTOSTORE_URL"), "measure the server at `URL`, http only (default: start one)")
	}
	for _, flag := range flags {
		benchFlag(cmd, &cfg, flag)
	}
	var plot string
	if slices.Contains(flags, "plot") {
		cmd.Flags().StringVar(&plot, "plot", "", "write a picture of the figures to the SVG `FILE`")
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
		cfg.Version = version.Own()
		return runBench(cmd, cfg, asJSON, plot)
	}
	return cmd
}

func benchFlag(cmd *cobra.Command, cfg *bench.Config, name string) {
	flags := cmd.Flags()
	switch name {
	case "connections":
		flags.IntSliceVar(
			&cfg.Connections,
			"connections",
			defaultConnections(cfg.Mode),
			"`NUMBER` of connections; several, separated by commas, are measured one after the other",
		)
	case "timing":
		flags.DurationVar(&cfg.Duration, "duration", 3*time.Second, "`DURATION` of a round")
		flags.DurationVar(&cfg.Warmup, "warmup", time.Second, "`DURATION` of the warm-up before each round")
	case "peers":
		const usage = "compare with the `NAMES` redis, etcd, postgresql, separated by commas, or none (default: those installed)"
		flags.StringSliceVar(&cfg.Peers, "peers", nil, usage)
	case "memory":
		flags.IntVar(&cfg.Parked, "parked", 10_000, "`NUMBER` of waiters whose memory is measured")
		flags.IntVar(&cfg.Locks, "locks", 100_000, "`NUMBER` of held locks whose memory is measured")
	case "with-token":
		flags.BoolVar(&cfg.Guarded, "with-token", false, "alternate with a server that has a token")
	case "pages":
		flags.IntVar(&cfg.Pages, "pages", 0, "alternate with a server on which this `NUMBER` of browsers have the page open")
	case "variant":
		flags.StringArrayVar(
			&cfg.Variant,
			"variant",
			nil,
			"alternate with a server that has this `SETTING`, such as OCTOSTORE_POLICIES=policies.json; may be repeated",
		)
	case "writers":
		flags.IntVar(&cfg.Writers, "writers", 0, "measure also with this `NUMBER` of connections that acquire and release beside the readers")
	case "waiters":
		if cfg.Mode == bench.Handover {
			flags.IntVar(&cfg.Waiters, "waiters", 8, "`NUMBER` of waiters for each lock; one connection more is opened")
			return
		}
		flags.IntVar(&cfg.Waiters, "waiters", 1000, "`NUMBER` of waiters in total")
	case "locks":
		if cfg.Mode == bench.Locks {
			flags.IntVar(&cfg.Locks, "locks", 100_000, "`NUMBER` of locks to hold")
			return
		}
		flags.IntVar(&cfg.Locks, "locks", 1, "`NUMBER` of locks they wait for")
	}
}

func defaultConnections(mode bench.Mode) []int {
	if mode == bench.Compare {
		return []int{1, 64, 256}
	}
	return []int{64}
}

// runBench prints the report also of a run that failed: it says what went wrong.
func runBench(cmd *cobra.Command, cfg bench.Config, asJSON bool, plot string) error {
	report, err := bench.Run(cmd.Context(), cfg)
	if report == nil {
		return err
	}
	if plot != "" {
		var picture bytes.Buffer
		if plotErr := errors.Join(report.WritePlot(&picture), os.WriteFile(plot, picture.Bytes(), 0o644)); plotErr != nil {
			return plotErr
		}
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
