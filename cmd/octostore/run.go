package main

import (
	"fmt"
	"os"
	"time"

	"github.com/spf13/cobra"

	"github.com/octostore/octostore/cmd/octostore/internal/exitcode"
	"github.com/octostore/octostore/cmd/octostore/internal/runner"
	"github.com/octostore/octostore/cmd/octostore/internal/session"
)

const runHelp = `Run a command while holding a lock: wait for the lock, run the command, renew the lease as long
as it runs, and release the lock.

  octostore run deploy/prod -- ./deploy.sh --all
  octostore run --wait 10m --reason "release 1.4" deploy/prod -- make deploy
  octostore run -n cron/cleanup -- cleanup.sh        # if the lock is held: exit with 75 at once

Everything behind NAME is the command and its arguments; the -- may be left out. Standard input,
output and error are the command's; octostore writes to the standard error only. The command
finds the name of the lock in OCTOSTORE_LOCK, the fencing token in OCTOSTORE_FENCING_TOKEN, and
how long it waited in OCTOSTORE_WAITED_MS.

If the lease is lost, the command gets SIGTERM, and SIGKILL after --kill-after, so early that it
is gone before another client can have the lock; octostore then exits with 79. So two thirds of
the ttl must be more than --kill-after and 2s. The run survives an outage of the server as long
as two thirds of the ttl less --kill-after and a second: %s with the defaults.

The exit code is that of the command, or 128 and the number of the signal that ended it. Those
of octostore itself: 75 lock held, 77 denied, 79 lease lost, 69 no server, 64 usage, 126 and 127
command not executable and not found; octostore help exit-codes lists all.`

// runFlags are the flags of octostore run that are not fields of a Run as they are.
type runFlags struct {
	wait     time.Duration
	noWait   bool
	meta     []string
	conflict int
}

func runnerCommand() *cobra.Command {
	r := &runner.Run{TTL: runner.DefaultTTL, KillAfter: runner.DefaultKillAfter}
	var f runFlags
	cmd := &cobra.Command{
		Use:   "run [flags] NAME -- COMMAND [ARGUMENT...]",
		Short: "Run a command while holding a lock",
		Long:  fmt.Sprintf(runHelp, runner.Survives(runner.DefaultTTL, runner.DefaultKillAfter)),
		Args:  wantNameAndCommand,

		ValidArgsFunction: completeRun,
	}
	flags := cmd.Flags()
	flags.SetInterspersed(false) // the flags behind NAME are the command's
	durationVar(flags, &f.wait, "wait",
		"`DURATION` to wait for the lock, outages included; 0: do not wait (default: as long as it takes, once a server has answered)")
	flags.BoolVarP(&f.noWait, "no-wait", "n", false, "do not wait: the same as --wait 0")
	durationVar(flags, &r.TTL, "ttl", "`DURATION` for which the lease outlives this process; it is renewed")
	durationVar(flags, &r.KillAfter, "kill-after", "`DURATION` from SIGTERM to SIGKILL when the lease is lost")
	durationVar(flags, &r.MinHold, "min-hold", "`DURATION` for which the lock is held at least, if the command ends sooner")
	flags.StringVar(&r.Holder, "holder", "", "`TEXT` that names the holder (default: the URL of the CI job, or user@host:pid)")
	flags.StringVar(&r.Reason, "reason", "", "`TEXT` that says what the lock is for")
	flags.StringArrayVar(&f.meta, "meta", nil, "`KEY=VALUE` for policies and the audit log; may be repeated")
	flags.IntVarP(&f.conflict, "conflict-exit-code", "E", int(exitcode.Held), "exit `CODE` if the lock is held")
	flags.StringVar(&r.Key, "idempotency-key", "", "`KEY` of this attempt, 16 to 128 characters; never the same for two runs at a time")
	flags.BoolVar(&r.ExposeLease, "expose-lease", false,
		"write the lease id to a file that only you can read; OCTOSTORE_LEASE_ID_FILE names it")
	flags.BoolVarP(&r.Quiet, "quiet", "q", false, "only write failures")
	flags.BoolVar(&r.JSON, "json", false, "write one event a line, in JSON, to the standard error")
	cmd.MarkFlagsMutuallyExclusive("quiet", "json")
	cmd.MarkFlagsMutuallyExclusive("wait", "no-wait")
	server := serverFlags(cmd)
	completeNothing(cmd, "wait", "ttl", "kill-after", "min-hold", "holder", "reason", "meta", "conflict-exit-code", "idempotency-key")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		r.Name, r.Command = args[0], commandOf(args)
		if err := f.complete(r, flags.Changed("wait")); err != nil {
			return err
		}
		return runUnderLock(cmd, r, *server)
	}
	return cmd
}

// wantNameAndCommand refuses a line without a lock or without a command.
func wantNameAndCommand(_ *cobra.Command, args []string) error {
	switch {
	case len(args) == 0:
		return exitcode.Usagef("want a lock and a command, as in: octostore run deploy/prod -- ./deploy.sh")
	case args[0] == "":
		return exitcode.Usagef("the name of the lock is empty")
	case len(commandOf(args)) == 0 || commandOf(args)[0] == "":
		return exitcode.Usagef("want a command behind the lock, as in: octostore run %s -- ./deploy.sh", args[0])
	}
	return nil
}

// commandOf returns what stands behind the name of the lock.
func commandOf(args []string) []string {
	if len(args) > 1 && args[1] == "--" {
		return args[2:]
	}
	return args[1:]
}

// complete sets the fields that need a look at the flags.
func (f *runFlags) complete(r *runner.Run, waitGiven bool) error {
	r.Wait = -1
	if waitGiven {
		r.Wait = f.wait
	}
	if f.noWait {
		r.Wait = 0
	}
	for name, d := range map[string]time.Duration{"wait": f.wait, "ttl": r.TTL, "kill-after": r.KillAfter, "min-hold": r.MinHold} {
		if d < 0 {
			return exitcode.Usagef("--%s is negative", name)
		}
	}
	if f.conflict < 0 || f.conflict > 255 {
		return exitcode.Usagef("--conflict-exit-code is %d; want 0 to 255", f.conflict)
	}
	r.Conflict = exitcode.Code(f.conflict)
	if r.Holder == "" {
		r.Holder = runner.DefaultHolder(os.Getenv)
	}
	var err error
	r.Metadata, err = parseMetadata(f.meta)
	return err
}

// runUnderLock runs the command, and returns an error that carries its exit status.
func runUnderLock(cmd *cobra.Command, r *runner.Run, server session.Server) error {
	c, err := server.NewClient()
	if err != nil {
		return err
	}
	r.Server, r.Stderr, r.Explain = c, cmd.ErrOrStderr(), session.Explain
	out, err := r.Do(cmd.Context())
	if r.Quiet && err != nil && exitcode.Of(err) == 0 {
		return nil // by -E 0 a lock that is held is no failure, and --quiet writes only those
	}
	if err != nil {
		return err
	}
	if out.Signal != nil {
		runner.Die(out.Signal)
	}
	if out.Status == 0 {
		return nil
	}
	return exitcode.As(exitcode.Code(out.Status), errLogged) // the command has said what was wrong
}
