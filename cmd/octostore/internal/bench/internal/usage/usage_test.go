package usage

import (
	"math"
	"strings"
	"testing"
)

func TestUsageReadsMetrics(t *testing.T) {
	const metrics = `# HELP process_cpu_seconds_total Total user and system CPU time spent in seconds.
# TYPE process_cpu_seconds_total counter
process_cpu_seconds_total 12.25
process_resident_memory_bytes 1.2345678e+07
go_gc_duration_seconds{quantile="0"} 0.1
go_gc_duration_seconds_count 17
octostore_held_leases 3
`
	got, err := Read(strings.NewReader(metrics))
	want := Usage{CPU: 12.25, Resident: 12345678, Heap: Unknown, Collections: 17}
	if err != nil || got != want {
		t.Errorf("got %+v, error %v; want %+v", got, err, want)
	}
	if _, err := Read(strings.NewReader("process_cpu_seconds_total much\n")); err == nil {
		t.Error("a word was taken for a number")
	}
}

func TestCPUTimesOfOtherPrograms(t *testing.T) {
	before := parseStat("cpu  100 0 100 800 0 0 0 0 0 0\ncpu0 1 2 3\n")
	after := parseStat("cpu  250 20 200 1000 10 5 5 10 0 0\n") // 5 s had, 2.8 s used
	if before.had != 10 || before.used != 2 {
		t.Fatalf("parsed %+v", before)
	}
	after.ours = 1.8
	if others := before.Others(after); others == nil || math.Abs(*others-0.2) > 1e-9 {
		t.Errorf("others used %v of the machine, want 0.2", others)
	}
	if others := before.Others(parseStat("who knows")); others != nil {
		t.Errorf("others used %v of an unknown machine", *others)
	}
}
