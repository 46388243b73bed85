package sqlite

import (
	"fmt"
	"runtime"
	"testing"
	"time"

	"github.com/octostore/octostore/core/journal"
	"github.com/octostore/octostore/core/lock"
	"github.com/octostore/octostore/core/store/storetest"
	"github.com/octostore/octostore/core/table"
)

// BenchmarkHeldStart starts with a million held locks: after a restart of the server, and after
// one of the machine, when all leases run their full time again.
func BenchmarkHeldStart(b *testing.B) {
	const locks = 1_000_000
	clock := &fakeClocks{wall: time.Now(), boot: time.Hour, id: "boot"}
	cfg := Config{Path: newPath(b), clocks: clock.clocks()}
	fillWithLeases(b, cfg, locks)
	for _, start := range []string{"restart", "reboot"} {
		b.Run(start, func(b *testing.B) {
			for b.Loop() {
				if start == "reboot" {
					clock.id += "'"
				}
				measureStart(b, cfg, locks)
			}
		})
	}
}

func fillWithLeases(b *testing.B, cfg Config, locks int) {
	b.Helper()
	s := open(b, cfg)
	storetest.Load(b, s)
	var line storetest.Line
	for from := 0; from < locks; from += 10_000 {
		rows := make([]lock.Row, 0, 10_000)
		for i := from; i < min(from+10_000, locks); i++ {
			rows = append(rows, storetest.Row(lock.Name(fmt.Sprintf("hold/%07d", i)), lock.Token(i+1), time.Hour))
		}
		batch := line.Batch(1, rows...)
		if err := s.Commit(b.Context(), batch); err != nil {
			b.Fatal(err)
		}
		line.Head = batch.Next
	}
	if err := s.Close(); err != nil {
		b.Fatal(err)
	}
}

func measureStart(b *testing.B, cfg Config, locks int) {
	b.Helper()
	runtime.GC()
	began, cpu := time.Now(), cpuTime()
	s, err := Open(b.Context(), cfg)
	if err != nil {
		b.Fatal(err)
	}
	opened := time.Since(began)
	tab, err := table.Open(b.Context(), s, table.Config{})
	if err != nil {
		b.Fatal(err)
	}
	b.ReportMetric(opened.Seconds(), "s-open")
	b.ReportMetric((time.Since(began) - opened).Seconds(), "s-load")
	b.ReportMetric((cpuTime() - cpu).Seconds(), "cpu-s")
	if held := tab.Stats().Held; held != locks {
		b.Errorf("%d held, want %d", held, locks)
	}
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	b.ReportMetric(float64(m.HeapSys-m.HeapReleased)/float64(locks), "heap-sys-B/lock")
	runtime.GC()
	runtime.ReadMemStats(&m)
	b.ReportMetric(float64(m.HeapAlloc)/float64(locks), "heap-B/lock")
	if err := tab.Close(); err != nil {
		b.Error(err)
	}
	if err := s.Close(); err != nil {
		b.Error(err)
	}
}

// BenchmarkHeldEnd lets 100,000 leases end in one second, beside a client that takes locks,
// looks at them and lists them. It reports the longest of each, and that of as many
// acquires without the ends.
func BenchmarkHeldEnd(b *testing.B) {
	const locks = 100_000
	for b.Loop() {
		tab := openWithEnds(b, locks)
		var took [3]time.Duration
		rounds := 0
		for ; tab.Stats().Held > 0; rounds++ {
			for i, ask := range []func(){
				func() { acquireAndRelease(b, tab) },
				func() { tab.Get("hold/0077777") },
				func() { tab.List(table.Query{Limit: 1000, After: "hold/005"}) },
			} {
				began := time.Now()
				ask()
				took[i] = max(took[i], time.Since(began))
			}
		}
		var alone time.Duration
		for range rounds {
			began := time.Now()
			acquireAndRelease(b, tab)
			alone = max(alone, time.Since(began))
		}
		b.ReportMetric(float64(alone.Microseconds())/1000, "ms-alone")
		for i, name := range []string{"acquire", "get", "list"} {
			b.ReportMetric(float64(took[i].Microseconds())/1000, "ms-"+name)
		}
	}
}

// openWithEnds returns a table whose leases all end in a moment.
func openWithEnds(b *testing.B, locks int) *table.Table {
	b.Helper()
	clock := &fakeClocks{wall: time.Now(), boot: time.Hour, id: "boot"}
	cfg := Config{Path: newPath(b), clocks: clock.clocks()}
	fillWithLeases(b, cfg, locks)
	clock.pass(time.Hour - time.Second)
	s := open(b, cfg)
	j := journal.New(s)
	tab, err := table.Open(b.Context(), j, table.Config{Published: j.Publish})
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { tab.Close() })
	return tab
}

func acquireAndRelease(b *testing.B, tab *table.Table) {
	b.Helper()
	g, err := tab.Acquire(b.Context(), lock.Acquisition{Name: "beside", TTL: time.Minute})
	if err != nil {
		b.Fatal(err)
	}
	if _, err := tab.Release(b.Context(), lock.ReleaseRequest{Name: "beside", LeaseID: g.LeaseID}); err != nil {
		b.Fatal(err)
	}
}
