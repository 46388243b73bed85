package main

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"os"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/octostore/octostore/cmd/octostore/internal/exitcode"
	"github.com/octostore/octostore/cmd/octostore/internal/locktool"
	"github.com/octostore/octostore/cmd/octostore/internal/runner"
	"github.com/octostore/octostore/cmd/octostore/internal/session"
	"github.com/octostore/octostore/cmd/octostore/internal/terminal"
	"github.com/octostore/octostore/transport/api"
	"github.com/octostore/octostore/transport/client"
)

const acquireHelp = `Acquire a lock, and print the lease id and the fencing token. If another client holds the lock,
the command exits with 75, at once or after --wait. While it waits it keeps its place in the
queue through cut connections and a stopped server.

Nothing renews the lease: it ends after --ttl. To hold a lock while a command runs, use octostore
run. To hold one in a script, choose a ttl that is long enough, or call octostore renew in time.
With --confirm the lease ends that soon unless it is renewed, so that little is lost if the
script dies first.

With --shell the output is for eval in a POSIX shell: it exports OCTOSTORE_LOCK,
OCTOSTORE_LEASE_ID, which octostore renew and release read, and OCTOSTORE_FENCING_TOKEN. If the
lock is not acquired, eval fails with the exit code.`

const acquireExample = `  octostore acquire deploy/prod --wait 10m --ttl 15m --reason "release 1.4"

  set -e
  eval "$(octostore acquire deploy/prod --ttl 15m --shell)"
  ./deploy.sh --fencing-token "$OCTOSTORE_FENCING_TOKEN"
  octostore release deploy/prod`

// acquireFlags are the flags of octostore acquire besides those of the server.
type acquireFlags struct {
	options       client.AcquireOptions
	meta          []string
	shell, asJSON bool
}

func acquireCommand() *cobra.Command {
	f := &acquireFlags{options: client.AcquireOptions{TTL: time.Minute}}
	cmd := &cobra.Command{
		Use:               "acquire NAME",
		Short:             "Acquire a lock, and print the lease",
		Long:              acquireHelp,
		Example:           acquireExample,
		Args:              oneName,
		ValidArgsFunction: completeLocks,
	}
	server := serverFlags(cmd)
	flags, o := cmd.Flags(), &f.options
	durationVar(flags, &o.Wait, "wait", "`DURATION` to wait for the lock, outages of the server included (default: do not wait)")
	durationVar(flags, &o.TTL, "ttl", "`DURATION` of the lease")
	durationVar(flags, &o.Confirm, "confirm", "`DURATION` of the lease until its first renewal (default: the ttl)")
	flags.StringVar(&o.Holder, "holder", "", "`TEXT` that names the holder (default: the URL of the CI job, or user@host)")
	flags.StringVar(&o.Reason, "reason", "", "`TEXT` that says what the lock is for")
	flags.StringArrayVar(&f.meta, "meta", nil, "`KEY=VALUE` for policies and the audit log; may be repeated")
	flags.StringVar(&o.Key, "idempotency-key", "", "`KEY` of this attempt, 16 to 128 characters: the same command again gets the same lease")
	flags.BoolVar(&f.shell, "shell", false, "print assignments for eval in a POSIX shell")
	flags.BoolVar(&f.asJSON, "json", false, "print JSON")
	cmd.MarkFlagsMutuallyExclusive("shell", "json")
	completeNothing(cmd, "holder", "reason", "meta", "idempotency-key", "wait", "ttl", "confirm")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		if err := f.complete(); err != nil {
			return err
		}
		c, err := server.NewClient()
		if err != nil {
			return err
		}
		return f.acquire(cmd, c, args[0])
	}
	return cmd
}

// complete checks the flags, and sets what is not given.
func (f *acquireFlags) complete() (err error) {
	o := &f.options
	switch {
	case o.Wait < 0:
		return exitcode.Usagef("--wait is negative")
	case o.TTL <= 0:
		return exitcode.Usagef("--ttl is %s; want more than 0s", o.TTL)
	case o.Confirm < 0 || o.Confirm > o.TTL:
		return exitcode.Usagef("--confirm is %s; want 1s to the ttl, %s", o.Confirm, o.TTL)
	}
	if o.Holder == "" {
		// The process is gone when the lock is held.
		o.Holder = strings.TrimSuffix(runner.DefaultHolder(os.Getenv), ":"+strconv.Itoa(os.Getpid()))
	}
	o.Metadata, err = parseMetadata(f.meta)
	return err
}

func (f *acquireFlags) acquire(cmd *cobra.Command, c *client.Client, name string) error {
	out := cmd.OutOrStdout()
	if f.shell {
		if err := locktool.ShellBegin(out); err != nil {
			return err
		}
	}
	err := f.acquireAndPrint(cmd, c, name)
	if err != nil && f.shell {
		_ = locktool.ShellEnd(out) // there is an error already; failEval says so to the shell
	}
	return err
}

func (f *acquireFlags) acquireAndPrint(cmd *cobra.Command, c *client.Client, name string) error {
	f.options.Waiting = locktool.SayWaiting(cmd.ErrOrStderr(), name)
	g, err := c.AcquireUnkept(cmd.Context(), name, f.options)
	if err != nil {
		return locktool.NotAcquired(name, f.options.Wait > 0, err)
	}
	if err := f.print(cmd.OutOrStdout(), g); err != nil {
		return f.giveBack(cmd.Context(), c, g, err)
	}
	return nil
}

func (f *acquireFlags) print(w io.Writer, g api.Grant) error {
	if f.shell {
		return locktool.Shell(w, g)
	}
	return locktool.Grant(w, g, f.asJSON)
}

// giveBack releases a lease whose id could not be printed, as no one can use it: except with a
// key of the user's own, by which the same command gets it again.
func (f *acquireFlags) giveBack(ctx context.Context, c *client.Client, g api.Grant, failed error) error {
	if f.options.Key != "" {
		return failed
	}
	if _, err := c.Release(ctx, g.Name, g.LeaseID); err != nil {
		return fmt.Errorf("%w; the lock stays held for %s: %w", failed, time.Duration(g.ExpiresInMS)*time.Millisecond, err)
	}
	return fmt.Errorf("%w; the lock was released", failed)
}

// failEval makes the eval of the output of octostore acquire --shell fail. The shell ignores
// the exit code of the command in eval "$(octostore acquire …)".
func failEval(cmd *cobra.Command, args []string, code exitcode.Code) {
	if cmd.Name() == "acquire" && slices.ContainsFunc(args, asksForShell) {
		_ = locktool.ShellFailure(cmd.OutOrStdout(), int(code)) // there is an error already
	}
}

// asksForShell reports whether an argument is the flag --shell, in any form but that for no.
// The line may be one that could not be parsed.
func asksForShell(arg string) bool {
	value, is := strings.CutPrefix(arg, "--shell")
	yes, err := strconv.ParseBool(strings.TrimPrefix(value, "="))
	return is && (value == "" || value[0] == '=') && (err != nil || yes)
}

// parseMetadata reads the values of flags --meta.
func parseMetadata(pairs []string) (map[string]string, error) {
	m := map[string]string{}
	for _, pair := range pairs {
		key, value, is := strings.Cut(pair, "=")
		if !is || key == "" {
			return nil, exitcode.Usagef("--meta is %q; want a key and a value, as in --meta ticket=OPS-7", pair)
		}
		if _, twice := m[key]; twice {
			return nil, exitcode.Usagef("--meta has the key %q twice", key)
		}
		m[key] = value
	}
	return m, nil
}

// leaseFlag gives a command the flags that say where a lease id is.
func leaseFlag(cmd *cobra.Command) *locktool.LeaseSource {
	s := new(locktool.LeaseSource)
	cmd.Flags().StringVar(&s.ID, "lease", "", "lease `ID`, which other users can see in the list of processes; - is the standard input")
	cmd.Flags().StringVar(&s.File, "lease-file", "", "`FILE` with the lease id; - is the standard input")
	cmd.MarkFlagsMutuallyExclusive("lease", "lease-file")
	completeNothing(cmd, "lease")
	return s
}

// leaseAndClient returns what a command about a lease needs: its id, and a client of the server.
func leaseAndClient(cmd *cobra.Command, lease *locktool.LeaseSource, server *session.Server) (string, *client.Client, error) {
	id, err := lease.Read(cmd.InOrStdin())
	if err != nil {
		return "", nil, err
	}
	c, err := server.NewClient()
	return id, c, err
}

const leaseHelp = "The lease id is that of octostore acquire: in OCTOSTORE_LEASE_ID, in the file that\n" +
	"OCTOSTORE_LEASE_ID_FILE names, or where --lease or --lease-file say."

func renewCommand() *cobra.Command {
	var ttl time.Duration
	var asJSON bool
	cmd := &cobra.Command{
		Use:   "renew NAME",
		Short: "Renew a lease",
		Long: "Renew a lease, so that it ends --ttl from now. A renewal never makes a lease shorter. If\n" +
			"the lease is over, the command exits with 79.\n\n" + leaseHelp,
		Example:           "  octostore renew deploy/prod --lease-file lease-id --ttl 10m",
		Args:              oneName,
		ValidArgsFunction: completeLocks,
	}
	server, lease := serverFlags(cmd), leaseFlag(cmd)
	durationVar(cmd.Flags(), &ttl, "ttl", "`DURATION` of the lease from now on (default: as when it was acquired)")
	cmd.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	completeNothing(cmd, "ttl")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		if ttl < 0 {
			return exitcode.Usagef("--ttl is negative")
		}
		id, c, err := leaseAndClient(cmd, lease, server)
		if err != nil {
			return err
		}
		g, err := c.Renew(cmd.Context(), args[0], id, ttl)
		if err != nil {
			return err
		}
		return locktool.Renewed(cmd.OutOrStdout(), g, asJSON)
	}
	return cmd
}

func releaseCommand() *cobra.Command {
	var asJSON bool
	cmd := &cobra.Command{
		Use:   "release NAME",
		Short: "Release a lock",
		Long: "Release a lock. A release may be repeated for ten minutes. If the lease was over before,\n" +
			"the command exits with 79.\n\n" + leaseHelp,
		Example:           "  octostore release deploy/prod --lease-file lease-id",
		Args:              oneName,
		ValidArgsFunction: completeLocks,
	}
	server, lease := serverFlags(cmd), leaseFlag(cmd)
	cmd.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		id, c, err := leaseAndClient(cmd, lease, server)
		if err != nil {
			return err
		}
		ended, err := c.Release(cmd.Context(), args[0], id)
		if err != nil {
			return err
		}
		return locktool.Ended(cmd.OutOrStdout(), "released", ended, asJSON)
	}
	return cmd
}

func breakCommand() *cobra.Command {
	var request client.BreakRequest
	var yes, asJSON bool
	cmd := &cobra.Command{
		Use:   "break NAME",
		Short: "End the lease of another client",
		Long: "End the lease of another client, for example of a job that hangs. Its holder is not told\n" +
			"before its next renewal: what it does until then is not stopped. Breaking a lock takes the\n" +
			"scope break, and a reason for the audit log.\n\n" +
			"On a terminal the command shows the holder and asks first; then it breaks the lease it has\n" +
			"shown, and no later one. A script is not asked: it has no one to answer, and --reason says\n" +
			"that it means it.",
		Example:           "  octostore break deploy/prod --reason 'OPS-7: the runner is gone'",
		Args:              oneName,
		ValidArgsFunction: completeLocks,
	}
	server := serverFlags(cmd)
	flags := cmd.Flags()
	flags.StringVar(&request.Reason, "reason", "", "`TEXT` for the audit log; required")
	flags.Uint64Var(&request.FencingToken, "token", 0, "break only the lease with this fencing token `NUMBER` (default: whichever there is)")
	flags.BoolVarP(&yes, "yes", "y", false, "do not ask")
	flags.BoolVar(&asJSON, "json", false, "print JSON")
	completeNothing(cmd, "reason", "token")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		request.Name = args[0]
		if request.Reason == "" {
			return exitcode.Usagef("want --reason TEXT, which the audit log keeps")
		}
		c, err := server.NewClient()
		if err != nil {
			return err
		}
		if !yes && terminal.IsInput(cmd.InOrStdin()) && terminal.Is(cmd.ErrOrStderr()) {
			if err := askFirst(cmd, c, &request); err != nil {
				return err
			}
		}
		ended, err := c.Break(cmd.Context(), request)
		if err != nil {
			return err
		}
		return locktool.Ended(cmd.OutOrStdout(), "broke the lease of", ended, asJSON)
	}
	return cmd
}

// askFirst shows a person whose lease a break would end, and limits the break to that lease.
func askFirst(cmd *cobra.Command, c *client.Client, r *client.BreakRequest) error {
	l, err := c.Lock(cmd.Context(), r.Name, client.QueuePage{})
	if err != nil {
		return fmt.Errorf("look at the lock first (--yes does not): %w", err)
	}
	if l.Lease == nil {
		return exitcode.As(exitcode.Lost, fmt.Errorf("%s is not held", r.Name))
	}
	if r.FencingToken == 0 {
		r.FencingToken = l.Lease.FencingToken
	}
	fmt.Fprintf(cmd.ErrOrStderr(), "%s\nBreak it? [y/N] ", locktool.Holding(l))
	answer, err := readLine(cmd.Context(), bufio.NewReader(cmd.InOrStdin()))
	if err != nil {
		return err
	}
	if answer := strings.ToLower(answer); answer != "y" && answer != "yes" {
		return fmt.Errorf("%s was not broken", r.Name)
	}
	return nil
}

// readLine returns a line without its end, or the error of ctx if that ends first.
func readLine(ctx context.Context, from *bufio.Reader) (string, error) {
	lines := make(chan string, 1)
	go func() {
		line, _ := from.ReadString('\n') // at the end of the input the answer is no
		lines <- strings.TrimSpace(line)
	}()
	select {
	case line := <-lines:
		return line, nil
	case <-ctx.Done():
		return "", context.Cause(ctx)
	}
}

// oneName refuses a line without the name of one lock.
func oneName(_ *cobra.Command, args []string) error {
	if len(args) != 1 || args[0] == "" {
		return exitcode.Usagef("want one argument, the name of a lock, such as deploy/prod")
	}
	return nil
}
