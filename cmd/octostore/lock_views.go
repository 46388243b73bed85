package main

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/octostore/octostore/cmd/octostore/internal/exitcode"
	"github.com/octostore/octostore/cmd/octostore/internal/locktool"
	"github.com/octostore/octostore/cmd/octostore/internal/terminal"
	"github.com/octostore/octostore/cmd/octostore/internal/top"
	"github.com/octostore/octostore/transport/client"
)

// historyTime is how long octostore show searches the audit log.
const historyTime = 5 * time.Second

func showCommand() *cobra.Command {
	var all, asJSON bool
	history := 10
	cmd := &cobra.Command{
		Use:   "show NAME",
		Short: "Show a lock: its holder, its queue and its recent history",
		Long: "Show a lock: its holder, the first 16 waiters of its queue, and the newest records of the\n" +
			"audit log about it, at most a week old. The history takes the scope audit; without it the\n" +
			"rest is shown. Times are in UTC.",
		Example:           "  octostore show deploy/prod",
		Args:              oneName,
		ValidArgsFunction: completeLocks,
	}
	server := serverFlags(cmd)
	cmd.Flags().BoolVar(&all, "all", false, "show all waiters")
	cmd.Flags().IntVar(&history, "history", history, "show at most this `NUMBER` of records; 0: none")
	cmd.Flags().BoolVar(&asJSON, "json", false, "print JSON: the lock as the server sends it, and history")
	completeNothing(cmd, "history")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		if history < 0 {
			return exitcode.Usagef("--history is negative")
		}
		c, err := server.NewClient()
		if err != nil {
			return err
		}
		l, err := locktool.Lock(cmd.Context(), c, args[0], all)
		if err != nil {
			return err
		}
		shown := locktool.Shown{Lock: l}
		if history > 0 {
			addHistory(cmd.Context(), c, &shown, history)
		}
		return shown.Print(cmd.OutOrStdout(), asJSON, time.Now())
	}
	return cmd
}

// addHistory adds the history of a lock, or says why there is none.
func addHistory(ctx context.Context, c *client.Client, shown *locktool.Shown, most int) {
	ctx, cancel := context.WithTimeout(ctx, historyTime)
	defer cancel()
	found, window, err := locktool.History(ctx, c, shown.Name, most)
	switch {
	case errors.Is(err, client.ErrForbidden):
		shown.NoHistory = "it takes the scope audit for this name"
	case ctx.Err() != nil:
		name := locktool.Quote(shown.Name)
		shown.NoHistory = fmt.Sprintf("it was not found within %s; octostore audit tail --prefix %s shows it", historyTime, name)
	case err != nil:
		shown.NoHistory = err.Error()
	}
	shown.History, shown.Window = found, window
}

func listCommand() *cobra.Command {
	var query client.LocksQuery
	var asJSON bool
	limit := 10_000
	cmd := &cobra.Command{
		Use:   "list [PREFIX]",
		Short: "List the locks that are held or waited for",
		Long: "List the locks that are held or waited for, by name: all, or those whose names begin with\n" +
			"PREFIX. Names that you may not read do not appear. Times are in UTC.",
		Example:           "  octostore list deploy/",
		Args:              maybePrefix,
		ValidArgsFunction: completeLocks,
	}
	server := serverFlags(cmd)
	cmd.Flags().StringVar(&query.Account, "account", "", "only locks that `ACCOUNT` holds")
	cmd.Flags().StringVar(&query.After, "after", "", "only names after `NAME`")
	cmd.Flags().IntVar(&limit, "limit", limit, "list at most this `NUMBER` of locks")
	cmd.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	completeNothing(cmd, "account", "after", "limit")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		if limit < 1 {
			return exitcode.Usagef("--limit is %d; want 1 or more", limit)
		}
		if len(args) > 0 {
			query.Prefix = args[0]
		}
		c, err := server.NewClient()
		if err != nil {
			return err
		}
		list, err := locktool.Locks(cmd.Context(), c, query, limit)
		if err != nil {
			return err
		}
		if err := locktool.List(cmd.OutOrStdout(), list, asJSON); err != nil {
			return err
		}
		if list.Next != "" && !asJSON {
			fmt.Fprintf(cmd.ErrOrStderr(), "octostore: there are more; go on with --after %s\n", locktool.Quote(list.Next))
		}
		return nil
	}
	return cmd
}

func watchCommand() *cobra.Command {
	w := new(locktool.Watch)
	cmd := &cobra.Command{
		Use:   "watch [PREFIX]",
		Short: "Watch locks: print what happens to them, as it happens",
		Long: "Print what happens to locks, as it happens: to all, or to those whose names begin with\n" +
			"PREFIX. After a lost connection the command connects again, and misses nothing; if the\n" +
			"server has pruned events meanwhile, it says so. The end is a signal, such as ctrl-C.\n" +
			"Times are in UTC. With --json, a line is the record of the audit log.",
		Example:           "  octostore watch deploy/",
		Args:              maybePrefix,
		ValidArgsFunction: completeLocks,
	}
	server := serverFlags(cmd)
	cmd.Flags().StringVar(&w.Query.After, "after", "", "begin after the event `ID`, the seq of its record (default: with the next event)")
	cmd.Flags().BoolVar(&w.JSON, "json", false, "print JSON lines")
	completeNothing(cmd, "after")
	cmd.RunE = func(cmd *cobra.Command, args []string) (err error) {
		if len(args) > 0 {
			w.Query.Prefix = args[0]
		}
		if w.Client, err = server.NewClient(); err != nil {
			return err
		}
		w.Out, w.Errors = cmd.OutOrStdout(), cmd.ErrOrStderr()
		return w.Run(cmd.Context())
	}
	return cmd
}

func topCommand() *cobra.Command {
	t := new(top.Top)
	var once, asJSON bool
	cmd := &cobra.Command{
		Use:   "top",
		Short: "Show the locks that others wait for, and what the server does, as it goes on",
		Long: "Show the locks that others wait for, and how many grants, waits, conflicts and commits the\n" +
			"server had in the last ten seconds. On a terminal the screen is drawn again each second:\n" +
			"s changes the order, q or ctrl-C ends it, and after a lost connection it connects again.\n" +
			"Without a terminal, or with --once, it prints one table. The numbers are of all locks; names\n" +
			"that you may not read do not appear.",
		Example:           "  octostore top --prefix deploy/",
		Args:              cobra.NoArgs,
		ValidArgsFunction: cobra.NoFileCompletions,
	}
	server := serverFlags(cmd)
	cmd.Flags().StringVar(&t.Prefix, "prefix", "", "show only locks whose names begin with `PREFIX`")
	cmd.Flags().StringVar(&t.Sort, "sort", top.Orders[0], "sort by `ORDER`: waiters or wait, of locks with waiters only, or name, of all")
	cmd.Flags().IntVar(&t.Limit, "limit", 20, "print at most this `NUMBER` of locks, 1 to 1000; a screen shows what fits")
	cmd.Flags().BoolVar(&once, "once", false, "print one table")
	cmd.Flags().BoolVar(&asJSON, "json", false, "print JSON, once")
	completeNothing(cmd, "limit")
	completeFlag(cmd, "sort", cobra.FixedCompletions(top.Orders, cobra.ShellCompDirectiveNoFileComp))
	completeFlag(cmd, "prefix", completeLocks)
	cmd.RunE = func(cmd *cobra.Command, _ []string) (err error) {
		switch {
		case !slices.Contains(top.Orders, t.Sort):
			return exitcode.Usagef("--sort is %q; want one of %s", t.Sort, strings.Join(top.Orders, ", "))
		case t.Limit < 1 || t.Limit > 1000:
			return exitcode.Usagef("--limit is %d; want 1 to 1000", t.Limit)
		}
		if t.Client, err = server.NewClient(); err != nil {
			return err
		}
		t.In, t.Out = cmd.InOrStdin(), cmd.OutOrStdout()
		if once || asJSON || !terminal.Is(t.Out) {
			return t.Once(cmd.Context(), asJSON)
		}
		return t.Run(cmd.Context())
	}
	return cmd
}

// maybePrefix refuses more than one prefix.
func maybePrefix(_ *cobra.Command, args []string) error {
	if len(args) > 1 {
		return exitcode.Usagef("want at most one argument, what the names of the locks begin with")
	}
	return nil
}
