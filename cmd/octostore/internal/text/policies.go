package text

import (
	"cmp"
	"fmt"
	"io"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/octostore/octostore/transport/api"
)

// PolicyList is the policies of a server.
type PolicyList api.PolicyList

// Print writes a table of the policies, and of what is wrong with some of them.
func (l PolicyList) Print(w io.Writer) error {
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
func (l PolicyList) breakers(w io.Writer) {
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
func (l PolicyList) observers(w io.Writer) {
	head := "\nOBSERVER\tLAG\tPARKED\tGAPS\tDONE UP TO\n"
	for _, p := range l.Policies {
		if o := p.Observer; o != nil {
			fmt.Fprintf(w, "%s%s\t%s\t%d\t%d\t%s\n", head, p.Name, time.Duration(o.LagMS)*time.Millisecond, o.Parked, o.Gaps, o.After)
			head = ""
		}
	}
}
