package bench

import (
	"bufio"
	"fmt"
	"io"
	"strconv"
	"strings"
)

// unknown is a figure the server does not publish.
const unknown = -1

// usage is what a server has used, by its own metrics, [unknown] where it does not
// say.
type usage struct {
	cpu         float64 // seconds
	resident    float64 // bytes
	heap        float64 // bytes
	collections float64 // of garbage
}

// readUsage reads metrics in the Prometheus text format.
func readUsage(from io.Reader) (usage, error) {
	u := usage{cpu: unknown, resident: unknown, heap: unknown, collections: unknown}
	fields := map[string]*float64{
		"process_cpu_seconds_total":     &u.cpu,
		"process_resident_memory_bytes": &u.resident,
		"go_memstats_heap_inuse_bytes":  &u.heap,
		"go_gc_duration_seconds_count":  &u.collections,
	}
	lines := bufio.NewScanner(from)
	for lines.Scan() {
		name, value, _ := strings.Cut(lines.Text(), " ")
		field := fields[name]
		if field == nil {
			continue
		}
		v, err := strconv.ParseFloat(strings.TrimSpace(value), 64)
		if err != nil {
			return usage{}, fmt.Errorf("metrics: %s: %w", name, err)
		}
		*field = v
	}
	if err := lines.Err(); err != nil {
		return usage{}, fmt.Errorf("metrics: %w", err)
	}
	return u, nil
}

// grown returns by how much a figure grew for each of n things, or nil if nobody
// knows.
func grown(before, after float64, n int64) *float64 {
	if before == unknown || after == unknown || n == 0 {
		return nil
	}
	each := (after - before) / float64(n)
	return &each
}
