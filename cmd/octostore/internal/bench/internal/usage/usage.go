// Package usage measures the resources that a server under load has used, by its own
// metrics, and the other load of the machine: processor time of other programs, and the
// sync time of its disk.
package usage

import (
	"bufio"
	"fmt"
	"io"
	"strconv"
	"strings"
)

// Unknown marks a figure that the server does not publish.
const Unknown = -1

// Usage is what a server has used according to its own metrics, [Unknown] where they do not
// say.
type Usage struct {
	CPU         float64 // seconds
	Resident    float64 // bytes
	Heap        float64 // bytes
	Collections float64 // of garbage
}

// Read reads metrics in the Prometheus text format.
func Read(from io.Reader) (Usage, error) {
	u := Usage{CPU: Unknown, Resident: Unknown, Heap: Unknown, Collections: Unknown}
	fields := map[string]*float64{
		"process_cpu_seconds_total":     &u.CPU,
		"process_resident_memory_bytes": &u.Resident,
		"go_memstats_heap_inuse_bytes":  &u.Heap,
		"go_gc_duration_seconds_count":  &u.Collections,
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
			return Usage{}, fmt.Errorf("metrics: %s: %w", name, err)
		}
		*field = v
	}
	if err := lines.Err(); err != nil {
		return Usage{}, fmt.Errorf("metrics: %w", err)
	}
	return u, nil
}

// Grown returns the growth of a figure for each of n things, or nil if it is unknown.
func Grown(before, after float64, n int64) *float64 {
	if before == Unknown || after == Unknown || n == 0 {
		return nil
	}
	each := (after - before) / float64(n)
	return &each
}
