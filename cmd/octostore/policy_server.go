package main

import (
	"cmp"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"github.com/octostore/octostore/cmd/octostore/internal/session"
	"github.com/octostore/octostore/transport/api"
	"github.com/octostore/octostore/transport/client"
)

func policyListCommand() *cobra.Command {
	var asJSON bool
	cmd := &cobra.Command{
		Use:   "list",
		Short: "List a running server's policies",
		Long: "List the policies of the server at OCTOSTORE_URL, and what they have done since they\n" +
			"were loaded. Fuel is an upper bound, within a factor of two. A policy with mode off is\n" +
			"not loaded, and so has no digest. The server calls a policy with an open breaker, one that\n" +
			"keeps failing, only for a probe at intervals; otherwise on_error decides.",
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			c, err := session.NewClient()
			if err != nil {
				return err
			}
			list, err := c.Policies(cmd.Context())
			if err != nil {
				return err
			}
			return show(cmd, asJSON, policyList(list))
		},
	}
	cmd.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	return cmd
}

type policyList api.PolicyList

func (l policyList) Print(w io.Writer) error {
	if len(l.Policies) == 0 {
		_, err := fmt.Fprintln(w, "There are no policies.")
		return err
	}
	table := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintln(table, "NAME\tMODE\tMATCH\tHOOKS\tCALLS\tDENIALS\tERRORS\tFUEL P50\tP99\tDIGEST")
	for _, p := range l.Policies {
		fmt.Fprintf(table, "%s\t%s\t%s\t%s\t%d\t%d\t%d\t%d\t%d\t%.12s\n", p.Name, p.Mode, strings.Join(p.Match, " "), strings.Join(p.Hooks, " "),
			p.Calls, p.Denials, p.Errors, p.FuelP50, p.FuelP99, cmp.Or(p.Digest, "not loaded"))
	}
	l.breakers(table)
	l.observers(table)
	if err := table.Flush(); err != nil || l.Engine != "interpreter" {
		return err
	}
	_, err := fmt.Fprintln(w, "\nThe policies are interpreted, which takes longer: machine code cannot be made on this server.")
	return err
}

// breakers shows the policies that fail, or have failed, again and again.
func (l policyList) breakers(w io.Writer) {
	head := "\nBREAKER\tSTATE\tOPENED\n"
	for _, p := range l.Policies {
		state := "closed"
		if p.BreakerOpen {
			state = "open: not called, on_error decides"
		}
		if p.BreakerOpened > 0 {
			fmt.Fprintf(w, "%s%s\t%s\t%d\n", head, p.Name, state, p.BreakerOpened)
			head = ""
		}
	}
}

// observers says how far those have come that are given events, if any are.
func (l policyList) observers(w io.Writer) {
	head := "\nOBSERVER\tLAG\tPARKED\tGAPS\tDONE UP TO\n"
	for _, p := range l.Policies {
		if o := p.Observer; o != nil {
			fmt.Fprintf(w, "%s%s\t%s\t%d\t%d\t%s\n", head, p.Name, time.Duration(o.LagMS)*time.Millisecond, o.Parked, o.Gaps, o.After)
			head = ""
		}
	}
}

func policyReloadCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "reload",
		Short: "Reload a running server's policies",
		Long: "Reload the policies of the server at OCTOSTORE_URL: all of them, or, if one of them\n" +
			"has a mistake, none. The error names every mistake.",
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			c, err := session.NewClient()
			if err != nil {
				return err
			}
			reloaded, err := c.ReloadPolicies(cmd.Context())
			if err != nil {
				return err
			}
			_, err = fmt.Fprintln(cmd.OutOrStdout(), reloaded.Changes)
			return err
		},
	}
}

func policyExplainCommand() *cobra.Command {
	var query client.ExplainQuery
	var asJSON bool
	cmd := &cobra.Command{
		Use:   "explain NAME",
		Short: "Show what a running server's policies would say to a request, and why",
		Long: "Show what every policy of the server at OCTOSTORE_URL would say to a request for the\n" +
			"lock NAME, and why. Nothing is locked, renewed, broken or recorded.\n\n" +
			"--hook renew and --hook break ask about the present lease; a renewal takes --ttl, a\n" +
			"break takes --reason. --at tells the policies another time, for a window that is yet to\n" +
			"come; locks and queues stay those of now.",
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			query.Name = args[0]
			c, err := session.NewClient()
			if err != nil {
				return err
			}
			e, err := c.ExplainPolicies(cmd.Context(), query)
			if err != nil {
				return err
			}
			return show(cmd, asJSON, explanation(e))
		},
	}
	to := cmd.Flags()
	to.StringVar(&query.Hook, "hook", "", "`HOOK` to explain: acquire, renew or break (default acquire)")
	to.StringVar(&query.At, "at", "", "`TIME` of the request, such as 2026-12-24T18:00:00+01:00 (default now)")
	to.StringVar(&query.Account, "account", "", "`ACCOUNT` of the request; another than your own takes the scope read:**")
	to.StringVar(&query.TTL, "ttl", "", "`DURATION` of the lease (default the server's; of a renewal that of the lease)")
	to.StringVar(&query.Wait, "wait", "", "`DURATION` to wait in the queue (default 0s)")
	to.StringVar(&query.Holder, "holder", "", "`TEXT` that names the process")
	to.StringVar(&query.Reason, "reason", "", "`TEXT` of the reason")
	to.StringToStringVar(&query.Metadata, "meta", nil, "metadata, as `KEY=VALUE`; may be repeated")
	to.BoolVar(&asJSON, "json", false, "print JSON")
	return cmd
}

type explanation api.Explanation

func (e explanation) Print(w io.Writer) error {
	var b strings.Builder
	fmt.Fprintf(&b, "%s: %s\n", e.request(), e.summary())
	for _, p := range e.Policies {
		who := fmt.Sprintf("  %s (%s)", p.Policy, p.Mode)
		if !p.Asked {
			fmt.Fprintf(&b, "%s: not asked, %s\n", who, p.Why)
			continue
		}
		fmt.Fprintf(&b, "%s: %s, %s, %d fuel\n", who, p.Verdict, p.Why, p.Fuel)
		for _, line := range saidLines(p.Said, e.Hook) {
			fmt.Fprintf(&b, "    %s\n", line)
		}
	}
	_, err := io.WriteString(w, b.String())
	return err
}

// request names what was asked about, an acquire by its lock alone.
func (e explanation) request() string {
	text := fmt.Sprintf("%s for %s", e.Name, e.Account)
	switch e.Hook {
	case "renew":
		text = "renewal of " + text
	case "break":
		text = "break of " + text
	}
	if e.At != nil {
		text += " at " + e.At.Format(time.RFC3339)
	}
	return text
}

func (e explanation) summary() string {
	switch {
	case len(e.Policies) == 0:
		return "allow, since there are no policies"
	case e.Verdict == "deny":
		return fmt.Sprintf("deny by %s: %s", e.By, e.Reason)
	case e.Verdict == "error" && e.Hook == "renew":
		return fmt.Sprintf("allow, although %s could not answer: a lease is not taken away for that", e.By)
	case e.Verdict == "error" && e.Hook == "break":
		return fmt.Sprintf("no break, since %s could not answer", e.By)
	case e.Verdict == "error":
		return fmt.Sprintf("no lock, since %s could not answer", e.By)
	}
	if e.Priority != "" {
		return e.Verdict + ", priority " + e.Priority
	}
	return e.Verdict
}

// saidLines is all a policy said, a line each.
func saidLines(s *api.Said, hook string) (lines []string) {
	if s.Reason != "" {
		lines = append(lines, s.Reason)
	}
	if s.Error != "" {
		lines = append(lines, s.Error)
	}
	if s.RetryAfter > 0 {
		lines = append(lines, "to be asked again in "+(time.Duration(s.RetryAfter)*time.Millisecond).String())
	}
	if s.Verdict == "allow" && (hook == "" || hook == "acquire") { // caps change an acquire only
		lines = append(lines, fmt.Sprintf("leaves a ttl of %s, a wait of %s",
			time.Duration(s.TTL)*time.Millisecond, time.Duration(s.Wait)*time.Millisecond))
	}
	if s.Priority != "" {
		lines = append(lines, "priority "+s.Priority)
	}
	for _, key := range slices.Sorted(maps.Keys(s.Notes)) {
		lines = append(lines, "note "+key+": "+s.Notes[key])
	}
	for _, text := range s.Logs {
		lines = append(lines, "log: "+text)
	}
	return lines
}
