package hooks

import (
	"context"
	"fmt"
	"sync/atomic"
	"testing"
	"time"

	"github.com/octostore/octostore/core"
	"github.com/octostore/octostore/core/auth"
	"github.com/octostore/octostore/core/journal"
	"github.com/octostore/octostore/core/lock"
	"github.com/octostore/octostore/core/store/memory"
	"github.com/octostore/octostore/core/table"
)

// A name that no policy matches pays for a look at the patterns, and for nothing else.
func TestCoversCostsNothingForOtherNames(t *testing.T) {
	h := newHouse(t)
	h.write("empty.wasm", allows)
	host := h.open(entry("empty", `"match":["other/**","!other/x"]`))
	if n := testing.AllocsPerRun(100, func() {
		if host.Covers(core.HookAcquire, "prod/db") {
			t.Error("it is covered")
		}
	}); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

// BenchmarkPairs is an acquire and its release without HTTP and without a disk, which
// makes the most of what policies cost: without any, under one for other names, under
// one that allows, and under one that allows and reads three fields.
func BenchmarkPairs(b *testing.B) {
	h := newHouse(b)
	h.write("empty.wasm", allows)
	h.write("reads.wasm", check(at("ttl_ms")+"call $get_i64 i64.const 3600000 i64.gt_s if i32.const 1 return end "+
		at("lock.name")+"i32.const 500 i32.const 100 call $get drop "+at("metadata.ticket")+"i32.const 500 i32.const 100 call $get drop i32.const 0"))
	for _, bm := range []struct{ name, policy string }{
		{"no policies", ""}, {"another name", entry("empty", `"match":["other/**"]`)},
		{"allows", entry("empty")}, {"reads", entry("reads")},
	} {
		b.Run(bm.name, func(b *testing.B) {
			var cfg core.Config
			if bm.policy != "" {
				cfg.Guard = h.open(bm.policy)
			}
			log := journal.New(memory.New())
			table, err := table.Open(context.Background(), log, table.Config{Published: log.Publish, Rechecks: core.Rechecks(cfg.Guard)})
			if err != nil {
				b.Fatal(err)
			}
			defer table.Close()
			s := core.New(table, cfg)
			who := auth.Local()
			var n atomic.Int64
			b.SetParallelism(32)
			b.ReportAllocs()
			b.ResetTimer()
			b.RunParallel(func(pb *testing.PB) {
				name := lock.Name(fmt.Sprintf("prod/%d", n.Add(1)))
				for pb.Next() {
					g, err := s.Acquire(context.Background(), who, core.AcquireRequest{Name: name, TTL: time.Minute})
					if err == nil {
						_, err = s.Release(context.Background(), who, lock.ReleaseRequest{Name: name, LeaseID: g.LeaseID})
					}
					if err != nil {
						b.Error(err)
						return
					}
				}
			})
		})
	}
}
