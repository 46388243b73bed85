package bench

import (
	"bytes"
	"encoding/json"
	"flag"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/octostore/octostore/cmd/octostore/internal/bench/internal/usage"
)

var update = flag.Bool("update", false, "write the golden files")

// sampleOf returns a sample of a given rate, all of whose operations took took.
func sampleOf(operations int64, took time.Duration, cpu float64) *sample {
	t := newTimings()
	for range operations {
		t.add(took)
	}
	return &sample{
		operations: operations,
		elapsed:    time.Second,
		latency:    t.histogram,
		before:     usage.Usage{CPU: 1},
		after:      usage.Usage{CPU: 1 + cpu},
		kept:       10,
		empty:      usage.Usage{Resident: 1_000_000, Heap: 500_000},
		full:       usage.Usage{Resident: 1_175_000, Heap: 502_000},
	}
}

func exampleReport() *Report {
	ceiling := &step{name: "ceiling", server: onCeiling, connections: 64, samples: []*sample{
		sampleOf(1000, 100*time.Microsecond, 0.02), sampleOf(2000, 100*time.Microsecond, 0.04), sampleOf(1000, 100*time.Microsecond, 0.03),
	}}
	server := &step{name: "acquire", connections: 64, samples: []*sample{
		sampleOf(600, 2*time.Millisecond, 0.03), sampleOf(1000, 2*time.Millisecond, 0.05), sampleOf(700, 2*time.Millisecond, 0.035),
	}}
	server.samples[1].count(broken("fencing token 7 was granted after 8"))
	others := 0.31
	return &Report{
		Mode: Acquire, System: "linux/amd64", CPUs: 2, Rounds: 3, DurationMS: 3000, WarmupMS: 500, DiskSyncUS: 281.4, OthersCPU: &others,
		Rows: []Row{summarize(ceiling, group{ceiling, server}), summarize(server, group{ceiling, server})},
	}
}

func TestReportForms(t *testing.T) {
	report := exampleReport()
	asJSON, err := json.MarshalIndent(report, "", "  ")
	if err != nil {
		t.Fatal(err)
	}
	golden(t, "report.json", append(asJSON, '\n'))
	var text bytes.Buffer
	if err := report.WriteText(&text); err != nil {
		t.Fatal(err)
	}
	golden(t, "report.txt", text.Bytes())
}

func golden(t *testing.T, name string, got []byte) {
	t.Helper()
	path := filepath.Join("testdata", name)
	if *update {
		if err := os.WriteFile(path, got, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), string(got)); diff != "" {
		t.Errorf("%s (-want +got; -update writes it):\n%s", name, diff)
	}
}

// The share compares what ran in the same round, not medians of different rounds.
func TestShareIsTheMedianOfTheRatiosOfRounds(t *testing.T) {
	ceiling := []*sample{sampleOf(100, 1, 0), sampleOf(1000, 1, 0), sampleOf(200, 1, 0)}
	server := []*sample{sampleOf(90, 1, 0), sampleOf(500, 1, 0), sampleOf(140, 1, 0)}
	if got, want := share(server, ceiling).String(), "0.70 (0.50-0.90)"; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
}

func TestShareOfNothingIsLeftOut(t *testing.T) {
	if s := share([]*sample{sampleOf(5, 1, 0)}, []*sample{{}}); s != nil {
		t.Errorf("a share of a ceiling that did nothing: %s", s)
	}
}

func TestSpansAndSizesForPeople(t *testing.T) {
	for us, want := range map[float64]string{281.4: "281 µs", 1500: "1.50 ms", 2_500_000: "2.50 s"} {
		if got := span(us); got != want {
			t.Errorf("%g µs: got %s, want %s", us, got, want)
		}
	}
	for bytes, want := range map[float64]string{184: "184 B", 17_500: "17.5 KB", -3: "-3 B"} {
		if got := size(bytes); got != want {
			t.Errorf("%g bytes: got %s, want %s", bytes, got, want)
		}
	}
}
