package bench

import (
	"bytes"
	"cmp"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// docs is the folder of the pages.
const docs = "../../../../docs"

// Marks around the part of docs/performance.md that is written from docs/performance.json.
const (
	pageBegin = "<!-- Written from performance.json by `make performance`. -->\n"
	pageEnd   = "<!-- The end of what is written. -->\n"
)

// The tables and the picture of docs/performance.md show what docs/performance.json has;
// -update writes them.
func TestPerformancePageShowsTheRecordedRun(t *testing.T) {
	report := recordedRun(t)
	path := filepath.Join(docs, "performance.md")
	page, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	before, rest, begins := strings.Cut(string(page), pageBegin)
	_, after, ends := strings.Cut(rest, pageEnd)
	if !begins || !ends {
		t.Fatalf("the page has no %q and %q", pageBegin, pageEnd)
	}
	var plot bytes.Buffer
	if err := report.WritePlot(&plot); err != nil {
		t.Fatal(err)
	}
	keep(t, path, before+pageBegin+"\n"+markdown(report)+"\n"+pageEnd+after)
	keep(t, filepath.Join(docs, "img/performance.svg"), plot.String())
}

// keep compares a file with what it should be, or writes it.
func keep(t *testing.T, path, want string) {
	t.Helper()
	if *update {
		if err := os.WriteFile(path, []byte(want), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	if got, err := os.ReadFile(path); err != nil || string(got) != want {
		t.Errorf("%s is not what docs/performance.json says (error %v); `make performance` measures and writes it, "+
			"`go test ./cmd/octostore/internal/bench -run PerformancePage -update` only writes it", path, err)
	}
}

func recordedRun(t *testing.T) *Report {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(docs, "performance.json"))
	if err != nil {
		t.Fatal(err)
	}
	var report Report
	if err := json.Unmarshal(text, &report); err != nil {
		t.Fatal(err)
	}
	if report.Mode != Compare || report.failure() != nil {
		t.Fatalf("not a good run of mode compare: %v", report.failure())
	}
	return &report
}

// markdown returns the tables of the page.
func markdown(r *Report) string {
	var b strings.Builder
	machine := fmt.Sprintf("%d CPUs", r.CPUs)
	if m := r.Machine; m != nil {
		machine += fmt.Sprintf(" (%s), %.0f GB of memory, Linux %s", m.Processor, float64(m.MemoryBytes)/1e9, m.Kernel)
	}
	fmt.Fprintf(&b, "%s, octostore %s. The machine: %s. The disk: %s to append 4 KiB, and %s to write 8 KiB over what is there, each with its `fdatasync`.",
		r.Time[:min(10, len(r.Time))], r.Version, machine, span(r.DiskSyncUS), span(r.DiskOverwriteUS))
	if r.OthersCPU != nil {
		fmt.Fprintf(&b, " Other programs used %.0f %% of the CPUs meanwhile.", *r.OthersCPU*100)
	}
	fmt.Fprintf(&b, "\n\n%s of %g s. Each figure is the median of the rounds, with the lowest and the highest.\n\n",
		many(r.Rounds, "round"), float64(r.DurationMS)/1000)
	for _, table := range []struct {
		title string
		kinds bool // the columns say what is measured
		cell  func(*workload, Row) string
	}{
		{"", true, func(w *workload, row Row) string {
			figure, rounds := w.figure(row)
			return w.figureText(figure) + w.between(rounds)
		}},
		{"OctoStore's figure divided by that of the others in the same round:\n\n", true, func(w *workload, row Row) string {
			if ratio := w.ratio(row); ratio != nil {
				return ratio.String()
			}
			return ""
		}},
		{"Processor time of the server for an operation:\n\n", false, func(_ *workload, row Row) string { return known(row.ServerCPUUS, span) }},
		{"Processor time of the load generator for an operation, which takes it from the server:\n\n", false, func(_ *workload, row Row) string {
			return span(row.GeneratorCPUUS)
		}},
	} {
		b.WriteString(table.title)
		writeTable(&b, r.workloads(), table.kinds, table.cell)
	}
	writeGoals(&b, r)
	writePeerTable(&b, r.Peers)
	return b.String()
}

// writeTable writes a table with a row for each server and a column for each workload.
func writeTable(b *strings.Builder, all []*workload, kinds bool, cell func(*workload, Row) string) {
	titles, lines := "|", "|---|"
	names := []string{}
	cells := map[string]string{}
	for _, w := range all {
		titles += " | " + w.title
		if kinds && w.latency {
			titles += ": p50"
		} else if kinds {
			titles += ": operations/s"
		}
		lines += "---|"
		for _, row := range w.rows {
			text := cell(w, row)
			if cells[row.Name] == "" {
				names = append(names, row.Name)
				cells[row.Name] = " " // not new any more
			}
			cells[row.Name+w.title] = text
		}
	}
	fmt.Fprintf(b, "%s |\n%s\n", titles, lines)
	for _, name := range names {
		line, filled := "| "+name+" |", false
		for _, w := range all {
			text := cells[name+w.title]
			filled = filled || text != ""
			line += " " + text + " |"
		}
		if filled {
			fmt.Fprintln(b, line)
		}
	}
	fmt.Fprintln(b)
}

// row returns the row of a server in a workload; one without figures if there is none.
func (r *Report) row(workload, name string, connections int) Row {
	for _, row := range r.Rows {
		if row.Workload == workload && row.Name == name && (connections == 0 || row.Connections == connections) {
			return row
		}
	}
	return Row{}
}

// goal is something that the server should reach.
type goal struct {
	what     string
	figure   float64
	least    bool // the goal is the least, not the most
	goal     float64
	describe func(float64) string
}

func goals(r *Report) []goal {
	times := func(f float64) string { return fmt.Sprintf("%.2f", f) }
	rate := func(name string, connections int, least float64) goal {
		ratio := cmp.Or(r.row(workPairs, name, connections).OctoRate, &Share{})
		return goal{fmt.Sprintf("throughput / %s, %s", name, many(connections, "connection")), ratio.Median, true, least, times}
	}
	server := r.row(workPairs, octoStore, 1)
	least := r.row(workPairs, "ceiling", 1).P50US + r.DiskOverwriteUS
	handover := cmp.Or(r.row(workHandover, "redis", 0).OctoP50, &Share{})
	status := cmp.Or(r.row(workStatus, "ceiling", 0).OctoRate, &Share{})
	all := []goal{
		rate("ceiling", 64, 0.75), rate("ceiling", 256, 0.75), rate("redis", 64, 0.65), rate("redis", 256, 0.7),
		rate("etcd", 64, 6), rate("postgresql", 64, 4), rate("postgresql", 1, 1),
		{"p50 of one connection, beyond HTTP (the ceiling) and the sync (8 KiB)", server.P50US - least, false, 50, span},
		{"hand-over p50 / redis `BLPOP`", handover.Median, false, 1.3, times},
		{"reads beside 16 writers / ceiling without writers", status.Median, true, 1, times},
	}
	if row := r.row(workWaiters, octoStore, 0); row.ResidentBytes != nil {
		all = append(all, goal{fmt.Sprintf("memory of each of %s waiters", thousands(float64(row.Waiters))), *row.ResidentBytes, false, 8000, size})
	}
	if row := r.row(workLocks, octoStore, 0); row.ResidentBytes != nil {
		locks := thousands(float64(row.Locks))
		all = append(all, goal{fmt.Sprintf("memory of each of %s held locks", locks), *row.ResidentBytes, false, 700, size})
		all = append(all, goal{"heap of each", *row.HeapBytes, false, 350, size})
	}
	return all
}

func writeGoals(b *strings.Builder, r *Report) {
	fmt.Fprint(b, "The goals:\n\n| | measured | goal | |\n|---|---|---|---|\n")
	for _, g := range goals(r) {
		if g.figure == 0 {
			continue // not compared in this run
		}
		sign, met := "≤", g.figure <= g.goal
		if g.least {
			sign, met = "≥", g.figure >= g.goal
		}
		verdict := "**missed**"
		if met {
			verdict = "met"
		}
		fmt.Fprintf(b, "| %s | %s | %s %s | %s |\n", g.what, g.describe(g.figure), sign, g.describe(g.goal), verdict)
	}
	fmt.Fprintln(b)
}

func writePeerTable(b *strings.Builder, peers []Peer) {
	fmt.Fprint(b, "What an operation is, one request each unless it says otherwise:\n\n| | |\n|---|---|\n")
	for _, p := range peers {
		fmt.Fprintf(b, "| **%s** | %s<br>`%s` |\n", p.Name, p.Version, p.Command)
		for _, o := range p.Operations {
			fmt.Fprintf(b, "| %s | %s |\n", o.Name, o.Is)
		}
	}
}

func TestPerformanceGoals(t *testing.T) {
	var b strings.Builder
	writeGoals(&b, exampleComparison())
	for _, want := range []string{
		"| throughput / ceiling, 64 connections | 0.70 | ≥ 0.75 | **missed** |",
		"| throughput / redis, 64 connections | 0.67 | ≥ 0.65 | met |",
		"| p50 of one connection, beyond HTTP (the ceiling) and the sync (8 KiB) | 1.43 ms | ≤ 50 µs | **missed** |",
		"| heap of each | 200 B | ≤ 350 B | met |",
	} {
		if !strings.Contains(b.String(), want+"\n") {
			t.Errorf("no line %q in\n%s", want, b.String())
		}
	}
	if strings.Contains(b.String(), "postgresql") {
		t.Errorf("a goal against what was not measured:\n%s", b.String())
	}
}
