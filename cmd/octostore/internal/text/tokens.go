package text

import (
	"fmt"
	"io"
	"text/tabwriter"
	"time"

	"github.com/octostore/octostore/transport/api"
)

// Tokens writes a table of tokens, or JSON. Without all it leaves out those that were revoked
// or have expired by now.
func Tokens(w io.Writer, tokens []api.Token, all, asJSON bool, now time.Time) error {
	shown := []api.Token{}
	for _, t := range tokens {
		if all || state(t, now) == "" {
			shown = append(shown, t)
		}
	}
	if asJSON {
		return JSON(w, api.TokenList{Tokens: shown})
	}
	table := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprint(table, "ID\tACCOUNT\tNAME\tSCOPES\tCREATED\tLAST USED\tEXPIRES\n")
	for _, t := range shown {
		end := state(t, now)
		if end == "" {
			end = Day(t.ExpiresAt, "never")
		}
		fmt.Fprintf(table, "%s\t%s\t%s\t%s\t%s\t%s\t%s\n", t.ID, t.Account, t.Name, t.Scopes, Day(&t.CreatedAt, ""), Day(t.UsedAt, "never"), end)
	}
	return table.Flush()
}

// state says why a token is of no use, or nothing.
func state(t api.Token, now time.Time) string {
	switch {
	case t.RevokedAt != nil:
		return "revoked " + Day(t.RevokedAt, "")
	case t.ExpiresAt != nil && !now.Before(*t.ExpiresAt):
		return "expired " + Day(t.ExpiresAt, "")
	}
	return ""
}
