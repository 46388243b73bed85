package locktool

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/octostore/octostore/cmd/octostore/internal/text"
	"github.com/octostore/octostore/transport/api"
	"github.com/octostore/octostore/transport/client"
)

// Shown is a lock with its queue and its recent history.
type Shown struct {
	api.Lock

	// History has the newest records of the audit log about the lock, the oldest first.
	History []json.RawMessage `json:"history,omitempty"`

	NoHistory string        `json:"-"` // why there is no history; empty: there is
	Window    time.Duration `json:"-"` // how far back it was searched
}

// Lock reads a lock: with all its waiters, or the first of them.
func Lock(ctx context.Context, c *client.Client, name string, all bool) (api.Lock, error) {
	page := client.QueuePage{}
	if all {
		page.Waiters = largestPage
	}
	l, err := c.Lock(ctx, name, page)
	for err == nil && all && l.WaitersNext != 0 {
		page.After = l.WaitersNext
		var more api.Lock
		if more, err = c.Lock(ctx, name, page); err != nil {
			break
		}
		if len(more.Waiters) == 0 {
			l.WaitersNext = 0
			break
		}
		l.Waiters, l.WaitersNext = append(l.Waiters, more.Waiters...), more.WaitersNext
	}
	return l, err
}

// Print prints a lock for people, or as JSON.
func (s Shown) Print(w io.Writer, asJSON bool, now time.Time) error {
	if asJSON {
		return text.JSON(w, s)
	}
	if l := s.Lease; l != nil {
		now = l.ExpiresAt.Add(-time.Duration(l.ExpiresInMS) * time.Millisecond) // on the server's clock
	}
	if _, err := fmt.Fprintf(w, "%s is %s\n", cell(s.Name), s.State); err != nil {
		return err
	}
	if err := s.lease(w, now); err != nil {
		return err
	}
	if err := s.queue(w, now); err != nil {
		return err
	}
	return s.history(w)
}

func (s Shown) lease(w io.Writer, now time.Time) error {
	l := s.Lease
	if l == nil {
		return nil
	}
	table := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	row := func(name, value string) { fmt.Fprintf(table, "  %s\t%s\n", name, cell(value)) }
	row("holder", orDash(l.Holder))
	row("account", orDash(l.Account))
	if l.Reason != "" {
		row("reason", l.Reason)
	}
	for _, key := range slices.Sorted(maps.Keys(l.Metadata)) {
		row("meta", key+"="+l.Metadata[key])
	}
	row("since", absolute(l.GrantedAt)+" ("+ago(l.GrantedAt, now)+")")
	row("expires", fmt.Sprintf("%s (in %s%s)", absolute(l.ExpiresAt), span(l.ExpiresInMS), unconfirmed(l.ConfirmMS, l.TTLMS)))
	row("ttl", span(l.TTLMS))
	row("fencing token", fmt.Sprint(l.FencingToken))
	return table.Flush()
}

func (s Shown) queue(w io.Writer, now time.Time) error {
	if s.WaitersTotal == 0 {
		_, err := fmt.Fprint(w, "\nNo client waits for it.\n")
		return err
	}
	fmt.Fprintf(w, "\nQueue: %s\n", text.Count(int64(s.WaitersTotal), "waiter"))
	table := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprint(table, "  #\tHOLDER\tACCOUNT\tSINCE\tSTATE\tREASON\n")
	for _, q := range s.Waiters {
		fmt.Fprintf(
			table,
			"  %d\t%s\t%s\t%s (%s)\t%s\t%s\n",
			q.Position,
			orDash(q.Holder),
			orDash(q.Account),
			absolute(q.Since),
			ago(q.Since, now),
			stateOf(q, now),
			orDash(q.Reason),
		)
	}
	if err := table.Flush(); err != nil {
		return err
	}
	if left := s.WaitersTotal - len(s.Waiters); left > 0 {
		_, err := fmt.Fprintf(w, "  and %d more, which --all shows\n", left)
		return err
	}
	return nil
}

// stateOf says what is special about a waiter.
func stateOf(q api.Waiter, now time.Time) string {
	var parts []string
	if q.Priority != "" {
		parts = append(parts, q.Priority)
	}
	if q.Away {
		away := "away"
		if q.KeptUntil != nil {
			away += ", kept for " + span(q.KeptUntil.Sub(now).Milliseconds())
		}
		parts = append(parts, away)
	}
	if len(parts) == 0 {
		return "waits"
	}
	return cell(strings.Join(parts, ", "))
}

func (s Shown) history(w io.Writer) error {
	switch {
	case s.NoHistory != "":
		_, err := fmt.Fprintf(w, "\nNo history: %s\n", cell(s.NoHistory))
		return err
	case s.Window == 0: // not asked for
		return nil
	case len(s.History) == 0:
		_, err := fmt.Fprintf(w, "\nNo event in the last %s.\n", window(s.Window))
		return err
	}
	fmt.Fprint(w, "\nHistory:\n")
	for _, line := range s.History {
		readable, err := Event(line)
		if err != nil {
			return err
		}
		if _, err := fmt.Fprintf(w, "  %s\n", readable); err != nil {
			return err
		}
	}
	return nil
}

// Holding says in a line who holds a lock, for how long yet, and who waits.
func Holding(l api.Lock) string {
	who := "-"
	if l.Lease != nil {
		who = holderOf(*l.Lease)
		since := l.Lease.ExpiresAt.Add(-time.Duration(l.Lease.ExpiresInMS) * time.Millisecond).Sub(l.Lease.GrantedAt)
		who += fmt.Sprintf(" has held it for %s and has it for %s more", span(since.Milliseconds()), span(l.Lease.ExpiresInMS))
		if l.Lease.Reason != "" {
			who += fmt.Sprintf(" (%s)", cell(l.Lease.Reason))
		}
	}
	return fmt.Sprintf("%s: %s; %s", cell(l.Name), who, text.Count(int64(l.WaitersTotal), "waiter"))
}

// Brief says in a few words who holds a lock.
func Brief(l api.Lock) string {
	if l.Lease == nil {
		return string(l.State)
	}
	return "held by " + holderOf(*l.Lease)
}

// holderOf names the holder and the account of a lease.
func holderOf(l api.Lease) string { return cell(strings.Trim(l.Holder+"@"+l.Account, "@")) }
