package main

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/octostore/octostore/cmd/octostore/internal/locktool"
	"github.com/octostore/octostore/cmd/octostore/internal/session"
	"github.com/octostore/octostore/cmd/octostore/internal/terminal"
	"github.com/octostore/octostore/core/timetext"
	"github.com/octostore/octostore/transport/client"
)

// ofServer marks the flags of serverFlags, which help shows as a group of their own.
const ofServer = "octostore_server"

// serverFlags gives a command the flags that choose the server it asks.
func serverFlags(cmd *cobra.Command) *session.Server {
	s := new(session.Server)
	flags := pflag.NewFlagSet("server", pflag.ContinueOnError)
	flags.StringVar(&s.URL, "url", "", "`URL` of the server (OCTOSTORE_URL; default "+client.DefaultURL+")")
	flags.StringVar(&s.Profile, "profile", "", "`NAME` of a server that octostore login has stored (OCTOSTORE_PROFILE)")
	flags.StringVar(&s.TokenFile, "token-file", "", "`FILE` with the token (OCTOSTORE_TOKEN_FILE, OCTOSTORE_TOKEN)")
	flags.StringVar(&s.CAFile, "ca-file", "", "`FILE` of certificates to trust besides those of the system (OCTOSTORE_CA_FILE)")
	durationVar(flags, &s.Timeout, "timeout", fmt.Sprintf(
		"`DURATION` to wait for an answer, besides the wait of a request (OCTOSTORE_TIMEOUT; default %gs)", session.DefaultTimeout.Seconds()))
	flags.VisitAll(func(f *pflag.Flag) { f.Annotations = map[string][]string{ofServer: {"true"}} })
	cmd.Flags().AddFlagSet(flags)
	completeFlag(cmd, "profile", completeProfiles)
	return s
}

// duration is a flag that reads durations as requests and settings do: 90s, 1h30m, 1d, 90.
type duration time.Duration

// durationVar defines a flag for a duration. It has no default of its own.
func durationVar(flags *pflag.FlagSet, to *time.Duration, name, usage string) {
	flags.Var((*duration)(to), name, usage)
}

// String implements [pflag.Value]. A duration of zero is not shown as a default.
func (d *duration) String() string {
	if *d == 0 {
		return ""
	}
	return time.Duration(*d).String()
}

// Set implements [pflag.Value].
func (d *duration) Set(text string) error {
	parsed, err := timetext.Duration(text)
	if err != nil {
		return fmt.Errorf("%w; want %s", err, timetext.WantDuration)
	}
	*d = duration(parsed)
	return nil
}

// Type implements [pflag.Value].
func (d *duration) Type() string { return "duration" }

// localFlags is where cobra's help shows the flags of a command, groupedFlags what stands
// there instead.
const (
	localFlags   = "Flags:\n{{.LocalFlags.FlagUsages | trimTrailingWhitespaces}}"
	groupedFlags = "Flags:\n{{flagsOf . false}}{{with flagsOf . true}}\n\nServer:\n{{.}}{{end}}"
)

// groupFlags has help show the flags of serverFlags under a heading of their own.
func groupFlags(root *cobra.Command) {
	cobra.AddTemplateFunc("flagsOf", flagsOf)
	root.SetUsageTemplate(strings.Replace(root.UsageTemplate(), localFlags, groupedFlags, 1))
}

// flagsOf returns the help about the flags of serverFlags, or about the others.
func flagsOf(cmd *cobra.Command, server bool) string {
	shown := pflag.NewFlagSet("", pflag.ContinueOnError)
	cmd.LocalFlags().VisitAll(func(f *pflag.Flag) {
		if _, is := f.Annotations[ofServer]; is == server {
			shown.AddFlag(f)
		}
	})
	return strings.TrimRight(shown.FlagUsages(), " \n")
}

// completeFlag completes the values of a flag.
func completeFlag(cmd *cobra.Command, flag string, complete cobra.CompletionFunc) {
	if err := cmd.RegisterFlagCompletionFunc(flag, complete); err != nil {
		panic(err) // the command has no such flag, or it has been registered before
	}
}

// completeProfiles completes the names of profiles.
func completeProfiles(*cobra.Command, []string, string) ([]cobra.Completion, cobra.ShellCompDirective) {
	profiles, _ := session.Profiles() // completion has nowhere to show an error
	var names []cobra.Completion
	for _, p := range profiles {
		names = append(names, cobra.CompletionWithDesc(p.Name, p.URL))
	}
	return names, cobra.ShellCompDirectiveNoFileComp
}

// completeWords completes a flag that takes one of a few words.
func completeWords(cmd *cobra.Command, flag string, words ...string) {
	completeFlag(cmd, flag, cobra.FixedCompletions(words, cobra.ShellCompDirectiveNoFileComp))
}

// completeNothing says that the values of flags are not names of files.
func completeNothing(cmd *cobra.Command, flags ...string) {
	for _, f := range flags {
		completeFlag(cmd, f, cobra.NoFileCompletions)
	}
}

// completeLocks completes the name of a lock, the first argument.
func completeLocks(cmd *cobra.Command, args []string, begun string) ([]cobra.Completion, cobra.ShellCompDirective) {
	if len(args) > 0 {
		return nil, cobra.ShellCompDirectiveNoFileComp
	}
	return lockNames(cmd, begun), cobra.ShellCompDirectiveNoFileComp
}

// completeRun completes the name of a lock, and then a command as the shell does.
func completeRun(cmd *cobra.Command, args []string, begun string) ([]cobra.Completion, cobra.ShellCompDirective) {
	if len(args) > 0 {
		return nil, cobra.ShellCompDirectiveDefault
	}
	return completeLocks(cmd, args, begun)
}

// lockNames asks a server for names of locks, for completion: not for long, and with no word
// about a failure.
func lockNames(cmd *cobra.Command, prefix string) []cobra.Completion {
	const patience, most = time.Second, 100
	c, err := serverOf(cmd).NewClient()
	if err != nil {
		return nil
	}
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	list, err := c.Locks(ctx, client.LocksQuery{Prefix: prefix, Limit: most})
	if err != nil {
		return nil
	}
	var names []cobra.Completion
	for _, l := range list.Locks {
		names = append(names, cobra.CompletionWithDesc(terminal.Clean(l.Name), terminal.Clean(locktool.Brief(l))))
	}
	return names
}

// serverOf returns the server that the flags of a command line choose so far.
func serverOf(cmd *cobra.Command) session.Server {
	text := func(flag string) string { return cmd.Flag(flag).Value.String() }
	return session.Server{URL: text("url"), Profile: text("profile"), TokenFile: text("token-file"), CAFile: text("ca-file")}
}
