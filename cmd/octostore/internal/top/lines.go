package top

import (
	"fmt"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/octostore/octostore/cmd/octostore/internal/terminal"
	"github.com/octostore/octostore/cmd/octostore/internal/text"
	"github.com/octostore/octostore/transport/api"
)

// view is how the state is shown.
type view struct {
	order, prefix string
	lost          error // the connection; nil: it is there
}

// lines are all that is shown, without regard to the size of a screen.
func (s *State) lines(v view, now time.Time) []terminal.Line {
	lines := s.heading(now.Add(s.skew))
	lines = append(lines, terminal.Line{})
	if len(s.Locks) == 0 {
		return append(lines, terminal.Line{Text: v.none()})
	}
	for i, row := range s.table(now.Add(s.skew)) {
		lines = append(lines, terminal.Line{Text: row, Bold: i == 0})
	}
	return lines
}

// none says that there are no locks to show.
func (v view) none() string {
	what := "No lock has waiters"
	if v.order == "name" {
		what = "No lock is held"
	}
	if v.prefix != "" {
		what += " whose name begins with " + cell(v.prefix)
	}
	return what + "."
}

// heading says what server it is, and has the numbers of the newest step.
func (s *State) heading(now time.Time) (lines []terminal.Line) {
	if s.Server != nil {
		lines = append(lines, terminal.Line{Text: s.Server.line(now)})
	}
	b := s.Last
	if b == nil {
		return append(lines, terminal.Line{Text: "The numbers of the first seconds of this server are still to come."})
	}
	held, waiters := b.Held, b.Waiters
	if s.Server != nil {
		held, waiters = int64(s.Server.Held), int64(s.Server.Waiters)
	}
	rate := func(n int64) string { return fmt.Sprintf("%.1f/s", float64(n)/s.step.Seconds()) }
	return append(lines, []terminal.Line{
		{Text: fmt.Sprintf("held %s   waiters %s", text.Thousands(held), text.Thousands(waiters)), Bold: true},
		{Text: fmt.Sprintf("grants %s   releases %s   renewals %s   expirations %s   breaks %s",
			rate(b.Grants), rate(b.Releases), rate(b.Renewals), rate(b.Expirations), rate(b.Breaks))},
		{Text: fmt.Sprintf("conflicts %s   denials %s   undone %s", rate(b.Conflicts), rate(b.Denials), rate(b.Undone))},
		{Text: fmt.Sprintf("wait %s   hand-over %s   commit %s   (p50 and p99)",
			quantiles(b.WaitP50MS, b.WaitP99MS), quantiles(b.HandoverP50MS, b.HandoverP99MS), quantiles(b.CommitP50MS, b.CommitP99MS))},
	}...)
}

func (s *Server) line(now time.Time) string {
	line := "octostore " + cell(s.Version) + ", up " + text.Span(now.Sub(s.StartedAt).Milliseconds())
	if s.Status.Status != api.OK {
		line += ", " + cell(string(s.Status.Status))
	}
	for _, what := range s.Status.Degraded {
		line += ", " + cell(string(what))
	}
	return line
}

func quantiles(median, high *float64) string {
	if median == nil || high == nil {
		return "-"
	}
	return millis(*median) + " " + millis(*high)
}

// millis shows small times with a fraction: commits take less than a millisecond.
func millis(ms float64) string {
	if ms < 10 {
		return fmt.Sprintf("%.1fms", ms)
	}
	return text.Span(int64(ms))
}

// table has a row for each lock, below the names of the columns. now is what the clock of the
// server says.
func (s *State) table(now time.Time) []string {
	var b strings.Builder
	table := tabwriter.NewWriter(&b, 0, 0, 2, ' ', 0)
	fmt.Fprintln(table, "WAITERS\tWAITING\tNAME\tHOLDER\tACCOUNT\tHELD\tLEFT")
	for _, l := range s.Locks {
		fmt.Fprintln(table, strings.Join(cells(l, now), "\t"))
	}
	table.Flush()
	rows := strings.Split(strings.TrimSuffix(b.String(), "\n"), "\n")
	for i, row := range rows {
		rows[i] = strings.TrimRight(row, " ")
	}
	return rows
}

func cells(l api.Lock, now time.Time) []string {
	waiting, holder, account, held, left := "-", "-", "-", "-", "-"
	if l.WaitingSince != nil {
		waiting = text.Span(now.Sub(*l.WaitingSince).Milliseconds())
	}
	if l.Lease != nil {
		holder, account = orDash(l.Lease.Holder), orDash(l.Lease.Account)
		held = text.Span(now.Sub(l.Lease.GrantedAt).Milliseconds())
		left = text.Span(l.Lease.ExpiresAt.Sub(now).Milliseconds())
	}
	return []string{text.Thousands(int64(l.WaitersTotal)), waiting, cell(l.Name), holder, account, held, left}
}

// orDash returns a text for a cell, or a dash for none.
func orDash(s string) string {
	if s == "" {
		return "-"
	}
	return cell(s)
}

// cell returns a text of a client that stays in its cell, however long it is.
func cell(s string) string {
	const most = 60
	s = strings.NewReplacer("\t", `\t`, "\n", `\n`).Replace(s)
	if runes := []rune(s); len(runes) > most {
		s = string(runes[:most-1]) + "…"
	}
	return s
}
