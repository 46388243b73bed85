package sqlite

import (
	"context"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/octostore/octostore/core/journal"
	"github.com/octostore/octostore/core/journal/record"
	"github.com/octostore/octostore/core/lock"
	"github.com/octostore/octostore/core/table"
)

// asFromHTTP is the origin of a request over HTTP.
func asFromHTTP(n int) lock.Origin {
	return lock.Origin{
		Actor:     lock.Actor{Account: "local", RemoteAddr: "127.0.0.1:43210", UserAgent: "curl/8.5.0"},
		RequestID: fmt.Sprintf("fl33m4-%d", n),
	}
}

// An acquire and its release, with short names and the default level, take a bounded number
// of bytes on disk, one by one or many at once.
func TestCommitBytesOfAPair(t *testing.T) {
	const pairs, most = 3000, 700
	for _, clients := range []int{1, 64} {
		t.Run(fmt.Sprintf("%d at once", clients), func(t *testing.T) {
			s := open(t, Config{Path: newPath(t)})
			j := journal.New(s)
			table, err := table.Open(t.Context(), j, table.Config{Published: j.Publish})
			if err != nil {
				t.Fatal(err)
			}
			defer table.Close()
			before, err := s.Used(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			var wg sync.WaitGroup
			for c := range clients {
				wg.Go(func() {
					for n := range pairs / clients {
						pair(t, table, lock.Name(fmt.Sprintf("app/%d", c)), asFromHTTP(n))
					}
				})
			}
			wg.Wait()
			after, err := s.Used(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			each := float64(after-before) / float64(pairs/clients*clients)
			t.Logf("%.0f bytes", each)
			if each > most {
				t.Errorf("a pair takes %.0f bytes, want at most %d", each, most)
			}
		})
	}
}

func pair(t testing.TB, table *table.Table, name lock.Name, o lock.Origin) {
	g, err := table.Acquire(context.Background(), lock.Acquisition{Origin: o, Name: name, Holder: "ci-1", TTL: time.Minute})
	if err != nil {
		t.Error(err)
		return
	}
	if _, err := table.Release(context.Background(), lock.ReleaseRequest{Origin: o, Name: name, LeaseID: g.LeaseID}); err != nil {
		t.Error(err)
	}
}

// Cost of sealing beside the cost of the commit that contains it.
func BenchmarkSealBesideCommit(b *testing.B) {
	for _, size := range []int{1, 8, 64, 256} {
		b.Run(fmt.Sprintf("%d events", size), func(b *testing.B) {
			s := open(b, Config{Path: newPath(b)})
			snap, err := s.Load(b.Context())
			if err != nil {
				b.Fatal(err)
			}
			head := snap.Head
			var sealing, committing time.Duration
			for n := 0; b.Loop(); n++ {
				batch := pairsBatch(head, size, n)
				begun := time.Now()
				record.Seal(batch, nil)
				sealed := time.Now()
				if err := s.Commit(b.Context(), batch); err != nil {
					b.Fatal(err)
				}
				sealing += sealed.Sub(begun)
				committing += time.Since(sealed)
				head = batch.Next
			}
			b.ReportMetric(100*float64(sealing)/float64(sealing+committing), "%seal")
			b.ReportMetric(float64(sealing.Nanoseconds())/float64(b.N*size), "ns-seal/event")
			b.ReportMetric(float64(committing.Nanoseconds())/float64(b.N*size), "ns-commit/event")
		})
	}
}

// pairsBatch is a batch in which half of the events are grants and the others releases
// of the batch before.
func pairsBatch(head lock.Head, size, n int) *lock.Batch {
	batch := &lock.Batch{Prev: head}
	now := time.Now()
	for i := range size {
		name := lock.Name(fmt.Sprintf("deploy/service-%d/prod", i))
		lease := &lock.Lease{Name: name, Token: head.Seq + 1, Account: "local", Holder: "ci-4711", TTL: time.Minute, GrantedAt: now, ExpiresAt: now.Add(time.Minute)}
		o := asFromHTTP(n)
		e := lock.Event{Seq: head.Seq + lock.Seq(i) + 1, Time: now, Kind: lock.Granted, Lease: lease, Actor: o.Actor, RequestID: o.RequestID}
		row := lock.Row{Name: name, Lease: lease}
		if (n+i)%2 == 1 {
			e.Kind, row.Lease = lock.Released, nil
		}
		batch.Events, batch.Rows = append(batch.Events, e), append(batch.Rows, row)
	}
	return batch
}

// BenchmarkPairs acquires and releases locks through the table and its journal, as one
// client and as many at once: what a request costs behind HTTP. One operation is a pair.
func BenchmarkPairs(b *testing.B) {
	for _, clients := range []int{1, 64} {
		b.Run(fmt.Sprintf("clients=%d", clients), func(b *testing.B) {
			s := open(b, Config{Path: newPath(b)})
			j := journal.New(s)
			table, err := table.Open(b.Context(), j, table.Config{Published: j.Publish})
			if err != nil {
				b.Fatal(err)
			}
			defer table.Close()
			b.ReportAllocs()
			b.ResetTimer()
			before := cpuTime()
			var wg sync.WaitGroup
			for c := range clients {
				wg.Go(func() {
					name, o := lock.Name(fmt.Sprintf("app/%d", c)), asFromHTTP(c)
					for n := c; n < b.N; n += clients {
						pair(b, table, name, o)
					}
				})
			}
			wg.Wait()
			b.ReportMetric(float64(cpuTime()-before)/float64(b.N), "cpu-ns/op")
		})
	}
}
