package bench

import (
	"bytes"
	"encoding/json"
	"encoding/xml"
	"errors"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/octostore/octostore/cmd/octostore/internal/bench/internal/usage"
)

// quickComparison compares a fake server with the peers that are installed.
func quickComparison(t *testing.T) Config {
	cfg := quick(t, Compare, "")
	cfg.Serve = command(t, "server")
	cfg.Parked, cfg.Connections, cfg.Duration = 5, []int{2}, 30*time.Millisecond
	cfg.Peers = []string{"redis"}
	return cfg
}

func TestCompareMeasuresWhatIsInstalled(t *testing.T) {
	cfg := quickComparison(t)
	installRedis(t, "redis")
	report, err := Run(t.Context(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	rows := map[string][]string{}
	for _, row := range report.Rows {
		rows[row.Workload] = append(rows[row.Workload], row.Name)
		if row.PerSecond <= 0 || row.P50US <= 0 || row.Errors+row.BrokenPromises > 0 {
			t.Errorf("%s, %s: %+v", row.Workload, row.Name, row)
		}
		if other := row.Workload != workWaiters && row.Workload != workLocks && row.Name != octoStore; other != (row.OctoRate != nil && row.OctoP50 != nil) {
			t.Errorf("%s, %s: ratios %v and %v", row.Workload, row.Name, row.OctoRate, row.OctoP50)
		}
	}
	three := []string{"ceiling", "octostore", "redis"}
	for workload, want := range map[string][]string{
		workPairs: three, workHandover: three, workStatus: three,
		workWaiters: {"octostore"}, workLocks: {"octostore"},
	} {
		if got := rows[workload]; !slices.Equal(got, want) {
			t.Errorf("%s: rows %q, want %q", workload, got, want)
		}
	}
	if len(report.Peers) != 1 || !strings.Contains(report.Peers[0].Command, "--port PORT") || report.Peers[0].Version != "Redis server v=0 of a test" {
		t.Errorf("peers: %+v", report.Peers)
	}
	if report.DiskOverwriteUS <= 0 || report.Machine == nil || report.Time == "" {
		t.Errorf("the machine is not in the report: %+v", report)
	}
	checkNothingIsLeft(t, cfg.Dir)
}

// The memory of a comparison is that of a server with a token, on which one account has it all.
func TestCompareMeasuresMemoryWithAToken(t *testing.T) {
	target, err := openTarget(t.Context(), Config{Mode: Locks, alone: true, Serve: command(t, "server"), Dir: t.TempDir()}, onServer)
	if err != nil {
		t.Fatal(err)
	}
	defer target.close()
	if target.token == "" {
		t.Error("the server has no token")
	}
}

func TestCompareStartsPeersBelowARelativeFolder(t *testing.T) {
	cfg := quickComparison(t)
	installRedis(t, "redis")
	t.Chdir(filepath.Dir(cfg.Dir))
	cfg.Dir = filepath.Base(cfg.Dir)
	peer, err := openTarget(t.Context(), cfg.withDefaults(), onRedis)
	if err != nil {
		t.Fatal(err)
	}
	peer.close()
	checkNothingIsLeft(t, cfg.Dir)
}

func TestCompareLeavesOutWhatIsNotInstalled(t *testing.T) {
	installRedis(t, "redis")
	chosen, absent, err := choosePeers(nil)
	if err != nil || !slices.Contains(chosen, "redis") || !slices.Contains(absent, "etcd") {
		t.Errorf("chosen %q, absent %q, error %v; want Redis, and etcd absent", chosen, absent, err)
	}
}

func checkNothingIsLeft(t *testing.T, dir string) {
	t.Helper()
	if left, err := os.ReadDir(dir); err != nil || len(left) > 0 {
		t.Errorf("left behind: %v, error %v", left, err)
	}
}

func TestCompareFailsWithAPeer(t *testing.T) {
	tests := []struct {
		name, peer string
		named      []string
		says       string
	}{
		{"one that does not start", "failing server", []string{"redis"}, "redis: --version: exit status 1: the disk is on fire"},
		{"one that dies", "dying redis", []string{"redis"}, "connection"},
		{"one that forgets who has a lock", "forgetful redis", []string{"redis"}, "redis: acquire: SET: no value"},
		{"one that is not installed", "redis", []string{"etcd"}, "etcd is not installed; make bench-peers installs it"},
		{"an unknown one", "redis", []string{"zookeeper"}, `no peer "zookeeper"`},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			cfg := quickComparison(t)
			cfg.Peers = tt.named
			installRedis(t, tt.peer)
			_, err := Run(t.Context(), cfg)
			if err == nil || !strings.Contains(err.Error(), tt.says) {
				t.Errorf("got error %v, want one that says %q", err, tt.says)
			}
			checkNothingIsLeft(t, cfg.Dir)
		})
	}
}

func TestCompareStopsEverythingWhenInterrupted(t *testing.T) {
	cfg := quickComparison(t)
	installRedis(t, "redis")
	ctx, cancel := interruptible(t)
	cfg.Rounds, cfg.Progress = 1000, writerFunc(func() { cancel(errInterrupted) })
	if _, err := Run(ctx, cfg); !errors.Is(err, errInterrupted) {
		t.Errorf("got error %v, want the cause", err)
	}
	checkNothingIsLeft(t, cfg.Dir)
}

func TestCompareRefusesRoundsLongerThanALease(t *testing.T) {
	cfg := quickComparison(t)
	cfg.Duration = time.Minute
	if _, err := Run(t.Context(), cfg); err == nil || !strings.Contains(err.Error(), "too long") {
		t.Errorf("got error %v", err)
	}
}

// exampleComparison returns a report with known figures.
func exampleComparison() *Report {
	server := func(workload, name string, kind serverKind, connections int, rates ...int64) *step {
		s := &step{workload: workload, name: name, server: kind, connections: connections}
		if workload == workHandover {
			s.waiters = connections - 1
		}
		for _, rate := range rates {
			s.samples = append(s.samples, sampleOf(rate, time.Duration(int64(time.Second)*int64(connections)/rate), 0.03))
		}
		return s
	}
	report := &Report{
		Mode: Compare, System: "linux/amd64", CPUs: 2, Rounds: 3, DurationMS: 3000, WarmupMS: 500, DiskSyncUS: 281.4, DiskOverwriteUS: 74.2,
		Version: "v1.2.3", Time: "2026-01-02T03:04:05Z", Machine: &usage.Machine{Processor: "Abacus", MemoryBytes: 8e9, Kernel: "6.1"},
		Peers:  []Peer{{Name: "redis", Version: "Redis server v=7", Command: "redis-server --save ''"}},
		Absent: []string{"postgresql"},
	}
	for _, g := range []group{
		{
			server(workPairs, "ceiling", onCeiling, 1, 2000, 2100, 1900), server(workPairs, octoStore, onServer, 1, 500, 510, 490),
			server(workPairs, "redis", onRedis, 1, 700, 710, 600),
		},
		{
			server(workPairs, "ceiling", onCeiling, 64, 4000, 4400, 4200), server(workPairs, octoStore, onServer, 64, 3000, 3100, 2900),
			server(workPairs, "redis", onRedis, 64, 4500, 4600, 4000), server(workPairs, "etcd", onEtcd, 64, 400, 410, 420),
		},
		{server(workHandover, "ceiling", onCeiling, 17, 9000), server(workHandover, octoStore, onServer, 17, 2000), server(workHandover, "redis", onRedis, 17, 4000)},
		{server(workStatus, "ceiling", onCeiling, 64, 4000), server(workStatus, octoStore, onServer, 64, 4100)},
		{server(workWaiters, octoStore, onServer, 10, 1000)},
		{server(workLocks, octoStore, onServer, 64, 1000)},
	} {
		for _, s := range g {
			row := summarize(s, g)
			if s.workload == workWaiters || s.workload == workLocks {
				row.Waiters, row.Locks = 10_000, 100_000
			}
			report.Rows = append(report.Rows, row)
		}
	}
	return report
}

func TestCompareForms(t *testing.T) {
	report := exampleComparison()
	asJSON, err := json.MarshalIndent(report, "", "  ")
	if err != nil {
		t.Fatal(err)
	}
	var back Report
	if err := json.Unmarshal(asJSON, &back); err != nil {
		t.Fatal(err)
	}
	// What is written comes from the JSON alone, so that it can be written later.
	var text, plot bytes.Buffer
	if err := errors.Join(back.WriteText(&text), back.WritePlot(&plot)); err != nil {
		t.Fatal(err)
	}
	golden(t, "compare.txt", text.Bytes())
	golden(t, "compare.svg", plot.Bytes())
}

func TestComparePlotIsADocument(t *testing.T) {
	report := exampleComparison()
	report.Rows[0].Name = `<script>&"`
	var plot bytes.Buffer
	if err := report.WritePlot(&plot); err != nil {
		t.Fatal(err)
	}
	bars := 0
	for d := xml.NewDecoder(&plot); ; {
		token, err := d.Token()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		if e, ok := token.(xml.StartElement); ok && e.Name.Local == "rect" {
			bars++
		}
	}
	if want := 12 + 1; bars != want { // and the page
		t.Errorf("%d rectangles, want %d", bars, want)
	}
}
