package main

import (
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"github.com/octostore/octostore/transport/api"
	"github.com/octostore/octostore/transport/client"
)

func policyListCommand() *cobra.Command {
	var asJSON bool
	cmd := &cobra.Command{
		Use:   "list",
		Short: "List the policies that rule over a running server",
		Long: "List the policies that rule over the server at OCTOSTORE_URL, and what they have done\n" +
			"since they were loaded. Fuel is an upper bound, within a factor of two.",
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			c, err := newClient()
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
		_, err := fmt.Fprintln(w, "No policies rule.")
		return err
	}
	table := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintln(table, "NAME\tMODE\tMATCH\tHOOKS\tCALLS\tDENIALS\tERRORS\tFUEL P50\tP99\tDIGEST")
	for _, p := range l.Policies {
		fmt.Fprintf(table, "%s\t%s\t%s\t%s\t%d\t%d\t%d\t%d\t%d\t%.12s\n", p.Name, p.Mode, strings.Join(p.Match, " "), strings.Join(p.Hooks, " "),
			p.Calls, p.Denials, p.Errors, p.FuelP50, p.FuelP99, p.Digest)
	}
	l.observers(table)
	if err := table.Flush(); err != nil || l.Engine != "interpreter" {
		return err
	}
	_, err := fmt.Fprintln(w, "\nThe policies are interpreted, which takes longer: machine code cannot be made on this server.")
	return err
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
		Short: "Have a running server load its policies again",
		Long: "Have the server at OCTOSTORE_URL load its policies again: a whole new set, or, if\n" +
			"anything is wrong with one of them, nothing changes and it says what.",
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			c, err := newClient()
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
		Short: "Ask a running server what every policy would say to an acquire, and why",
		Long: "Ask the server at OCTOSTORE_URL what every policy would say now if somebody wanted the\n" +
			"lock NAME, and why. Nothing is locked and nothing recorded.",
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			query.Name = args[0]
			c, err := newClient()
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
	to.StringVar(&query.Account, "account", "", "`account` that would ask; another than your own takes the scope read:**")
	to.StringVar(&query.TTL, "ttl", "", "for how `long`; default: the server's")
	to.StringVar(&query.Wait, "wait", "", "how `long` it would wait")
	to.StringVar(&query.Holder, "holder", "", "which `process` would ask")
	to.StringVar(&query.Reason, "reason", "", "what `for`")
	to.StringToStringVar(&query.Metadata, "meta", nil, "metadata, as `key=value`; may be repeated")
	to.BoolVar(&asJSON, "json", false, "print JSON")
	return cmd
}

type explanation api.Explanation

func (e explanation) Print(w io.Writer) error {
	var b strings.Builder
	fmt.Fprintf(&b, "%s for %s: %s\n", e.Name, e.Account, e.summary())
	for _, p := range e.Policies {
		who := fmt.Sprintf("  %s (%s)", p.Policy, p.Mode)
		if !p.Asked {
			fmt.Fprintf(&b, "%s: not asked, %s\n", who, p.Why)
			continue
		}
		fmt.Fprintf(&b, "%s: %s, %s, %d fuel\n", who, p.Verdict, p.Why, p.Fuel)
		for _, line := range saidLines(p.Said) {
			fmt.Fprintf(&b, "    %s\n", line)
		}
	}
	_, err := io.WriteString(w, b.String())
	return err
}

func (e explanation) summary() string {
	switch {
	case len(e.Policies) == 0:
		return "allow, since no policies rule"
	case e.Verdict == "deny":
		return fmt.Sprintf("deny by %s: %s", e.By, e.Reason)
	case e.Verdict == "error":
		return fmt.Sprintf("no lock, since %s could not answer", e.By)
	}
	if e.Priority != "" {
		return e.Verdict + ", priority " + e.Priority
	}
	return e.Verdict
}

// saidLines is all a policy said, a line each.
func saidLines(s *api.Said) (lines []string) {
	if s.Reason != "" {
		lines = append(lines, s.Reason)
	}
	if s.Error != "" {
		lines = append(lines, s.Error)
	}
	if s.RetryAfter > 0 {
		lines = append(lines, "to be asked again in "+(time.Duration(s.RetryAfter)*time.Millisecond).String())
	}
	if s.Verdict == "allow" {
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
