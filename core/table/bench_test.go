package table

import (
	"context"
	"fmt"
	"sync/atomic"
	"testing"
	"time"

	"github.com/octostore/octostore/core/lock"
)

// nowhere is a store that keeps nothing, so that only the table is measured.
type nowhere struct{}

func (nowhere) Load(context.Context) (lock.Snapshot, error) {
	return lock.Snapshot{Secret: make([]byte, 32)}, nil
}
func (nowhere) Commit(context.Context, *lock.Batch) error { return nil }

func openNowhere(b testing.TB) *Table {
	b.Helper()
	t, err := Open(context.Background(), nowhere{}, Config{})
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { t.Close() })
	return t
}

// An acquire and the release of what it got, by many clients with a lock each.
func BenchmarkAcquireRelease(b *testing.B) {
	t := openNowhere(b)
	var clients atomic.Int64
	b.ReportAllocs()
	b.SetParallelism(32)
	b.RunParallel(func(pb *testing.PB) {
		name := lock.Name(fmt.Sprint("lock/", clients.Add(1)))
		for pb.Next() {
			g, err := t.Acquire(context.Background(), try(name))
			if err != nil {
				b.Error(err)
				return
			}
			if _, err := t.Release(context.Background(), lock.ReleaseRequest{Origin: me, Name: name, LeaseID: g.LeaseID}); err != nil {
				b.Error(err)
			}
		}
	})
}

func BenchmarkRenew(b *testing.B) {
	t := openNowhere(b)
	a := try("x")
	a.TTL = time.Hour
	g, err := t.Acquire(context.Background(), a)
	if err != nil {
		b.Fatal(err)
	}
	b.ReportAllocs()
	b.SetParallelism(32)
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			if _, err := t.Renew(context.Background(), lock.RenewRequest{Origin: me, Name: "x", LeaseID: g.LeaseID}); err != nil {
				b.Error(err)
			}
		}
	})
}

func BenchmarkGet(b *testing.B) {
	t := openNowhere(b)
	for i := range 100_000 {
		a := try(lock.Name(fmt.Sprint("lock/", i)))
		a.TTL = time.Hour
		if _, err := t.Acquire(context.Background(), a); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportAllocs()
	b.ResetTimer()
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			if t.Get("lock/77777").Lease == nil {
				b.Error("not held")
			}
		}
	})
}

// One waiter after the other, through a queue of many.
func BenchmarkHandOver(b *testing.B) {
	for _, waiters := range []int{1, 16, 1000} {
		b.Run(fmt.Sprint("waiters=", waiters), func(b *testing.B) {
			t := openNowhere(b)
			grants := make(chan Grant, waiters)
			ask := func() {
				if g, err := t.Acquire(context.Background(), wait("x", time.Hour)); err == nil {
					grants <- g
				}
			}
			for range waiters {
				go ask()
			}
			for b.Loop() {
				g := <-grants
				go ask()
				if _, err := t.Release(context.Background(), lock.ReleaseRequest{Origin: me, Name: "x", LeaseID: g.LeaseID}); err != nil {
					b.Fatal(err)
				}
			}
			b.StopTimer()
			t.Drain()
		})
	}
}
func BenchmarkLeaseID(b *testing.B) {
	ids := newLeaseIDs([]byte("0123456789abcdef0123456789abcdef"))
	b.ReportAllocs()
	for b.Loop() {
		id := ids.id("bench/lock/a", 1234567)
		if _, err := ids.token("bench/lock/a", id); err != nil {
			b.Fatal(err)
		}
	}
}
