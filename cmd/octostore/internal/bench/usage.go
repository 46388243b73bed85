package bench

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net/http"
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

// usage asks the server for its metrics.
func (t *target) usage(ctx context.Context) (usage, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+t.addr+"/metrics", nil)
	if err != nil {
		return usage{}, err
	}
	if t.token != "" {
		req.Header.Set("Authorization", "Bearer "+t.token)
	}
	resp, err := t.client.Do(req)
	if err != nil {
		return usage{}, fmt.Errorf("metrics: %w", err)
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		// A server may keep its metrics to itself; it can be measured without them.
		io.Copy(io.Discard, resp.Body)
		return readUsage(strings.NewReader(""))
	}
	return readUsage(resp.Body)
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
