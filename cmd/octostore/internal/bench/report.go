package bench

import (
	"math"
	"slices"
	"time"

	"github.com/HdrHistogram/hdrhistogram-go"

	"github.com/octostore/octostore/cmd/octostore/internal/bench/internal/peer"
	"github.com/octostore/octostore/cmd/octostore/internal/bench/internal/usage"
)

// Report is the result of a run. Names of durations end in their unit; unknown figures are
// left out.
type Report struct {
	Mode       Mode     `json:"mode"`
	URL        string   `json:"url,omitempty"` // absent: a server started for the run
	System     string   `json:"system"`
	CPUs       int      `json:"cpus"`
	Rounds     int      `json:"rounds"`
	DurationMS int64    `json:"duration_ms"`
	WarmupMS   int64    `json:"warmup_ms"`
	DiskSyncUS float64  `json:"disk_sync_us,omitempty"`     // median of 4 KiB append + fdatasync
	OthersCPU  *float64 `json:"others_cpu_share,omitempty"` // share of the CPUs used by other programs
	Rows       []Row    `json:"rows"`

	// Mode compare only.
	Version         string         `json:"version,omitempty"` // of OctoStore
	Time            string         `json:"time,omitempty"`    // of the end of the run
	Machine         *usage.Machine `json:"machine,omitempty"`
	DiskOverwriteUS float64        `json:"disk_overwrite_us,omitempty"` // median of 8 KiB over what is there + fdatasync
	Peers           []Peer         `json:"peers,omitempty"`
	Absent          []string       `json:"absent,omitempty"` // peers that are not installed
}

// Peer is another program of a comparison: its version, the command line that started it, and
// the operations that stand for those of a lock.
type Peer struct {
	Name       string           `json:"name"`
	Version    string           `json:"version"`
	Command    string           `json:"command"`
	Operations []peer.Operation `json:"operations"`
}

// Row is the result of one load on one server. Figures over time are medians of
// the rounds, latencies are of all rounds together.
type Row struct {
	Workload    string `json:"workload,omitempty"` // mode compare only
	Name        string `json:"name"`
	Connections int    `json:"connections"`
	Waiters     int    `json:"waiters,omitempty"`
	Writers     int    `json:"writers,omitempty"`
	Locks       int    `json:"locks,omitempty"`

	Operations int64   `json:"operations"` // in all rounds
	PerSecond  float64 `json:"per_second"`
	Share      *Share  `json:"share_of_ceiling,omitempty"` // absent: it is the ceiling
	// OfServer is the throughput of a variant as a share of the plain server.
	OfServer *Share `json:"share_of_server,omitempty"`
	// Mode compare only: the rounds behind the medians, and OctoStore's figures in the same
	// rounds divided by those of this row.
	Rates    *Share  `json:"per_second_rounds,omitempty"`
	P50s     *Share  `json:"p50_us_rounds,omitempty"`
	OctoRate *Share  `json:"octostore_rate_ratio,omitempty"`
	OctoP50  *Share  `json:"octostore_p50_ratio,omitempty"`
	P50US    float64 `json:"p50_us"`
	P95US    float64 `json:"p95_us"`
	P99US    float64 `json:"p99_us"`
	MaxUS    float64 `json:"max_us"`

	GeneratorCPUUS  float64  `json:"generator_cpu_us_per_operation,omitempty"` // mode compare only
	ServerCPUUS     *float64 `json:"server_cpu_us_per_operation,omitempty"`
	ResidentBytes   *float64 `json:"server_resident_bytes_each,omitempty"` // per waiter or held lock
	HeapBytes       *float64 `json:"server_heap_bytes_each,omitempty"`     // per waiter or held lock
	WritesPerSecond float64  `json:"writes_per_second,omitempty"`          // of the writers

	Errors         int64  `json:"errors"`
	BrokenPromises int64  `json:"broken_promises"`
	FirstError     string `json:"first_error,omitempty"`
}

// Share is a figure as a share of another one in the same round, or the figures of the rounds.
type Share struct {
	Median float64 `json:"median"`
	Min    float64 `json:"min"`
	Max    float64 `json:"max"`
}

// summarize returns the row for the samples of a step.
func summarize(s *step, g group) Row {
	row := Row{
		Name: s.name, Connections: s.connections, Waiters: s.waiters, Writers: s.writers, Locks: s.locks,
		PerSecond:       rounded(median(each(s.samples, (*sample).rate))),
		WritesPerSecond: rounded(median(each(s.samples, (*sample).writeRate))),
		ServerCPUUS:     medianKnown(each(s.samples, (*sample).cpuEach)),
		ResidentBytes:   medianKnown(each(s.samples, (*sample).residentEach)),
		HeapBytes:       medianKnown(each(s.samples, (*sample).heapEach)),
	}
	if s.server != onCeiling {
		row.Share = share(s.samples, g[0].samples)
	}
	if s.server == onVariant {
		row.OfServer = share(s.samples, g.at(onServer).samples)
	}
	if s.workload != "" {
		row.compare(s, g)
	}
	all := hdrhistogram.New(shortest, longest, digits)
	for _, sample := range s.samples {
		all.Merge(sample.latency)
		row.Operations += sample.operations
		errors, broken := sample.failures()
		row.Errors += errors
		row.BrokenPromises += broken
		if row.FirstError == "" && sample.first != nil {
			row.FirstError = sample.first.Error()
		}
	}
	at := func(quantile float64) float64 { return rounded(micros(time.Duration(all.ValueAtQuantile(quantile)))) }
	row.P50US, row.P95US, row.P99US, row.MaxUS = at(50), at(95), at(99), at(100)
	return row
}

func (s *sample) writeRate() float64 {
	if s.elapsed == 0 {
		return 0
	}
	return float64(s.beside) / s.elapsed.Seconds()
}

func (s *sample) cpuEach() *float64 {
	each := usage.Grown(s.before.CPU, s.after.CPU, s.operations)
	if each != nil {
		*each *= 1e6
	}
	return each
}

func (s *sample) residentEach() *float64 {
	return usage.Grown(s.empty.Resident, s.full.Resident, s.kept)
}
func (s *sample) heapEach() *float64 { return usage.Grown(s.empty.Heap, s.full.Heap, s.kept) }

func each[T any](samples []*sample, figure func(*sample) T) []T {
	var figures []T
	for _, s := range samples {
		figures = append(figures, figure(s))
	}
	return figures
}

func medianKnown(figures []*float64) *float64 {
	var known []float64
	for _, f := range figures {
		if f != nil {
			known = append(known, *f)
		}
	}
	if len(known) == 0 {
		return nil
	}
	m := rounded(median(known))
	return &m
}

func mean(figures []float64) *float64 {
	if len(figures) == 0 {
		return nil
	}
	var sum float64
	for _, f := range figures {
		sum += f
	}
	sum = rounded(sum / float64(len(figures)))
	return &sum
}

// share compares the throughputs of the same rounds.
func share(samples, ceiling []*sample) *Share { return ratio(samples, ceiling, (*sample).rate) }

// ratio compares a figure of the samples of the same rounds.
func ratio(samples, others []*sample, figure func(*sample) float64) *Share {
	var ratios []float64
	for i, s := range samples {
		if i < len(others) && figure(others[i]) > 0 {
			ratios = append(ratios, figure(s)/figure(others[i]))
		}
	}
	return spread(ratios)
}

// spread returns the median, the smallest and the largest of some figures, nil if there are
// none.
func spread(figures []float64) *Share {
	if len(figures) == 0 {
		return nil
	}
	return &Share{Median: rounded(median(figures)), Min: rounded(slices.Min(figures)), Max: rounded(slices.Max(figures))}
}

// failure returns a [*FailedError] if anything in the report is one.
func (r *Report) failure() error {
	var failed FailedError
	for _, row := range r.Rows {
		failed.Errors += row.Errors
		failed.BrokenPromises += row.BrokenPromises
		if failed.First == "" {
			failed.First = row.FirstError
		}
	}
	if failed.Errors+failed.BrokenPromises == 0 {
		return nil
	}
	return &failed
}

// rounded rounds to three decimal places, more than the precision of the measurement.
func rounded(figure float64) float64 { return math.Round(figure*1000) / 1000 }

func micros(d time.Duration) float64 { return float64(d) / float64(time.Microsecond) }

// median returns the middle of some figures, the lower one of two; 0 if there are none.
func median[T float64 | time.Duration](figures []T) T {
	if len(figures) == 0 {
		return 0
	}
	return slices.Sorted(slices.Values(figures))[(len(figures)-1)/2]
}
