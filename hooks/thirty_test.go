package hooks

import (
	"context"
	"fmt"
	"math"
	"testing"
	"time"
)

// BenchmarkThirty measures a judgement by thirty policies in Go as [BenchmarkFloors] does one
// by one: the fastest round counts, per policy.
func BenchmarkThirty(b *testing.B) {
	const policies = 30
	h := newHouse(b)
	h.write("p.wasm", buildGo(b, "./testdata/getters"))
	var entries []string
	for n := range policies {
		entries = append(entries, fmt.Sprintf(`{"name":"p%d","module":"p.wasm","match":["**"]}`, n))
	}
	host, q := h.open(entries...), question("prod/db")
	fastest := math.Inf(1)
	for b.Loop() {
		begun := time.Now()
		if _, err := host.Judge(context.Background(), q); err != nil {
			b.Fatal(err)
		}
		fastest = min(fastest, float64(time.Since(begun).Nanoseconds())/policies)
	}
	b.ReportMetric(fastest, "ns/policy")
}
