package hooks

import (
	"context"
	"fmt"
	"math"
	"testing"
	"time"
)

// BenchmarkThirty measures a judgement by thirty policies in Go: alone, by the fastest round
// as in [BenchmarkFloors], and as 16 goroutines for each processor ask at the same time.
func BenchmarkThirty(b *testing.B) {
	const policies = 30
	h := newHouse(b)
	h.write("p.wasm", buildGo(b, "./testdata/getters"))
	var entries []string
	for n := range policies {
		entries = append(entries, fmt.Sprintf(`{"name":"p%d","module":"p.wasm","match":["**"]}`, n))
	}
	host, q := h.open(entries...), question("prod/db")
	judge := func() {
		if _, err := host.Judge(context.Background(), q); err != nil {
			b.Error(err)
		}
	}
	b.Run("alone", func(b *testing.B) {
		fastest := math.Inf(1)
		for b.Loop() {
			begun := time.Now()
			judge()
			fastest = min(fastest, float64(time.Since(begun).Nanoseconds()))
		}
		b.ReportMetric(fastest, "fastest-ns")
	})
	b.Run("together", func(b *testing.B) {
		b.SetParallelism(16)
		b.RunParallel(func(pb *testing.PB) {
			for pb.Next() {
				judge()
			}
		})
	})
}
