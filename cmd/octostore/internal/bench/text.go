package bench

import (
	"fmt"
	"io"
	"strings"
	"text/tabwriter"
)

// disturbed is the share of the CPUs, used by other programs, from which on the heading
// mentions it.
const disturbed = 0.05

// WriteText writes the report as a table for people.
func (r *Report) WriteText(w io.Writer) error {
	if r.Mode == Compare {
		return r.writeComparison(w)
	}
	var b strings.Builder
	r.writeHeading(&b)
	table := tabwriter.NewWriter(&b, 0, 0, 2, ' ', tabwriter.AlignRight)
	columns := r.columns()
	for _, c := range columns {
		fmt.Fprintf(table, "%s\t", c.title)
	}
	fmt.Fprintln(table)
	for _, row := range r.Rows {
		for _, c := range columns {
			fmt.Fprintf(table, "%s\t", c.text(row))
		}
		fmt.Fprintln(table)
	}
	table.Flush()
	for _, row := range r.Rows {
		if row.FirstError != "" {
			fmt.Fprintf(&b, "\n%s at %s: %s\n", row.Name, many(row.Connections, "connection"), row.FirstError)
		}
	}
	_, err := io.WriteString(w, b.String())
	return err
}

func (r *Report) writeHeading(w io.Writer) {
	on := "a server started for it"
	if r.URL != "" {
		on = r.URL
	}
	fmt.Fprintf(w, "octostore bench %s on %s, %s, %d CPUs\n", r.Mode, on, r.System, r.CPUs)
	switch r.Mode {
	case Waiters:
		fmt.Fprintf(w, "%s; latency is the time from the first release until a waiter has its answer\n", many(r.Rounds, "round"))
	case Locks:
		fmt.Fprintf(w, "%s; an operation is an acquire\n", many(r.Rounds, "round"))
	default:
		fmt.Fprintf(w, "%s of %g s after %g s of warm-up\n", many(r.Rounds, "round"), float64(r.DurationMS)/1000, float64(r.WarmupMS)/1000)
	}
	if r.DiskSyncUS > 0 {
		fmt.Fprintf(w, "one disk sync there (4 KiB append + fdatasync): median %s\n", span(r.DiskSyncUS))
	}
	if r.OthersCPU != nil && *r.OthersCPU >= disturbed {
		fmt.Fprintf(w, "disturbed: other programs used %.0f %% of the CPUs meanwhile\n", *r.OthersCPU*100)
	}
	fmt.Fprintln(w)
}

// column is one column of the table.
type column struct {
	title string
	text  func(Row) string
}

// columns returns the columns that are not empty in this report.
func (r *Report) columns() []column {
	all := []struct {
		column
		shown func(Row) bool
	}{
		{column{"", func(r Row) string { return r.Name }}, nil},
		{column{"connections", func(r Row) string { return fmt.Sprint(r.Connections) }}, nil},
		{column{"waiters", func(r Row) string { return fmt.Sprint(r.Waiters) }}, func(r Row) bool { return r.Waiters > 0 }},
		{column{"locks", func(r Row) string { return fmt.Sprint(r.Locks) }}, func(r Row) bool { return r.Locks > 0 }},
		{column{"writers", func(r Row) string { return fmt.Sprint(r.Writers) }}, func(r Row) bool { return r.Writers > 0 }},
		{column{"ops/s", func(r Row) string { return fmt.Sprintf("%.0f", r.PerSecond) }}, nil},
		{column{"of ceiling", func(r Row) string { return r.Share.String() }}, func(r Row) bool { return r.Share != nil }},
		{column{"of server", func(r Row) string { return r.OfServer.String() }}, func(r Row) bool { return r.OfServer != nil }},
		{column{"p50", func(r Row) string { return span(r.P50US) }}, nil},
		{column{"p95", func(r Row) string { return span(r.P95US) }}, nil},
		{column{"p99", func(r Row) string { return span(r.P99US) }}, nil},
		{column{"max", func(r Row) string { return span(r.MaxUS) }}, nil},
		{column{"server CPU/op", func(r Row) string { return known(r.ServerCPUUS, span) }}, func(r Row) bool { return r.ServerCPUUS != nil }},
		{column{"RSS each", func(r Row) string { return known(r.ResidentBytes, size) }}, func(r Row) bool { return r.ResidentBytes != nil }},
		{column{"heap each", func(r Row) string { return known(r.HeapBytes, size) }}, func(r Row) bool { return r.HeapBytes != nil }},
		{
			column{"writes/s", func(r Row) string { return fmt.Sprintf("%.0f", r.WritesPerSecond) }},
			func(r Row) bool { return r.WritesPerSecond > 0 },
		},
		{column{"errors", func(r Row) string { return fmt.Sprint(r.Errors) }}, nil},
		{column{"broken promises", func(r Row) string { return fmt.Sprint(r.BrokenPromises) }}, nil},
	}
	var shown []column
	for _, c := range all {
		if c.shown == nil || r.any(c.shown) {
			shown = append(shown, c.column)
		}
	}
	return shown
}

func (r *Report) any(is func(Row) bool) bool {
	for _, row := range r.Rows {
		if is(row) {
			return true
		}
	}
	return false
}

// String returns "0.61 (0.58-0.63)", median and spread, or "-" for none.
func (s *Share) String() string {
	if s == nil {
		return "-"
	}
	return fmt.Sprintf("%.2f (%.2f-%.2f)", s.Median, s.Min, s.Max)
}

func known(figure *float64, text func(float64) string) string {
	if figure == nil {
		return "-"
	}
	return text(*figure)
}

// many returns "1 round", "2 rounds".
func many(n int, thing string) string {
	if n == 1 {
		return "1 " + thing
	}
	return fmt.Sprintf("%d %ss", n, thing)
}

func span(us float64) string {
	switch {
	case us < 1000:
		return fmt.Sprintf("%.0f µs", us)
	case us < 1e6:
		return fmt.Sprintf("%.2f ms", us/1000)
	}
	return fmt.Sprintf("%.2f s", us/1e6)
}

func size(bytes float64) string {
	if max(bytes, -bytes) < 10_000 {
		return fmt.Sprintf("%.0f B", bytes)
	}
	return fmt.Sprintf("%.1f KB", bytes/1000)
}
