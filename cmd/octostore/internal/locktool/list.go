package locktool

import (
	"context"
	"fmt"
	"io"
	"text/tabwriter"

	"github.com/octostore/octostore/cmd/octostore/internal/text"
	"github.com/octostore/octostore/transport/api"
	"github.com/octostore/octostore/transport/client"
)

// largestPage is how many locks a server sends at most at once.
const largestPage = 1000

// Locks returns the locks that a query selects, page by page: at most limit of them. Next of
// the list is where to go on, empty at the end.
func Locks(ctx context.Context, c *client.Client, q client.LocksQuery, limit int) (api.List, error) {
	all := api.List{Locks: []api.Lock{}}
	for {
		q.Limit = min(limit-len(all.Locks), largestPage)
		page, err := c.Locks(ctx, q)
		if err != nil {
			return api.List{}, err
		}
		all.Locks = append(all.Locks, page.Locks...)
		all.Next = page.Next
		if all.Next == "" || len(all.Locks) >= limit || len(page.Locks) == 0 {
			return all, nil
		}
		q.After = all.Next
	}
}

// List prints locks as a table, or as JSON.
func List(w io.Writer, list api.List, asJSON bool) error {
	if asJSON {
		return text.JSON(w, list)
	}
	if len(list.Locks) == 0 {
		_, err := fmt.Fprintln(w, "No lock is held.")
		return err
	}
	table := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprint(table, "NAME\tHOLDER\tACCOUNT\tSINCE\tLEFT\tWAITERS\tREASON\n")
	for _, l := range list.Locks {
		lease := l.Lease
		if lease == nil {
			fmt.Fprintf(table, "%s\t-\t-\t-\t-\t%d\t-\n", cell(l.Name), l.WaitersTotal)
			continue
		}
		fmt.Fprintf(
			table,
			"%s\t%s\t%s\t%s\t%s\t%d\t%s\n",
			cell(l.Name),
			orDash(lease.Holder),
			orDash(lease.Account),
			absolute(lease.GrantedAt),
			span(lease.ExpiresInMS),
			l.WaitersTotal,
			orDash(lease.Reason),
		)
	}
	return table.Flush()
}
