package bench

import (
	"fmt"
	"io"
	"strings"
)

// workload is the rows of one workload of a comparison, the ceiling first if there is one.
type workload struct {
	title string
	unit  string // of the bars
	// latency: the bars are the median latency instead of the throughput, and the shortest is
	// the best.
	latency bool
	rows    []Row
}

// figure is what the bar of a row shows: the median and the rounds behind it.
func (w *workload) figure(row Row) (float64, *Share) {
	if w.latency {
		return row.P50US, row.P50s
	}
	return row.PerSecond, row.Rates
}

// figureText returns the figure for people.
func (w *workload) figureText(figure float64) string {
	if w.latency {
		return span(figure)
	}
	return thousands(figure)
}

// longest is the largest figure.
func (w *workload) longest() (most float64) {
	for _, row := range w.rows {
		figure, _ := w.figure(row)
		most = max(most, figure)
	}
	return most
}

// ratio compares OctoStore with a row, by what the bars show; nil for its own.
func (w *workload) ratio(row Row) *Share {
	if w.latency {
		return row.OctoP50
	}
	return row.OctoRate
}

// workloads returns the parts of a comparison that servers can be compared in.
func (r *Report) workloads() []*workload {
	var all []*workload
	for _, row := range r.Rows {
		w := describe(row)
		if w == nil {
			continue
		}
		if n := len(all); n > 0 && all[n-1].title == w.title {
			w = all[n-1]
		} else {
			all = append(all, w)
		}
		w.rows = append(w.rows, row)
	}
	return all
}

// describe returns the workload of a row without rows, nil for the memory of a server.
func describe(row Row) *workload {
	switch row.Workload {
	case workPairs:
		title := workPairs + ", " + many(row.Connections, "connection")
		if row.Connections == 1 {
			return &workload{title: title, unit: "median latency", latency: true}
		}
		return &workload{title: title, unit: "operations per second"}
	case workHandover:
		return &workload{title: workHandover + ", " + many(row.Waiters, "waiter"), unit: "median latency", latency: true}
	case workStatus:
		title := "reading a held lock beside writers (the ceiling has none), " + many(row.Connections, "connection")
		return &workload{title: title, unit: "operations per second"}
	}
	return nil
}

// writeComparison writes the report of mode compare for people.
func (r *Report) writeComparison(w io.Writer) error {
	var b strings.Builder
	r.writeHeading(&b)
	r.writeMachine(&b)
	for _, w := range r.workloads() {
		w.write(&b)
	}
	r.writeMemory(&b)
	r.writePeers(&b)
	for _, row := range r.Rows {
		if row.FirstError != "" {
			fmt.Fprintf(&b, "\n%s, %s: %s\n", row.Workload, row.Name, row.FirstError)
		}
	}
	_, err := io.WriteString(w, b.String())
	return err
}

func (r *Report) writeMachine(b *strings.Builder) {
	if m := r.Machine; m != nil && m.Processor != "" {
		fmt.Fprintf(b, "%s, %.1f GB of memory, kernel %s\n", m.Processor, float64(m.MemoryBytes)/1e9, m.Kernel)
	}
	if r.DiskOverwriteUS > 0 {
		fmt.Fprintf(b, "8 KiB over what is there + fdatasync: median %s\n", span(r.DiskOverwriteUS))
	}
	fmt.Fprintln(b, "each figure is the median of the rounds, with the lowest and the highest round")
	if len(r.Absent) > 0 {
		fmt.Fprintf(b, "not installed, so not compared: %s (make bench-peers installs them)\n", strings.Join(r.Absent, ", "))
	}
}

// barWidth is the length of the longest bar in characters.
const barWidth = 24

func (w *workload) write(b *strings.Builder) {
	fmt.Fprintf(b, "\n%s: %s\n", w.title, w.unit)
	most := w.longest()
	for _, row := range w.rows {
		figure, rounds := w.figure(row)
		fmt.Fprintf(b, "  %-10s  %s  %-30s", row.Name, bar(figure/most), w.figureText(figure)+w.between(rounds))
		if !w.latency {
			fmt.Fprintf(b, "  p50 %-8s", span(row.P50US))
		}
		fmt.Fprintf(b, "  CPU/op %-7s", known(row.ServerCPUUS, span))
		switch ratio := w.ratio(row); {
		case ratio != nil && w.latency:
			fmt.Fprintf(b, "  octostore takes %s times that", ratio)
		case ratio != nil:
			fmt.Fprintf(b, "  octostore has %s times that", ratio)
		}
		fmt.Fprintln(b)
	}
}

// between returns the lowest and the highest round.
func (w *workload) between(rounds *Share) string {
	if rounds == nil {
		return ""
	}
	return fmt.Sprintf(" (%s-%s)", w.figureText(rounds.Min), w.figureText(rounds.Max))
}

// bar returns a bar for a share of the longest, of full and half characters.
func bar(share float64) string {
	halves := int(min(1, max(0, share))*2*barWidth + 0.5)
	full, half := halves/2, halves%2
	return strings.Repeat("█", full) + strings.Repeat("▌", half) + strings.Repeat(" ", barWidth-full-half)
}

func (r *Report) writeMemory(b *strings.Builder) {
	for _, row := range r.Rows {
		switch row.Workload {
		case workWaiters:
			fmt.Fprintf(b, "\n%s waiters at once: %s of memory each\n", thousands(float64(row.Waiters)), known(row.ResidentBytes, size))
		case workLocks:
			fmt.Fprintf(b, "%s held locks: %s of memory each, of which %s heap\n",
				thousands(float64(row.Locks)), known(row.ResidentBytes, size), known(row.HeapBytes, size))
		}
	}
}

func (r *Report) writePeers(b *strings.Builder) {
	for _, p := range r.Peers {
		fmt.Fprintf(b, "\n%s: %s\n  %s\n", p.Name, p.Version, p.Command)
		for _, o := range p.Operations {
			fmt.Fprintf(b, "  %s: %s\n", o.Name, o.Is)
		}
	}
}

// thousands returns a number with commas.
func thousands(n float64) string {
	digits := fmt.Sprintf("%.0f", n)
	for i := len(digits) - 3; i > 0 && digits[i-1] != '-'; i -= 3 {
		digits = digits[:i] + "," + digits[i:]
	}
	return digits
}
