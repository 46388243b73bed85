package hooks

import (
	"context"
	"testing"
	"time"
)

// BenchmarkRatios measures a call of guests that read three fields against one of a
// guest that does nothing. The two take turns, so that the load of the machine meets
// both, and the ratio is worth more than the figures.
func BenchmarkRatios(b *testing.B) {
	h := newHouse(b)
	h.write("empty.wasm", allows)
	h.write("wat.wasm", check(at("ttl_ms")+"call $get_i64 i64.const 3600000 i64.gt_s if i32.const 1 return end "+
		at("metadata.ticket")+"i32.const 500 i32.const 100 call $get drop "+at("lock.name")+"i32.const 500 i32.const 100 call $get drop i32.const 0"))
	h.write("go.wasm", buildGo(b, "./testdata/getters"))
	empty := h.open(entry("empty"))
	for _, name := range []string{"wat", "go"} {
		guest := h.open(entry(name))
		b.Run(name, func(b *testing.B) {
			const each = 100
			var took, idle time.Duration
			for n := 0; b.Loop(); n++ {
				if n%each == 0 {
					b.StopTimer()
					idle += calls(b, empty, each)
					took += calls(b, guest, each)
					b.StartTimer()
				}
				calls(b, guest, 1)
			}
			b.ReportMetric(float64(took)/float64(idle), "x-empty")
		})
	}
}

// calls puts a request to a host so many times and returns how long that took.
func calls(b *testing.B, host *Host, n int) time.Duration {
	q := question("prod/db")
	begun := time.Now()
	for range n {
		if _, err := host.Judge(context.Background(), q); err != nil {
			b.Fatal(err)
		}
	}
	return time.Since(begun)
}
